import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseIp, parseNetwork, printNetwork, type Network } from '../values/networks.js';
import { buildManagedList } from './managed-list.js';
import { PackedKeys } from './packed-keys.js';
import { PackedNetworks } from './packed-networks.js';
import { networkKey, tableFrom, tableOf } from './tables.js';

/** Few enough addresses that networks nest, meet and repeat. */
const v4 = fc
  .tuple(fc.integer({ min: 0, max: 7 }), fc.nat(255), fc.integer({ min: 0, max: 32 }))
  .map(([high, low, prefix]) => network(4, (10n << 24n) + (BigInt(high) << 16n) + BigInt(low), prefix));
const v6 = fc
  .tuple(fc.integer({ min: 0, max: 7 }), fc.nat(255), fc.integer({ min: 0, max: 128 }))
  .map(([high, low, prefix]) => network(6, (0x20010db8n << 96n) + (BigInt(high) << 64n) + BigInt(low), prefix));
const anyNetwork = fc.oneof(v4, v6);
const anyAddress = anyNetwork.map(({ version, first, last }) => [
  printNetwork({ version, first, last: first, prefix: 128 }),
  printNetwork({ version, first: last, last, prefix: 128 }),
]);

function network(version: 4 | 6, bits: bigint, prefix: number): Network {
  const free = BigInt((version === 4 ? 32 : 128) - prefix);
  const first = (bits >> free) << free;
  return { version, first, last: first + (1n << free) - 1n, prefix };
}

/** The narrowest of them, found by looking at each. */
function naiveMatch(networks: ReadonlySet<string>, address: string): string | undefined {
  const ip = parseIp(address);
  const covering = [...networks].flatMap((text) => {
    const parsed = parseNetwork(text);
    if (!parsed.ok || parsed.network.version !== ip?.version) return [];
    const bits = BigInt(ip.bits);
    return parsed.network.first <= bits && bits <= parsed.network.last ? [parsed.network] : [];
  });
  const narrowest = covering.reduce<Network | undefined>(
    (best, each) => (best === undefined || each.prefix > best.prefix ? each : best),
    undefined,
  );
  return narrowest === undefined ? undefined : printNetwork(narrowest);
}

/** Pads a list beyond what is kept in a map, with networks that meet no address of the tests. */
const PADDING = Array.from(
  { length: 5_000 },
  (_, i) => `198.${String(18 + (i >> 12))}.${String((i >> 4) & 255)}.${String((i & 15) << 4)}/28`,
);

describe('networks', () => {
  test('in typed arrays hold exactly what was added', () => {
    fc.assert(
      fc.property(fc.array(anyNetwork), fc.array(anyNetwork), (added, asked) => {
        const set = new Set(added.map(printNetwork));
        const packed = PackedNetworks.empty();
        for (const text of [...set, ...set]) packed.add(networkKey(text) ?? 0);
        expect(packed.size).toBe(set.size);
        expect(new Set([...packed.entries()].map(([key]) => key))).toEqual(new Set([...set].map(networkKey)));
        for (const each of [...added, ...asked]) {
          const text = printNetwork(each);
          expect(packed.get(networkKey(text) ?? 0) === true).toBe(set.has(text));
        }
      }),
    );
  });

  test('few or many, changed or not, in this thread or another: the narrowest that covers the address', () => {
    fc.assert(
      fc.property(
        fc.array(anyNetwork, { minLength: 1 }),
        fc.array(anyNetwork, { maxLength: 5 }),
        fc.array(anyAddress),
        fc.boolean(),
        (base, changes, addresses, isBig) => {
          const before = new Set(base.map(printNetwork));
          const padding = isBig ? PADDING : [];
          const removed = [...before].slice(0, 2);
          const added = changes.map(printNetwork);
          const after = new Set([...before].filter((text) => !removed.includes(text)));
          for (const text of added) after.add(text);
          const table = tableOf('network', [...before, ...padding]);
          const changed = table.with(added, removed);
          const moved = tableFrom(structuredClone(table.parts()));
          for (const address of addresses.flat()) {
            expect(table.match(address, false)).toBe(naiveMatch(before, address));
            expect(moved.match(address, false)).toBe(naiveMatch(before, address));
            expect(changed.match(address, false)).toBe(naiveMatch(after, address));
          }
          expect(changed.size).toBe(after.size + padding.length);
          expect(new Set(changed.entries()).size).toBe(changed.size);
        },
      ),
      { numRuns: 30 },
    );
  });
});

/** The tables double at the same load whatever their size: what holds here holds for a million. */
describe('octets an entry takes when its table has just doubled', () => {
  const ENTRIES = 100_000;

  test('an address of 35 octets: 64', () => {
    const keys = new PackedKeys();
    for (let i = 0; i < ENTRIES; i += 1)
      keys.add(`user.name${String(900_000 + i)}@dest${String(i % 5_000)}.example.com`);
    expect(keys.size).toBe(ENTRIES);
    expect(keys.octets / ENTRIES).toBeLessThan(64);
  });

  test('a network of IPv4: 32, and it is found through a list', () => {
    const packed = PackedNetworks.empty();
    for (let i = 0; i < ENTRIES; i += 1) packed.add((0x10000000 + i * 256) * 64 + 24);
    expect(packed.size).toBe(ENTRIES);
    expect(packed.octets / ENTRIES).toBeLessThan(32);
    const list = buildManagedList('network', 'blocked', 1, PADDING);
    expect([list.match('198.18.3.17'), list.match('198.17.255.255')]).toEqual(['198.18.3.16/28', undefined]);
  });
});
