/** Whatever is read: findings, never an exception; and lists behave like plain sets. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { buildManagedList, check, compile, readPolicy, type ManagedList } from '#policy';
import { arbitraryDocument } from '../support/policy-arbitraries.js';

/** Characters that mean something in YAML. */
const MARKS = ['{', '}', '[', ']', ':', ',', '-', '&', '*', '!', '|', '>', '\n', ' ', '"', "'", '#', 'a', '1'];
const anything = fc.anything({ withNullPrototype: true, withObjectString: true, maxDepth: 4 });

/** The value with something else put into a random place. */
function spoil(value: unknown, path: readonly number[], replacement: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== 'object' || value === null) return replacement;
  const keys = Object.keys(value);
  if (keys.length === 0) return replacement;
  const key = keys[step % keys.length] ?? '';
  const inner = spoil((value as Record<string, unknown>)[key], rest, replacement);
  return Array.isArray(value)
    ? (value as unknown[]).map((item, index) => (String(index) === key ? inner : item))
    : { ...value, [key]: inner };
}

describe('reading', () => {
  test('any text is answered with findings, none is thrown at', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...MARKS) })), (text) => {
        const result = readPolicy(text);
        if (!result.ok) expect(result.findings.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test('any value is answered with findings', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const result = compile(typeof value === 'string' ? { value } : value);
        expect(result.ok).toBe(false);
        expect(result.findings.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test('a document with something else in one place is refused or understood, and every finding has its place', () => {
    const path = fc.array(fc.nat(20), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        arbitraryDocument(),
        path,
        fc.oneof(anything, fc.constantFrom(null, 0, '', [], {}, 'none')),
        (document, at, other) => {
          const spoilt = spoil(document, at, other);
          const text = JSON.stringify(spoilt, (_key, value: unknown) =>
            typeof value === 'bigint' ? Number(value) : value,
          );
          fc.pre(typeof text === 'string');
          for (const finding of check(text).findings) expect(finding.line ?? 0).toBeGreaterThan(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a document as JSON text and as a value says the same', () => {
    fc.assert(
      fc.property(arbitraryDocument(), (document) => {
        const fromText = compile(JSON.stringify(document));
        const fromValue = compile(document);
        expect(fromText.ok).toBe(fromValue.ok);
        expect(fromText.findings.map(({ code, pointer }) => `${code} ${pointer}`).sort()).toEqual(
          fromValue.findings.map(({ code, pointer }) => `${code} ${pointer}`).sort(),
        );
      }),
      { numRuns: 100 },
    );
  });
});

const ENTRIES = {
  address: ['ann@a.example', 'Ann@a.example', 'bob@a.example', '*@a.example', 'ann@b.example', '"a b"@a.example'],
  domain: ['a.example', '.a.example', 'b.a.example', '.example', 'xn--bcher-kva.example', 'BÜCHER.example'],
  network: ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '0.0.0.0/0', '2001:db8::/32', '2001:db8::1', '::/0'],
  word: ['exe', 'EXE', 'scr', '7z'],
} as const;

interface Change {
  readonly adds: readonly string[];
  readonly removes: readonly string[];
}

describe('managed lists', () => {
  test.each(Object.keys(ENTRIES) as (keyof typeof ENTRIES)[])(
    'a changed list of type %s is the list built anew',
    (type) => {
      const some = fc.subarray([...ENTRIES[type]]);
      const changes = fc.array(fc.record<Change>({ adds: some, removes: some }), { maxLength: 12 });
      fc.assert(
        fc.property(some, changes, (first, steps) => {
          const canonical = (entry: string): string => [...buildManagedList(type, 'x', 0, [entry]).entries()][0] ?? '';
          const model = new Set(first.map(canonical));
          let list: ManagedList = buildManagedList(type, 'x', 1, first);
          for (const [index, { adds, removes }] of steps.entries()) {
            for (const entry of removes) model.delete(canonical(entry));
            for (const entry of adds) model.add(canonical(entry));
            list = list.withChanges(adds, removes, index + 2);
          }
          const anew = buildManagedList(type, 'x', 0, model);
          expect([...list.entries()].sort()).toEqual([...model].sort());
          expect(list.size).toBe(model.size);
          for (const value of [
            'ann@a.example',
            'ANN@a.example',
            'x@a.example',
            'c.b.a.example',
            'a.example',
            '10.1.2.3',
            '10.9.9.9',
            '192.0.2.1',
            '2001:db8::1',
            'exe',
            'Exe',
          ]) {
            expect(list.match(value)).toBe(anew.match(value));
            expect(list.has(value, true)).toBe(anew.has(value, true));
          }
        }),
        { numRuns: 200 },
      );
    },
  );
});
