/**
 * Texts of a document (entries of lists, literals) → the points of a dimension that they cover. One file per way in
 * which facts are compared: networks, domains, words, addresses.
 */
import { parseIp, parseNetwork, addressAt } from '../values/networks.js';
import { splitAddress } from '../values/addresses.js';
import type { RawDimension } from './dimension.js';

/** Knows which points a text covers. Texts must have been announced before the first question. */
export interface TextCover {
  /** Makes points for what is written. */
  announce(text: string): void;
  /** Called once, after all announcements. */
  settle(): void;
  covered(text: string): Iterable<number>;
}

/** A name that nobody wrote. */
export function unwritten(wanted: string, written: { has(text: string): boolean }): string {
  return written.has(wanted) ? unwritten(`x${wanted}`, written) : wanted;
}

/** Cells are runs of addresses between the ends of networks. */
export class NetworkCover implements TextCover {
  private readonly starts = { 4: new Set<bigint>([0n]), 6: new Set<bigint>([0n]) };
  private readonly sorted = { 4: [] as bigint[], 6: [] as bigint[] };
  private readonly firstPoint = { 4: 0, 6: 0 };

  constructor(private readonly dimension: RawDimension) {}

  announce(text: string): void {
    const parsed = parseNetwork(text);
    if (!parsed.ok) return;
    const { version, first, last } = parsed.network;
    this.starts[version].add(first);
    if (last + 1n < 1n << BigInt(version === 4 ? 32 : 128)) this.starts[version].add(last + 1n);
  }

  settle(): void {
    for (const version of [4, 6] as const) {
      const sorted = [...this.starts[version]].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      this.sorted[version] = sorted;
      this.firstPoint[version] = this.dimension.points.length;
      for (const [index, start] of sorted.entries()) {
        this.dimension.add(addressAt(version, this.inside(version, start, sorted[index + 1])), true);
      }
    }
  }

  /** An address of the run that looks like one, where there is a choice. */
  private inside(version: 4 | 6, start: bigint, next: bigint | undefined): bigint {
    const usual = version === 4 ? 0xcb007109n : (0x20010db8n << 96n) | 9n; // 203.0.113.9, 2001:db8::9
    const end = next ?? 1n << BigInt(version === 4 ? 32 : 128);
    if (start <= usual && usual < end) return usual;
    return start + 1n < end ? start + 1n : start;
  }

  *covered(text: string): Generator<number> {
    const parsed = parseNetwork(text);
    if (!parsed.ok) return;
    const { version, first, last } = parsed.network;
    const sorted = this.sorted[version];
    let at = position(sorted, first);
    for (; at < sorted.length && (sorted[at] ?? last + 1n) <= last; at += 1) yield this.firstPoint[version] + at;
  }

  /** The point of 203.0.113.9. */
  usual(): number {
    const ip = parseIp('203.0.113.9');
    return ip === undefined ? 0 : this.firstPoint[4] + position(this.sorted[4], BigInt(ip.bits) + 1n) - 1;
  }
}

/** Index of the first that is not below. */
function position(sorted: readonly bigint[], value: bigint): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? value) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Names that are written, and one below each suffix that is not. */
export class DomainNames {
  private readonly names = new Set<string>();
  private readonly suffixes = new Set<string>();

  announce(text: string): void {
    if (text.startsWith('.')) this.suffixes.add(text);
    else this.names.add(text);
  }

  /** Every name that stands for a cell; the first is nowhere. */
  all(): readonly { readonly name: string; readonly fresh: boolean }[] {
    const all = [{ name: unwritten('elsewhere.invalid', this.names), fresh: true }];
    for (const name of this.names) all.push({ name, fresh: false });
    for (const suffix of this.suffixes)
      all.push({
        name: `${unwritten('below', { has: (label) => this.names.has(label + suffix) })}${suffix}`,
        fresh: true,
      });
    return all;
  }

  /** The written suffixes above a name, as texts. */
  *suffixesOf(name: string): Generator<string> {
    for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) {
      const suffix = name.slice(dot);
      if (this.suffixes.has(suffix)) yield suffix;
    }
  }
}

export class DomainCover implements TextCover {
  private readonly names = new DomainNames();
  private readonly byText = new Map<string, number[]>();

  constructor(private readonly dimension: RawDimension) {}

  announce(text: string): void {
    this.names.announce(text);
  }

