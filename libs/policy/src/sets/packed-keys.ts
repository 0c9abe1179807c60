/**
 * A set of texts in a few typed arrays: about 40 octets for an address of 25, look-ups that cost the same for ten
 * entries and for ten million, and no pause while it grows.
 *
 * Open addressing over 256 shards, each of which grows alone: the longest step of a set of a million entries moves
 * 4000 of them. A slot holds the 32-bit hash and where the octets stand; equal hashes are compared octet by octet. All
 * arrays are on shared memory, so that a worker thread can build a set and hand it over without a copy.
 *
 * Entries are added only; what is removed is hidden by a layer above (layers.ts).
 */
const SHARDS = 256;
const SEGMENT_BITS = 20;
const SEGMENT_OCTETS = 1 << SEGMENT_BITS;
const FIRST_SLOTS = 16;
/** Longest text that is kept; longer ones are the caller's to keep elsewhere. */
export const MAX_PACKED_OCTETS = 1024;

interface Shard {
  /** Pairs of hash and place + 1; a place of 0 is a free slot. */
  slots: Uint32Array<SharedArrayBuffer>;
  used: number;
}

/** What a set consists of; survives a structured clone, which shares the memory. */
export interface PackedParts {
  readonly size: number;
  readonly segments: readonly Uint8Array<SharedArrayBuffer>[];
  readonly shards: readonly (Uint32Array<SharedArrayBuffer> | undefined)[];
  readonly used: readonly number[];
}

/** UTF-8 of the text that is being looked up; no text is looked up while another one is. */
const scratch = new Uint8Array(3 * MAX_PACKED_OCTETS);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes the text's octets into `scratch`; -1 when it is too long. */
function encode(text: string): number {
  const { length } = text;
  if (length > MAX_PACKED_OCTETS) return -1;
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 127) return encodeUtf8(text);
    scratch[i] = code;
  }
  return length;
}

function encodeUtf8(text: string): number {
  const { written } = encoder.encodeInto(text, scratch);
  return written > MAX_PACKED_OCTETS ? -1 : written;
}

/** FNV-1a with a last stir, so that the low bits (the shard) and the high ones (the slot) are independent. */
function hashOf(octets: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < octets; i += 1) hash = Math.imul(hash ^ (scratch[i] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class PackedKeys {
  private count = 0;
  private readonly shards: (Shard | undefined)[] = new Array<Shard | undefined>(SHARDS).fill(undefined);
  private readonly segments: Uint8Array<SharedArrayBuffer>[] = [];
  private place = SEGMENT_OCTETS;

  static of(parts: PackedParts): PackedKeys {
    const keys = new PackedKeys();
    keys.count = parts.size;
    keys.segments.push(...parts.segments);
    for (const [index, slots] of parts.shards.entries()) {
      if (slots !== undefined) keys.shards[index] = { slots, used: parts.used[index] ?? 0 };
    }
    return keys;
  }

  /** The memory itself: nothing may be added to either side afterwards. */
  parts(): PackedParts {
    return {
      size: this.count,
      segments: this.segments,
      shards: this.shards.map((shard) => shard?.slots),
      used: this.shards.map((shard) => shard?.used ?? 0),
    };
  }

  get size(): number {
    return this.count;
  }

  /** Octets of memory. */
  get octets(): number {
    const slots = this.shards.reduce((sum, shard) => sum + (shard?.slots.byteLength ?? 0), 0);
    return slots + this.segments.length * SEGMENT_OCTETS;
  }

  has(text: string): boolean {
    const octets = encode(text);
    if (octets < 0) return false;
    const hash = hashOf(octets);
    const shard = this.shards[hash & (SHARDS - 1)];
    return shard !== undefined && this.slotOf(shard, hash, octets) < 0;
  }

  /** False when it is there already. Texts longer than `MAX_PACKED_OCTETS` throw. */
  add(text: string): boolean {
    const octets = encode(text);
    if (octets < 0) throw new RangeError(`text longer than ${String(MAX_PACKED_OCTETS)} octets`);
    const hash = hashOf(octets);
    const shard = this.shardOf(hash & (SHARDS - 1));
    const slot = this.slotOf(shard, hash, octets);
    if (slot < 0) return false;
    shard.slots[slot] = hash;
    shard.slots[slot + 1] = this.store(octets) + 1;
    shard.used += 1;
    this.count += 1;
    if (shard.used * 8 > shard.slots.length * 3) grow(shard);
    return true;
  }

  *keys(): Generator<string> {
    for (const shard of this.shards) {
      if (shard === undefined) continue;
      for (let slot = 1; slot < shard.slots.length; slot += 2) {
        const place = shard.slots[slot] ?? 0;
        if (place !== 0) yield this.textAt(place - 1);
      }
    }
  }

  private shardOf(index: number): Shard {
    const shard = this.shards[index] ?? { slots: slotsFor(FIRST_SLOTS), used: 0 };
    this.shards[index] = shard;
    return shard;
  }

  /** Index of the free slot where the text in `scratch` belongs, or -1 when it is there. */
  private slotOf({ slots }: Shard, hash: number, octets: number): number {
    const last = slots.length / 2 - 1;
    for (let at = (hash >>> 8) & last; ; at = (at + 1) & last) {
      const place = slots[2 * at + 1] ?? 0;
      if (place === 0) return 2 * at;
      if (slots[2 * at] === hash && this.isAt(place - 1, octets)) return -1;
    }
  }

  private isAt(place: number, octets: number): boolean {
    const segment = this.segments[place >>> SEGMENT_BITS];
    const from = place & (SEGMENT_OCTETS - 1);
    if (segment === undefined || lengthAt(segment, from) !== octets) return false;
    for (let i = 0; i < octets; i += 1) if (segment[from + 2 + i] !== scratch[i]) return false;
    return true;
  }

  /** Two octets of length, then the text; a text never crosses the end of a segment. */
  private store(octets: number): number {
    if (this.place + octets + 2 > SEGMENT_OCTETS) {
      this.segments.push(new Uint8Array(new SharedArrayBuffer(SEGMENT_OCTETS)));
      this.place = 0;
    }
    const index = this.segments.length - 1;
    const segment = this.segments[index];
    if (segment === undefined) throw new Error('no segment');
    segment[this.place] = octets >>> 8;
    segment[this.place + 1] = octets & 255;
    segment.set(scratch.subarray(0, octets), this.place + 2);
    const place = index * SEGMENT_OCTETS + this.place;
    this.place += octets + 2;
    return place;
  }

  private textAt(place: number): string {
    const segment = this.segments[place >>> SEGMENT_BITS];
    const from = place & (SEGMENT_OCTETS - 1);
    if (segment === undefined) throw new Error('no segment');
    return decoder.decode(segment.slice(from + 2, from + 2 + lengthAt(segment, from)));
  }
}

function lengthAt(segment: Uint8Array, from: number): number {
  return ((segment[from] ?? 0) << 8) | (segment[from + 1] ?? 0);
}

function slotsFor(count: number): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(count * 8));
}

/** The hashes are kept, so no text is read. */
function grow(shard: Shard): void {
  const old = shard.slots;
  const slots = slotsFor(old.length);
  const last = slots.length / 2 - 1;
  for (let from = 0; from < old.length; from += 2) {
    const place = old[from + 1] ?? 0;
    if (place === 0) continue;
    const hash = old[from] ?? 0;
    let at = (hash >>> 8) & last;
    while (slots[2 * at + 1] !== 0) at = (at + 1) & last;
    slots[2 * at] = hash;
    slots[2 * at + 1] = place;
  }
  shard.slots = slots;
}
