/**
 * Tables of canonical entries, one class per type of list: exact look-up of an entry, look-up of the entry that covers
 * a value, and a changed copy that shares all but the change.
 *
 * Every covering entry of a value can be named beforehand (`a.b.c`: itself, `.b.c`, `.c`), so a look-up is a handful of
 * exact probes whatever the size of the table.
 */
import { splitAddress } from '../values/addresses.js';
import { parseIp, parseNetwork, printNetwork, type IpAddress, type Network } from '../values/networks.js';
import { baseOf, KeySetBuilder, partsOf, SpellingsBuilder, type BaseParts, type Spellings } from './bases.js';
import { Layers } from './layers.js';
import type { PlainListType } from './entries.js';
import { PackedNetworks, type NetworkKey, type NetworkParts } from './packed-networks.js';

/** A set of entries of one type. */
export interface EntryTable {
  readonly size: number;
  /** Entries that were changed since the table was built: when there are many, building it anew makes it faster. */
  readonly overlay: number;
  /** The entry that covers the value. `foldLocal`: local parts compare without case (addresses only). */
  match(value: string, foldLocal: boolean): string | undefined;
  hasEntry(entry: string): boolean;
  /** Adds and removes canonical entries; removals first. */
  with(adds: Iterable<string>, removes: Iterable<string>): EntryTable;
  entries(): Iterable<string>;
  /** What it is made of, to be handed to another thread; only of a table that was not changed since it was built. */
  parts(): TableParts;
}

export type TableParts =
  | { readonly type: 'domain' | 'word'; readonly base: BaseParts<true> }
  | { readonly type: 'address'; readonly base: BaseParts<Spellings>; readonly size: number }
  | {
      readonly type: 'network';
      readonly base: { readonly few: ReadonlyMap<NetworkKey, true> } | { readonly many: NetworkParts };
      readonly lengths4: readonly number[];
      readonly lengths6: readonly number[];
    };

/** Domains and words: the key is the entry. */
class TextTable implements EntryTable {
  constructor(
    private readonly layers: Layers<string, true>,
    private readonly suffixes: boolean,
  ) {}

  get size(): number {
    return this.layers.size;
  }

  get overlay(): number {
    return this.layers.overlay;
  }

  match(value: string): string | undefined {
    const lower = value.toLowerCase();
    if (this.layers.get(lower) === true && !lower.startsWith('.')) return lower;
    if (!this.suffixes) return undefined;
    for (let dot = lower.indexOf('.'); dot > 0; dot = lower.indexOf('.', dot + 1)) {
      const suffix = lower.slice(dot);
      if (this.layers.get(suffix) === true) return suffix;
    }
    return undefined;
  }

  hasEntry(entry: string): boolean {
    return this.layers.get(entry) === true;
  }

  with(adds: Iterable<string>, removes: Iterable<string>): EntryTable {
    const changes = new Map<string, true | undefined>();
    for (const entry of removes) changes.set(entry, undefined);
    for (const entry of adds) changes.set(entry, true);
    return new TextTable(this.layers.with(changes), this.suffixes);
  }

  *entries(): Generator<string> {
    for (const [entry] of this.layers.entries()) yield entry;
  }

  parts(): TableParts {
    return { type: this.suffixes ? 'domain' : 'word', base: partsOf(this.layers.unchanged()) };
  }
}

/** Addresses: the key is the entry in lower case, the value how it was spelt. */
class AddressTable implements EntryTable {
  constructor(
    private readonly layers: Layers<string, Spellings>,
    readonly size: number,
  ) {}

  get overlay(): number {
    return this.layers.overlay;
  }

  match(value: string, foldLocal: boolean): string | undefined {
    const exact = this.spelt(value, foldLocal);
    if (exact !== undefined) return exact;
    const parts = splitAddress(value);
    return parts === undefined ? undefined : this.spelt(`*@${parts.domain}`, true);
  }

  hasEntry(entry: string): boolean {
    return this.spelt(entry, false) !== undefined;
  }

