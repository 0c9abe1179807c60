/**
 * A set of networks in typed arrays: 11 to 22 octets for one of IPv4, 27 to 54 for one of IPv6, against a hundred in a
 * map; no pause while it grows, and shared with other threads without a copy.
 *
 * Open addressing over 256 shards, as packed-keys.ts has it. A slot is the words of the first address and, last, the
 * prefix length + 1; a last word of 0 is a free slot. Entries are added only; what is removed is hidden by a layer above.
 */
import type { LayerBase } from './layers.js';

/** First address and prefix length of a network in one number: exact for IPv4 in a double, for IPv6 a big integer. */
export type NetworkKey = number | bigint;

const SHARDS = 256;
const FIRST_SLOTS = 16;
const WORDS_V4 = 2;
const WORDS_V6 = 5;

type Words = Uint32Array<SharedArrayBuffer>;

export interface TupleParts {
  readonly shards: readonly (Words | undefined)[];
  readonly used: readonly number[];
}

/** Survives a structured clone, which shares the memory. */
export interface NetworkParts {
  readonly v4: TupleParts;
  readonly v6: TupleParts;
}

/** The key that is looked at; none is looked at while another one is. */
const scratch = new Uint32Array(WORDS_V6);
/** A big integer in, its words out. */
const view = new DataView(new ArrayBuffer(16));

export class PackedNetworks implements LayerBase<NetworkKey, true> {
  private constructor(
    private readonly v4: TupleSet,
    private readonly v6: TupleSet,
  ) {}

  static empty(): PackedNetworks {
    return new PackedNetworks(new TupleSet(WORDS_V4), new TupleSet(WORDS_V6));
  }

  static of({ v4, v6 }: NetworkParts): PackedNetworks {
    return new PackedNetworks(new TupleSet(WORDS_V4, v4), new TupleSet(WORDS_V6, v6));
  }

  /** The memory itself: nothing may be added to either side afterwards. */
  parts(): NetworkParts {
    return { v4: this.v4.parts(), v6: this.v6.parts() };
  }

  get size(): number {
    return this.v4.size + this.v6.size;
  }

  /** Octets of memory. */
  get octets(): number {
    return this.v4.octets + this.v6.octets;
  }

  get(key: NetworkKey): true | undefined {
    return this.read(key).has() ? true : undefined;
  }

  /** One that is there already changes nothing. */
  add(key: NetworkKey): void {
    this.read(key).add();
  }

  *entries(): Generator<readonly [NetworkKey, true]> {
    for (const [first = 0, length = 0] of this.v4.tuples()) yield [first * 64 + length - 1, true];
    for (const [a = 0, b = 0, c = 0, d = 0, length = 0] of this.v6.tuples()) {
      const high = (BigInt(a) << 32n) | BigInt(b);
      const low = (BigInt(c) << 32n) | BigInt(d);
      yield [(((high << 64n) | low) << 8n) | BigInt(length - 1), true];
    }
  }

  /** Puts the key into `scratch`; the set it belongs to. */
  private read(key: NetworkKey): TupleSet {
    if (typeof key === 'number') {
      scratch[0] = Math.floor(key / 64);
      scratch[1] = (key % 64) + 1;
      return this.v4;
    }
    const first = key >> 8n;
    view.setBigUint64(0, first >> 64n);
    view.setBigUint64(8, first); // its low 64 bits
    for (let word = 0; word < 4; word += 1) scratch[word] = view.getUint32(4 * word);
    scratch[4] = Number(key & 255n) + 1;
    return this.v6;
  }
}

/** Tuples of so many words, of which the last is not 0. All questions are about the tuple in `scratch`. */
class TupleSet {
  private readonly shards: (Words | undefined)[];
  private readonly used: number[];

  constructor(
    private readonly width: number,
    parts?: TupleParts,
  ) {
    this.shards = parts === undefined ? new Array<Words | undefined>(SHARDS).fill(undefined) : [...parts.shards];
    this.used = parts === undefined ? new Array<number>(SHARDS).fill(0) : [...parts.used];
  }

  parts(): TupleParts {
    return { shards: this.shards, used: this.used };
  }

  get size(): number {
    return this.used.reduce((sum, used) => sum + used, 0);
  }

  get octets(): number {
    return this.shards.reduce((sum, words) => sum + (words?.byteLength ?? 0), 0);
  }

  has(): boolean {
    const hash = hashOf(scratch, 0, this.width);
    const words = this.shards[hash & (SHARDS - 1)];
    return words !== undefined && this.slotOf(words, hash) < 0;
  }

  add(): void {
    const hash = hashOf(scratch, 0, this.width);
    const index = hash & (SHARDS - 1);
    const words = (this.shards[index] ??= wordsFor(FIRST_SLOTS * this.width));
    const slot = this.slotOf(words, hash);
    if (slot < 0) return;
    for (let word = 0; word < this.width; word += 1) words[slot + word] = scratch[word] ?? 0;
    const used = (this.used[index] ?? 0) + 1;
    this.used[index] = used;
    if (used * this.width * 4 > words.length * 3) this.shards[index] = this.grown(words);
  }

  *tuples(): Generator<Uint32Array> {
    for (const words of this.shards) {
      if (words === undefined) continue;
      for (let at = 0; at < words.length; at += this.width) {
        if (words[at + this.width - 1] !== 0) yield words.subarray(at, at + this.width);
      }
    }
  }

  /** Where the tuple belongs, or -1 when it is there. */
  private slotOf(words: Words, hash: number): number {
    const { width } = this;
    const last = words.length / width - 1;
    for (let slot = (hash >>> 8) & last; ; slot = (slot + 1) & last) {
      const at = slot * width;
      if (words[at + width - 1] === 0) return at;
      let word = 0;
      while (word < width && words[at + word] === scratch[word]) word += 1;
      if (word === width) return -1;
    }
  }

  private grown(old: Words): Words {
    const { width } = this;
    const words = wordsFor(old.length * 2);
    const last = words.length / width - 1;
    for (let from = 0; from < old.length; from += width) {
      if (old[from + width - 1] === 0) continue;
      let slot = (hashOf(old, from, width) >>> 8) & last;
      while (words[slot * width + width - 1] !== 0) slot = (slot + 1) & last;
      words.set(old.subarray(from, from + width), slot * width);
    }
    return words;
  }
}

function wordsFor(length: number): Words {
  return new Uint32Array(new SharedArrayBuffer(length * Uint32Array.BYTES_PER_ELEMENT));
}

/** Low bits (the shard) and high bits (the slot) are independent. */
function hashOf(words: Uint32Array, from: number, width: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < from + width; at += 1) {
    hash = Math.imul(hash ^ (words[at] ?? 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  }
  return (hash ^ (hash >>> 16)) >>> 0;
}
