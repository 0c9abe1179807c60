/**
 * How much of something happened for a key within the last `per`: exact to a tenth of it, and never too low. Time is cut
 * into slots of a tenth; a slot counts until all of it is older than `per`. Each slot knows what this node counted, and
 * what the others told (limit-exchange.ts).
 *
 * Memory is bounded. Above `MAX_KEYS` the key unused for longest leaves its counts to a sketch, which may take several
 * keys for one: under a flood of keys a limit may bite too early, never too late.
 */
import { createHash } from 'node:crypto';
import type { LimitKey } from '#policy';
import { KeySketch } from './key-sketch.js';

const SLOTS = 10;
const MAX_KEYS = 50_000;
const DIGEST_BYTES = 16;

export interface SlotCount {
  /** 16 octets: limit and values, hashed. */
  readonly key: Buffer;
  readonly slotMs: number;
  readonly perMs: number;
  readonly count: number;
}

interface Slot {
  readonly startMs: number;
  own: number;
  others: number;
}

interface Entry {
  readonly perMs: number;
  slots: Slot[];
  /** What the sketch had of the key when it came back, by generation. */
  readonly base: ReadonlyMap<number, number> | undefined;
  /** Starts of slots whose own count the others have not been told. */
  changed: Set<number> | undefined;
}

export class LimitCounts {
  /** By digest in latin1, in the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  /** By length of a generation, then by its number: the present one and the one before. */
  readonly #sketches = new Map<number, Map<number, KeySketch>>();
  readonly #changed = new Set<string>();

  constructor(private readonly maxKeys: number = MAX_KEYS) {}

  get size(): number {
    return this.#entries.size;
  }

  /** What counts at this moment. */
  total(limitKey: LimitKey, nowMs: number): number {
    const digest = digestOf(limitKey);
    const entry = this.#entries.get(digest);
    const { perMs } = limitKey.limit;
    return entry === undefined ? this.#remembered(digest, perMs, nowMs) : totalOf(entry, nowMs);
  }

  add(limitKey: LimitKey, amount: number, nowMs: number): void {
    const digest = digestOf(limitKey);
    const entry = this.#touch(digest, limitKey.limit.perMs, nowMs);
    const startMs = slotOf(nowMs, entry.perMs);
    slotAt(entry, startMs).own += amount;
    entry.changed ??= new Set();
    entry.changed.add(startMs);
    this.#changed.add(digest);
  }

  /** Own counts that the others have not been told, at most so many keys; told from now on. */
  takeChanged(most: number): SlotCount[] {
    const taken: SlotCount[] = [];
    for (const digest of this.#changed) {
      if (taken.length >= most) break;
      this.#changed.delete(digest);
      const entry = this.#entries.get(digest);
      for (const startMs of entry?.changed ?? []) {
        const own = entry?.slots.find((slot) => slot.startMs === startMs)?.own ?? 0;
        if (own > 0)
          taken.push({ key: Buffer.from(digest, 'latin1'), slotMs: startMs, perMs: entry?.perMs ?? 0, count: own });
      }
      if (entry !== undefined) entry.changed = undefined;
    }
    return taken;
  }

  /** It did not reach them after all. */
  putBack(taken: readonly SlotCount[]): void {
    for (const { key, slotMs } of taken) {
      const digest = key.toString('latin1');
      const entry = this.#entries.get(digest);
      if (entry === undefined) continue;
      entry.changed ??= new Set();
      entry.changed.add(slotMs);
      this.#changed.add(digest);
    }
  }

