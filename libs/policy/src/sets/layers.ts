/**
 * A map that is changed without being copied: a big base, and small layers of changes in front of it.
 *
 * A change costs as much as it is big. Layers of like size are merged, so that a look-up passes few of them, but never
 * more entries at once than a pause of a millisecond or two allows: a big base is made anew in the background
 * (`ManagedList.overlay` says when it is time), a small one on the spot.
 */
export interface LayerBase<K, V> {
  readonly size: number;
  get(key: K): V | undefined;
  entries(): Iterable<readonly [K, V]>;
}

/** More entries than this are not merged while somebody waits. */
const MOST_MERGED = 16_384;

export class Layers<K, V> {
  private constructor(
    private readonly base: LayerBase<K, V>,
    /** Oldest first. `undefined` = removed. */
    private readonly layers: readonly ReadonlyMap<K, V | undefined>[],
    readonly size: number,
  ) {}

  static of<K, V>(base: LayerBase<K, V>): Layers<K, V> {
    return new Layers<K, V>(base, [], base.size);
  }

  /** Changes in front of the base. */
  get overlay(): number {
    return this.layers.reduce((sum, layer) => sum + layer.size, 0);
  }

  /** The base, when nothing stands in front of it. */
  unchanged(): LayerBase<K, V> {
    if (this.layers.length > 0) throw new Error('layers with changes have no parts');
    return this.base;
  }

  get(key: K): V | undefined {
    for (let i = this.layers.length - 1; i >= 0; i -= 1) {
      const layer = this.layers[i];
      const value = layer?.get(key);
      if (value !== undefined) return value;
      if (layer?.has(key) === true) return undefined;
    }
    return this.base.get(key);
  }

  with(changes: ReadonlyMap<K, V | undefined>): Layers<K, V> {
    let { size } = this;
    for (const [key, value] of changes) {
      const had = this.get(key) !== undefined;
      if (had !== (value !== undefined)) size += had ? -1 : 1;
    }
    const layers: ReadonlyMap<K, V | undefined>[] = [...this.layers];
    let top = changes;
    for (let below = layers.at(-1); below !== undefined && isDue(top.size, below.size); below = layers.at(-1)) {
      layers.pop();
      top = new Map([...below, ...top]);
    }
    return layers.length === 0 && this.base instanceof Map && isDue(top.size, this.base.size)
      ? new Layers<K, V>(merged(this.base as ReadonlyMap<K, V>, top), [], size)
      : new Layers<K, V>(this.base, [...layers, top], size);
  }

  *entries(): Generator<readonly [K, V]> {
    for (const entry of this.base.entries()) if (!this.isHidden(entry[0], -1)) yield entry;
    for (let i = 0; i < this.layers.length; i += 1) {
      for (const [key, value] of this.layers[i] ?? []) {
        if (value !== undefined && !this.isHidden(key, i)) yield [key, value];
      }
    }
  }

  private isHidden(key: K, layer: number): boolean {
    return this.layers.some((newer, index) => index > layer && newer.has(key));
  }
}

/** Layers of like size are merged, which keeps their number logarithmic. */
function isDue(top: number, below: number): boolean {
  return top * 2 >= below && top + below <= MOST_MERGED;
}

function merged<K, V>(base: ReadonlyMap<K, V>, top: ReadonlyMap<K, V | undefined>): ReadonlyMap<K, V> {
  const result = new Map(base);
  for (const [key, value] of top) {
    if (value === undefined) result.delete(key);
    else result.set(key, value);
  }
  return result;
}
