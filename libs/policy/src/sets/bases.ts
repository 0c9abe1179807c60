/**
 * What tables of texts stand on: a plain map while there are few entries, packed keys once there are many.
 */
import type { LayerBase } from './layers.js';
import { MAX_PACKED_OCTETS, PackedKeys, type PackedParts } from './packed-keys.js';

/** Maps are faster to make and to copy below this; above, they need three times the memory. */
const FEW = 4_096;
/** Texts that may not fit; three octets a character at most. */
const LONG = Math.floor(MAX_PACKED_OCTETS / 3);

/** Spellings of one address that differ in the case of the local part; nearly always one. */
export type Spellings = string | readonly string[];

/** Texts, each of which is its own key. */
export class KeySetBuilder {
  private few: Map<string, true> | undefined = new Map();
  private readonly many = new PackedKeys();
  private readonly long = new Map<string, true>();

  add(key: string): void {
    if (this.few === undefined) {
      if (key.length > LONG) this.long.set(key, true);
      else this.many.add(key);
      return;
    }
    this.few.set(key, true);
    if (this.few.size <= FEW) return;
    const { few } = this;
    this.few = undefined;
    for (const each of few.keys()) this.add(each);
  }

  has(key: string): boolean {
    return this.few?.has(key) ?? (this.many.has(key) || this.long.has(key));
  }

  base(): LayerBase<string, true> {
    return this.few ?? new PackedBase<true>(this.many, this.long, () => true);
  }
}

/** Addresses by their lower-case form. Nearly all are written in lower case: these are kept packed. */
export class SpellingsBuilder {
  private few: Map<string, Spellings> | undefined = new Map();
  private readonly many = new PackedKeys();
  private readonly odd = new Map<string, Spellings>();
  size = 0;

  add(entry: string): void {
    const lower = entry.toLowerCase();
    if (this.few !== undefined) {
      this.size += addSpelling(this.few, lower, entry) ? 1 : 0;
      if (this.few.size > FEW) this.pack(this.few);
      return;
    }
    this.size += this.addToMany(lower, entry) ? 1 : 0;
  }

  base(): LayerBase<string, Spellings> {
    return this.few ?? new PackedBase<Spellings>(this.many, this.odd, (key) => key);
  }

  private addToMany(lower: string, entry: string): boolean {
    if (lower === entry && !this.odd.has(lower) && lower.length <= LONG) return this.many.add(lower);
    // `odd` hides `many`: what stands there comes along.
    if (!this.odd.has(lower) && this.many.has(lower)) this.odd.set(lower, lower);
    return addSpelling(this.odd, lower, entry);
  }

  private pack(few: ReadonlyMap<string, Spellings>): void {
    this.few = undefined;
    for (const [lower, spellings] of few) {
      for (const entry of typeof spellings === 'string' ? [spellings] : spellings) this.addToMany(lower, entry);
    }
  }
}

function addSpelling(map: Map<string, Spellings>, lower: string, entry: string): boolean {
  const before = map.get(lower);
  const spellings = before === undefined ? [] : typeof before === 'string' ? [before] : before;
  if (spellings.includes(entry)) return false;
  map.set(lower, spellings.length === 0 ? entry : [...spellings, entry]);
  return true;
}

/** Packed keys whose value follows from the key, and a few odd ones in front of them. */
class PackedBase<V> implements LayerBase<string, V> {
  readonly size: number;

  constructor(
    private readonly keys: PackedKeys,
    private readonly odd: ReadonlyMap<string, V>,
    private readonly valueOf: (key: string) => V,
  ) {
    let hidden = 0;
    for (const key of odd.keys()) if (keys.has(key)) hidden += 1;
    this.size = keys.size + odd.size - hidden;
  }

  parts(): BaseParts<V> {
    return { many: this.keys.parts(), odd: this.odd };
  }

  get(key: string): V | undefined {
    const odd = this.odd.size === 0 ? undefined : this.odd.get(key);
    if (odd !== undefined) return odd;
    return this.keys.has(key) ? this.valueOf(key) : undefined;
  }

  *entries(): Generator<readonly [string, V]> {
    for (const key of this.keys.keys()) if (!this.odd.has(key)) yield [key, this.valueOf(key)];
    yield* this.odd.entries();
  }
}

/** What a base is made of: plain containers, and memory that threads share. */
export type BaseParts<V> =
  { readonly few: ReadonlyMap<string, V> } | { readonly many: PackedParts; readonly odd: ReadonlyMap<string, V> };

export function partsOf<V>(base: LayerBase<string, V>): BaseParts<V> {
  return base instanceof PackedBase ? (base as PackedBase<V>).parts() : { few: new Map(base.entries()) };
}

export function baseOf<V>(parts: BaseParts<V>, valueOf: (key: string) => V): LayerBase<string, V> {
  return 'few' in parts ? parts.few : new PackedBase(PackedKeys.of(parts.many), parts.odd, valueOf);
}
