import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ManagedList } from '../types.js';
import { parseEntry, type PlainListType } from './entries.js';
import { Layers } from './layers.js';
import { buildManagedList, ManagedListBuilder } from './managed-list.js';
import { PackedKeys } from './packed-keys.js';

const many = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `user${String(i)}@d${String(i % 97)}.example.com`);

describe('packed keys', () => {
  test('hold exactly what was added, through growth', () => {
    const keys = new PackedKeys();
    const texts = [...many(20_000), '', 'bücher@müller.example', '例え@例え.example', 'x'.repeat(1024)];
    for (const text of texts) expect(keys.add(text)).toBe(true);
    expect(keys.add('user7@d7.example.com')).toBe(false);
    expect(keys.size).toBe(texts.length);
    expect(texts.every((text) => keys.has(text))).toBe(true);
    expect([keys.has('user7@d8.example.com'), keys.has('bücher@muller.example'), keys.has('x'.repeat(5000))]).toEqual([
      false,
      false,
      false,
    ]);
    expect(new Set(keys.keys())).toEqual(new Set(texts));
  });

  test('agree with a set, whatever the texts', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.string()), (added, asked) => {
        const keys = new PackedKeys();
        for (const text of added) keys.add(text);
        const set = new Set(added);
        expect(keys.size).toBe(set.size);
        for (const text of [...added, ...asked]) expect(keys.has(text)).toBe(set.has(text));
      }),
    );
  });

  test('are handed over without a copy', () => {
    const keys = new PackedKeys();
    for (const text of many(5_000)) keys.add(text);
    const copy = PackedKeys.of(structuredClone(keys.parts()));
    expect([copy.size, copy.has('user9@d9.example.com'), copy.has('user9@d8.example.com')]).toEqual([
      5_000,
      true,
      false,
    ]);
  });
});

describe('a big list', () => {
  const list = buildManagedList('address', 'staff', 1, many(20_000));

  test('takes changes in front of its table, and a new one has them inside', () => {
    const changed = list
      .withChanges(['new@example.com', 'Ann@example.com'], ['user5@d5.example.com'], 2)
      .withChanges(['ann@example.com'], ['new@example.com'], 3);
    expect([changed.size, changed.overlay, list.overlay]).toEqual([20_001, 3, 0]);
    const anew = buildManagedList('address', 'staff', 3, changed.entries());
    expect(anew.overlay).toBe(0);
    for (const each of [changed, anew]) {
      expect(each.size).toBe(20_001);
      expect(each.has('user5@d5.example.com')).toBe(false);
      expect(each.has('new@example.com')).toBe(false);
      expect([each.match('Ann@example.com'), each.match('ANN@example.com'), each.has('ANN@example.com', true)]).toEqual(
        ['Ann@example.com', undefined, true],
      );
    }
  });

  test('spellings that came late are not lost', () => {
    const builder = new ManagedListBuilder('address', 'staff');
    builder.add(many(6_000));
    builder.add(['User1@d1.example.com', 'user1@d1.example.com']);
    const built = builder.build(4);
    expect([built.size, built.match('user1@d1.example.com'), built.match('User1@d1.example.com')]).toEqual([
      6_001,
      'user1@d1.example.com',
      'User1@d1.example.com',
    ]);
  });

  test('says what the small one says', () => {
    const domains = many(6_000).map((_, i) => `${i % 2 === 0 ? '.' : ''}n${String(i)}.example`);
    const big = buildManagedList('domain', 'domains', 1, domains);
    const probe = (of: ManagedList): unknown[] =>
      ['n1.example', 'n2.example', 'a.b.n2.example', 'a.n1.example', '.n2.example'].map((value) => of.match(value));
    expect(probe(big)).toEqual(probe(buildManagedList('domain', 'domains', 1, domains.slice(0, 10))));
    expect(probe(big)).toEqual(['n1.example', undefined, '.n2.example', undefined, undefined]);
  });
});

test('what is canonical at sight is what the parser makes of it', () => {
  const label = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', 'x', 'n', '_', '+'), maxLength: 6 });
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
  const entry = fc.tuple(fc.constantFrom('', '.', 'xn--', '*@'), name, fc.constantFrom('@', '.'), name);
  fc.assert(
    fc.property(
      entry.map((parts) => parts.join('')),
      fc.constantFrom<PlainListType>('address', 'domain'),
      (text, type) => {
        const parsed = parseEntry(type, text);
        let built: readonly string[] | undefined;
        try {
          built = [...buildManagedList(type, 'list', 1, [text]).entries()];
        } catch {
          built = undefined;
        }
        expect(built).toEqual(parsed.ok ? [parsed.value] : undefined);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('layers agree with a map, whatever the changes', () => {
  const change = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.option(fc.nat(), { nil: undefined }));
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 5 }), { maxLength: 12 }), (rounds) => {
      const expected = new Map<number, number>([[1, 1]]);
      let layers = Layers.of<number, number>(new Map(expected));
      for (const round of rounds) {
        layers = layers.with(new Map(round));
        for (const [key, value] of new Map(round)) {
          if (value === undefined) expected.delete(key);
          else expected.set(key, value);
        }
      }
      expect(layers.size).toBe(expected.size);
      expect(new Map(layers.entries())).toEqual(expected);
      for (let key = 0; key <= 12; key += 1) expect(layers.get(key)).toBe(expected.get(key));
    }),
  );
});