  with(adds: Iterable<string>, removes: Iterable<string>): EntryTable {
    const changes = new Map<string, Spellings | undefined>();
    const current = (key: string): readonly string[] => {
      const spellings = changes.has(key) ? changes.get(key) : this.layers.get(key);
      return spellings === undefined ? [] : typeof spellings === 'string' ? [spellings] : spellings;
    };
    let { size } = this;
    for (const entry of removes) {
      const before = current(entry.toLowerCase());
      const after = before.filter((spelling) => spelling !== entry);
      size -= before.length - after.length;
      changes.set(entry.toLowerCase(), packed(after));
    }
    for (const entry of adds) {
      const before = current(entry.toLowerCase());
      if (before.includes(entry)) continue;
      size += 1;
      changes.set(entry.toLowerCase(), packed([...before, entry]));
    }
    return new AddressTable(this.layers.with(changes), size);
  }

  *entries(): Generator<string> {
    for (const [, spellings] of this.layers.entries()) {
      if (typeof spellings === 'string') yield spellings;
      else yield* spellings;
    }
  }

  parts(): TableParts {
    return { type: 'address', base: partsOf(this.layers.unchanged()), size: this.size };
  }

  private spelt(address: string, foldLocal: boolean): string | undefined {
    const spellings = this.layers.get(address.toLowerCase());
    if (spellings === undefined) return undefined;
    if (foldLocal) return typeof spellings === 'string' ? spellings : spellings[0];
    const exact = lowerDomain(address);
    return (typeof spellings === 'string' ? spellings === exact : spellings.includes(exact)) ? exact : undefined;
  }
}

function lowerDomain(address: string): string {
  const at = address.lastIndexOf('@');
  return address.slice(0, at) + address.slice(at).toLowerCase();
}

function packed(spellings: readonly string[]): Spellings | undefined {
  return spellings.length > 1 ? spellings : spellings[0];
}

/** Networks: the key is first address and prefix length in one number (IPv4) or big integer (IPv6). */
class NetworkTable implements EntryTable {
  constructor(
    private readonly layers: Layers<number | bigint, true>,
    /** Prefix lengths that occur, longest first, so that the narrowest network is found. */
    private readonly lengths4: readonly number[],
    private readonly lengths6: readonly number[],
  ) {}

  get size(): number {
    return this.layers.size;
  }

  get overlay(): number {
    return this.layers.overlay;
  }

  match(value: string): string | undefined {
    const ip = parseIp(value);
    if (ip === undefined) return undefined;
    if (ip.version === 4) {
      // The same as below, without an array: this is the look-up that every connection makes.
      for (const length of this.lengths4) {
        const key = ipv4Key(ip.bits, length);
        if (this.layers.get(key) === true) return printKey(key);
      }
      return undefined;
    }
    for (const key of coveringNetworkKeys(ip, this.lengths4, this.lengths6)) {
      if (this.layers.get(key) === true) return printKey(key);
    }
    return undefined;
  }

  hasEntry(entry: string): boolean {
    const key = networkKey(entry);
    return key !== undefined && this.layers.get(key) === true;
  }

  with(adds: Iterable<string>, removes: Iterable<string>): EntryTable {
    const changes = new Map<number | bigint, true | undefined>();
    for (const entry of removes) {
      const key = networkKey(entry);
      if (key !== undefined) changes.set(key, undefined);
    }
    for (const entry of adds) {
      const key = networkKey(entry);
      if (key !== undefined) changes.set(key, true);
    }
    const more = prefixLengthsOf(changes.keys());
    return new NetworkTable(
      this.layers.with(changes),
      longestFirst([...this.lengths4, ...more.v4]),
      longestFirst([...this.lengths6, ...more.v6]),
    );
  }

  *entries(): Generator<string> {
    for (const [key] of this.layers.entries()) yield printKey(key);
  }

  parts(): TableParts {
    const unchanged = this.layers.unchanged();
    const base =
      unchanged instanceof PackedNetworks ? { many: unchanged.parts() } : { few: new Map(unchanged.entries()) };
    return { type: 'network', base, lengths4: this.lengths4, lengths6: this.lengths6 };
  }
}

function longestFirst(lengths: Iterable<number>): readonly number[] {
  return [...new Set(lengths)].sort((a, b) => b - a);
}

/** Prefix lengths that occur among keys. */
export function prefixLengthsOf(keys: Iterable<NetworkKey>): {
  readonly v4: readonly number[];
  readonly v6: readonly number[];
} {
  const v4 = new Set<number>();
  const v6 = new Set<number>();
  for (const key of keys) {
    if (typeof key === 'number') v4.add(key % 64);
    else v6.add(Number(key & 255n));
  }
  return { v4: [...v4], v6: [...v6] };
}

