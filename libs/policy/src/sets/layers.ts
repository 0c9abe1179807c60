/**
 * A map that is changed without being copied: a big base, and small layers of changes in front of it.
 *
 * A change costs as much as it is big. Layers of like size are merged, so that a look-up passes few of them; a layer
 * is merged into the base only once it has grown to half of its size.
 */
export class Layers<K, V> {
  private constructor(
    /** Oldest first. `undefined` in a newer layer = removed. */
    private readonly layers: readonly ReadonlyMap<K, V | undefined>[],
    readonly size: number,
  ) {}

  static of<K, V>(base: ReadonlyMap<K, V>): Layers<K, V> {
    return new Layers<K, V>([base], base.size);
  }

  get(key: K): V | undefined {
    for (let i = this.layers.length - 1; i >= 0; i -= 1) {
      const layer = this.layers[i];
      const value = layer?.get(key);
      if (value !== undefined) return value;
      if (i > 0 && layer?.has(key) === true) return undefined;
    }
    return undefined;
  }

  with(changes: ReadonlyMap<K, V | undefined>): Layers<K, V> {
    let size = this.size;
    for (const [key, value] of changes) {
      const had = this.get(key) !== undefined;
      if (had !== (value !== undefined)) size += had ? -1 : 1;
    }
    const layers: ReadonlyMap<K, V | undefined>[] = [...this.layers];
    let top: ReadonlyMap<K, V | undefined> = changes;
    for (let below = layers.at(-1); below !== undefined && top.size * 2 >= below.size; below = layers.at(-1)) {
      layers.pop();
      top = merged(below, top, layers.length === 0);
    }
    return new Layers<K, V>([...layers, top], size);
  }

  *entries(): Generator<readonly [K, V]> {
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

function merged<K, V>(
  below: ReadonlyMap<K, V | undefined>,
  top: ReadonlyMap<K, V | undefined>,
  isBase: boolean,
): ReadonlyMap<K, V | undefined> {
  const result = new Map(below);
  for (const [key, value] of top) {
    if (value === undefined && isBase) result.delete(key);
    else result.set(key, value);
  }
  return result;
}