  settle(): void {
    for (const { name, fresh } of this.names.all()) {
      const point = this.dimension.add(name, fresh);
      for (const text of [name, ...this.names.suffixesOf(name)]) append(this.byText, text, point);
    }
  }

  covered(text: string): Iterable<number> {
    return this.byText.get(text) ?? [];
  }
}

/** Words compare without case; identities of accounts exactly, but theirs are written in lower case. */
export class WordCover implements TextCover {
  private readonly words = new Set<string>();
  private readonly points = new Map<string, number>();

  constructor(private readonly dimension: RawDimension) {}

  announce(text: string): void {
    this.words.add(text.toLowerCase());
  }

  settle(): void {
    this.dimension.add(unwritten('something', this.words), true);
    for (const word of this.words) this.points.set(word, this.dimension.add(word, false));
  }

  covered(text: string): Iterable<number> {
    const point = this.points.get(text.toLowerCase());
    return point === undefined ? [] : [point];
  }
}

/** An address, where it goes after rewriting, and what is asked about it. */
export interface AddressPoint {
  readonly address: string;
  readonly effective: string;
}

/** Part of an address that a text is about. */
export type Aspect = 'address' | 'domain' | 'local' | 'original';

/** Addresses that are written, and at every domain one of each written local part and one that is not written. */
export class AddressCover {
  private readonly names = new DomainNames();
  private readonly addresses = new Set<string>();
  private readonly locals = new Set<string>();
  private readonly byDomain = new Map<string, number[]>();
  private readonly byLocal = new Map<string, number[]>();
  private readonly byAddress = new Map<string, number[]>();
  private readonly byOriginal = new Map<string, number[]>();
  private readonly originalDomain = new Map<string, number[]>();

  constructor(
    private readonly dimension: RawDimension,
    private readonly rewrite: (address: string) => string,
    private readonly isOurs: (domain: string) => boolean,
  ) {}

  announce(aspect: Aspect, text: string): void {
    if (aspect === 'domain') this.names.announce(text);
    else if (aspect === 'local') this.locals.add(text.toLowerCase());
    else this.announceAddress(text);
  }

  private announceAddress(text: string): void {
    const parts = splitAddress(text);
    if (parts === undefined) return;
    this.names.announce(parts.domain);
    if (parts.local !== '*') this.addresses.add(text);
  }

  /** The point of `somebody` at each domain, in the order of the domains. */
  settle(): readonly { readonly domain: string; readonly point: number }[] {
    const somebody = unwritten('somebody', this.locals);
    const generic = this.names.all().map(({ name, fresh }) => ({
      domain: name,
      point: this.place(`${somebody}@${name}`, fresh),
    }));
    for (const { domain } of generic) {
      for (const local of this.locals) {
        if (!this.addresses.has(`${local}@${domain}`)) this.place(`${local}@${domain}`, true);
      }
    }
    for (const address of this.addresses) this.place(address, false);
    return generic;
  }

  private place(address: string, fresh: boolean): number {
    const point = this.dimension.add(address, fresh);
    const effective = this.rewrite(address);
    const parts = splitAddress(effective);
    if (parts === undefined) return point;
    for (const text of [parts.domain, ...this.names.suffixesOf(parts.domain)]) append(this.byDomain, text, point);
    append(this.byLocal, parts.local.toLowerCase(), point);
    append(this.byAddress, this.keyOf(effective), point);
    append(this.byOriginal, this.keyOf(address), point);
    append(this.originalDomain, splitAddress(address)?.domain ?? '', point);
    return point;
  }

  covered(aspect: Aspect, text: string): Iterable<number> {
    if (aspect === 'domain') return this.byDomain.get(text) ?? [];
    if (aspect === 'local') return this.byLocal.get(text.toLowerCase()) ?? [];
    const isOriginal = aspect === 'original';
    if (text.startsWith('*@')) return (isOriginal ? this.originalDomain : this.byDomain).get(text.slice(2)) ?? [];
    return (isOriginal ? this.byOriginal : this.byAddress).get(this.keyOf(text)) ?? [];
  }

  /** Local parts of our own domains compare without case. */
  private keyOf(address: string): string {
    return this.isOurs(splitAddress(address)?.domain ?? '') ? address.toLowerCase() : address;
  }
}

function append<K>(map: Map<K, number[]>, key: K, value: number): void {
  const before = map.get(key);
  if (before === undefined) map.set(key, [value]);
  else before.push(value);
}
