/**
 * Points that stand for all values of a fact: one from every cell into which the sets of a document cut its values.
 * Sets are constant on each cell, so what holds for the points holds for every value.
 *
 * Lists whose members can't be known here (managed ones, patterns on values nobody wrote) may have any member within
 * their bound: a point carries the lists that it is taken to be in.
 */
import type { CompiledPolicy } from '../compiled.js';
import { isWithin } from '../list-entry.js';
import type { ListSlot, Matcher } from '../program.js';
import type { ListType } from '../types.js';
import { splitAddress } from '../values/addresses.js';
import { addressAt, parseNetwork } from '../values/networks.js';

export interface Point<T = string> {
  readonly value: T;
  /** Slots of the open lists that contain it. */
  readonly memberOf: ReadonlySet<number>;
  /** Nobody wrote this value: it stands for all the others of its cell. */
  readonly fresh: boolean;
}

/** More open lists than this are not combined with each other. */
const MAX_COMBINED_LISTS = 4;

/** A list whose members the document does not tell. */
export function isOpen(slot: ListSlot): boolean {
  return slot.inline === undefined || slot.type === 'regex';
}

/** Copies of a point for every way in which open lists can contain it. */
export function withOpenLists(
  policy: CompiledPolicy,
  value: string,
  fresh: boolean,
  types: readonly ListType[],
): Point[] {
  const candidates: number[] = [];
  const certain: number[] = [];
  for (const [index, slot] of policy.program.lists.entries()) {
    if (!types.includes(slot.type) || !isOpen(slot)) continue;
    if (slot.type === 'regex' && !fresh) {
      if (slot.inline?.match(value, false) !== undefined) certain.push(index);
    } else if (isPossible(policy, slot, value)) {
      candidates.push(index);
    }
  }
  return subsets(candidates).map((subset) => ({ value, fresh, memberOf: new Set([...certain, ...subset]) }));
}

function isPossible(policy: CompiledPolicy, slot: ListSlot, value: string): boolean {
  if (slot.within === undefined) return true;
  const bound = policy.program.lists.find((each) => each.name === slot.within)?.inline;
  return bound !== undefined && isWithin(slot.type, value, bound);
}

function subsets(items: readonly number[]): readonly (readonly number[])[] {
  if (items.length > MAX_COMBINED_LISTS) return [[], ...items.map((item) => [item]), items];
  return items.reduce<readonly (readonly number[])[]>(
    (all, item) => [...all, ...all.map((set) => [...set, item])],
    [[]],
  );
}

/** One address per cell of the networks: where one begins, and right after it ends. */
export function networkPoints(
  networks: readonly string[],
): readonly { readonly value: string; readonly fresh: boolean }[] {
  const starts = { 4: new Set<bigint>(), 6: new Set<bigint>() };
  for (const text of networks) {
    const parsed = parseNetwork(text);
    if (!parsed.ok) continue;
    const { version, first, last } = parsed.network;
    starts[version].add(first).add(last + 1n);
  }
  const v4 = [...starts[4]].filter((bits) => bits < 1n << 32n).map((bits) => addressAt(4, bits));
  const v6 = [...starts[6]].filter((bits) => bits < 1n << 128n).map((bits) => addressAt(6, bits));
  const fallback = ['203.0.113.9', ...(v6.length === 0 ? [] : ['2001:db8:ffff::9'])];
  return [...new Set([...fallback, ...v4, ...v6])].map((value) => ({ value, fresh: true }));
}

/** Domains that are written, one unwritten below each suffix, and one that is nowhere. */
export function domainPoints(
  entries: readonly string[],
): readonly { readonly value: string; readonly fresh: boolean }[] {
  const points = new Map<string, boolean>([['elsewhere.invalid', true]]);
  for (const entry of entries) {
    if (entry.startsWith('.')) {
      points.set(`below${entry}`, true);
      if (!points.has(entry.slice(1))) points.set(entry.slice(1), true);
    } else {
      points.set(entry, false);
    }
  }
  return [...points].map(([value, fresh]) => ({ value, fresh }));
}

/** Addresses that are written, and at every domain one of each written local part and one unwritten. */
export function addressPoints(
  addresses: readonly string[],
  domains: readonly string[],
  words: readonly string[],
): readonly { readonly value: string; readonly fresh: boolean }[] {
  const points = new Map<string, boolean>();
  const allDomains = new Set(domains);
  for (const address of addresses) {
    const parts = splitAddress(address);
    if (parts === undefined) continue;
    allDomains.add(parts.domain);
    if (parts.local !== '*') points.set(address, false);
  }
  for (const domain of allDomains) {
    points.set(`somebody@${domain}`, true);
    for (const word of words) if (!points.has(`${word}@${domain}`)) points.set(`${word}@${domain}`, true);
  }
  return [...points].map(([value, fresh]) => ({ value, fresh }));
}

/** Open lists as the current points have them; the others as they are. */
export class OpenLists {
  private readonly current = new Map<string, ReadonlySet<number>>();

  constructor(private readonly policy: CompiledPolicy) {}

  /** False when the same value is already placed otherwise: the two points can not be in one world. */
  place(value: string, memberOf: ReadonlySet<number>): boolean {
    const before = this.current.get(value);
    if (before !== undefined && !sameSet(before, memberOf)) return false;
    this.current.set(value, memberOf);
    return true;
  }

  /** Of these lists, those of the given types. */
  ofTypes(slots: ReadonlySet<number>, types: readonly ListType[]): ReadonlySet<number> {
    return new Set([...slots].filter((slot) => types.includes(this.policy.program.lists[slot]?.type ?? 'regex')));
  }

  clear(): void {
    this.current.clear();
  }

  slots(): readonly Matcher[] {
    return this.policy.program.lists.map((slot, index): Matcher => {
      if (slot.inline !== undefined && !isOpen(slot)) return slot.inline;
      return { match: (value) => (this.current.get(value)?.has(index) === true ? value : undefined) };
    });
  }
}

function sameSet(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item));
}