function ipv4Key(bits: number, length: number): number {
  const first = length === 0 ? 0 : ((bits >>> (32 - length)) << (32 - length)) >>> 0;
  return first * 64 + length;
}

/** The keys of every network of these lengths that the address is in. */
export function coveringNetworkKeys(
  ip: IpAddress,
  lengths4: readonly number[],
  lengths6: readonly number[],
): readonly NetworkKey[] {
  if (ip.version === 4) return lengths4.map((length) => ipv4Key(ip.bits, length));
  return lengths6.map((length) => {
    const free = BigInt(128 - length);
    return (((ip.bits >> free) << free) << 8n) | BigInt(length);
  });
}

/** Undefined when the text is no network. */
export function networkKey(entry: string): NetworkKey | undefined {
  const parsed = parseNetwork(entry);
  if (!parsed.ok) return undefined;
  const { version, first, prefix } = parsed.network;
  return version === 4 ? Number(first) * 64 + prefix : (first << 8n) | BigInt(prefix);
}

function printKey(key: number | bigint): string {
  const version = typeof key === 'number' ? 4 : 6;
  const prefix = typeof key === 'number' ? key % 64 : Number(key & 255n);
  const first = typeof key === 'number' ? BigInt(Math.floor(key / 64)) : key >> 8n;
  const free = BigInt((version === 4 ? 32 : 128) - prefix);
  const network: Network = { version, first, last: first + (1n << free) - 1n, prefix };
  return printNetwork(network);
}

/** Makes a table entry by entry. */
export interface TableBuilder {
  /** A canonical entry; one that is there already changes nothing. */
  add(entry: string): void;
  /** Nothing may be added afterwards. */
  build(): EntryTable;
}

export function tableBuilder(type: PlainListType): TableBuilder {
  switch (type) {
    case 'network':
      return new NetworkTableBuilder();
    case 'address': {
      const spellings = new SpellingsBuilder();
      return {
        add: (entry) => {
          spellings.add(entry);
        },
        build: () => new AddressTable(Layers.of(spellings.base()), spellings.size),
      };
    }
    case 'domain':
    case 'word': {
      const keys = new KeySetBuilder();
      return {
        add: (entry) => {
          keys.add(entry);
        },
        build: () => new TextTable(Layers.of(keys.base()), type === 'domain'),
      };
    }
  }
}

/** A map is faster below this, and needs five times the memory above. */
const FEW_NETWORKS = 4_096;

class NetworkTableBuilder implements TableBuilder {
  private few: Map<NetworkKey, true> | undefined = new Map();
  private readonly many = PackedNetworks.empty();
  private readonly lengths4 = new Set<number>();
  private readonly lengths6 = new Set<number>();

  add(entry: string): void {
    const key = networkKey(entry);
    if (key === undefined) return;
    if (typeof key === 'number') this.lengths4.add(key % 64);
    else this.lengths6.add(Number(key & 255n));
    if (this.few === undefined) this.many.add(key);
    else this.few.set(key, true);
    if (this.few === undefined || this.few.size <= FEW_NETWORKS) return;
    for (const each of this.few.keys()) this.many.add(each);
    this.few = undefined;
  }

  build(): EntryTable {
    const base = Layers.of<NetworkKey, true>(this.few ?? this.many);
    return new NetworkTable(base, longestFirst(this.lengths4), longestFirst(this.lengths6));
  }
}

export function isEntryTable(value: object): value is EntryTable {
  return value instanceof TextTable || value instanceof AddressTable || value instanceof NetworkTable;
}

/** The table again, in the other thread. */
export function tableFrom(parts: TableParts): EntryTable {
  switch (parts.type) {
    case 'network':
      return new NetworkTable(
        Layers.of('few' in parts.base ? parts.base.few : PackedNetworks.of(parts.base.many)),
        parts.lengths4,
        parts.lengths6,
      );
    case 'address':
      return new AddressTable(Layers.of(baseOf(parts.base, (key) => key)), parts.size);
    case 'domain':
    case 'word':
      return new TextTable(Layers.of(baseOf(parts.base, () => true)), parts.type === 'domain');
  }
}

/** A table of entries already in canonical form. */
export function tableOf(type: PlainListType, canonical: Iterable<string>): EntryTable {
  const builder = tableBuilder(type);
  for (const entry of canonical) builder.add(entry);
  return builder.build();
}