  /** What all others together counted in a slot. */
  merge(told: readonly SlotCount[], nowMs: number): void {
    for (const { key, slotMs, perMs, count } of told) {
      if (slotMs + lifeMs(perMs) <= nowMs) continue;
      slotAt(this.#touch(key.toString('latin1'), perMs, nowMs), slotMs).others = count;
    }
  }

  #touch(digest: string, perMs: number, nowMs: number): Entry {
    const known = this.#entries.get(digest);
    const entry = known ?? { perMs, slots: [], base: this.#bases(digest, perMs, nowMs), changed: undefined };
    if (known !== undefined) {
      this.#entries.delete(digest);
      entry.slots = entry.slots.filter(({ startMs }) => startMs + lifeMs(perMs) > nowMs);
    }
    this.#entries.set(digest, entry);
    if (this.#entries.size > this.maxKeys) this.#forgetOldest(nowMs);
    return entry;
  }

  #forgetOldest(nowMs: number): void {
    const [oldest] = this.#entries;
    if (oldest === undefined) return;
    const [digest, entry] = oldest;
    this.#entries.delete(digest);
    this.#changed.delete(digest);
    const life = lifeMs(entry.perMs);
    for (const generation of generationsAt(nowMs, life)) {
      const counted = countIn(entry, generation, nowMs);
      if (counted > 0) this.#sketch(life, generation, nowMs).raise(Buffer.from(digest, 'latin1'), counted);
    }
  }

  #sketch(life: number, generation: number, nowMs: number): KeySketch {
    const byGeneration = this.#sketches.get(life) ?? new Map<number, KeySketch>();
    this.#sketches.set(life, byGeneration);
    const [, previous] = generationsAt(nowMs, life);
    for (const old of byGeneration.keys()) if (old < previous) byGeneration.delete(old);
    const sketch = byGeneration.get(generation) ?? new KeySketch();
    byGeneration.set(generation, sketch);
    return sketch;
  }

  #bases(digest: string, perMs: number, nowMs: number): ReadonlyMap<number, number> | undefined {
    const life = lifeMs(perMs);
    const byGeneration = this.#sketches.get(life);
    if (byGeneration === undefined) return undefined;
    const octets = Buffer.from(digest, 'latin1');
    const generations = generationsAt(nowMs, life);
    return new Map(generations.map((generation) => [generation, byGeneration.get(generation)?.count(octets) ?? 0]));
  }

  #remembered(digest: string, perMs: number, nowMs: number): number {
    const bases = this.#bases(digest, perMs, nowMs);
    return bases === undefined ? 0 : [...bases.values()].reduce((sum, count) => sum + count, 0);
  }
}

function digestOf({ limit, key }: LimitKey): string {
  const identity = JSON.stringify([limit.name, limit.count, limit.key, limit.perMs, key]);
  return createHash('sha256').update(identity).digest('binary').slice(0, DIGEST_BYTES);
}

function slotOf(nowMs: number, perMs: number): number {
  const width = Math.ceil(perMs / SLOTS);
  return Math.floor(nowMs / width) * width;
}

/** How long a slot counts from its start on. */
export function lifeMs(perMs: number): number {
  return perMs + Math.ceil(perMs / SLOTS);
}

function slotAt(entry: Entry, startMs: number): Slot {
  const known = entry.slots.find((slot) => slot.startMs === startMs);
  if (known !== undefined) return known;
  const slot: Slot = { startMs, own: 0, others: 0 };
  entry.slots.push(slot);
  return slot;
}

/** A generation is as long as a slot lives: what counts now is of this one or the one before. */
function generationsAt(nowMs: number, life: number): readonly [number, number] {
  const present = Math.floor(nowMs / life);
  return [present, present - 1];
}

function totalOf(entry: Entry, nowMs: number): number {
  const life = lifeMs(entry.perMs);
  let total = 0;
  for (const { startMs, own, others } of entry.slots) if (startMs + life > nowMs) total += own + others;
  if (entry.base === undefined) return total;
  for (const generation of generationsAt(nowMs, life)) total += entry.base.get(generation) ?? 0;
  return total;
}

function countIn(entry: Entry, generation: number, nowMs: number): number {
  const life = lifeMs(entry.perMs);
  let count = entry.base?.get(generation) ?? 0;
  for (const { startMs, own, others } of entry.slots) {
    if (startMs + life > nowMs && Math.floor(startMs / life) === generation) count += own + others;
  }
  return count;
}
