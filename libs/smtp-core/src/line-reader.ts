/**
 * Received octets → command lines. RFC 5321 s2.3.8, s4.5.3.1.4.
 *
 * Only CR LF ends a line. A bare CR, a bare LF or a NUL is `bad-line-end`, told at the very octet that shows it: such a
 * stream means different commands to different readers, so the session must not go on with it. A line over the limit
 * is `too-long`, told at its end; its excess is counted, not held.
 *
 * `Buffer` here and in its neighbours is the global, used for indexOf and latin1 at native speed; it is no I/O.
 */

/** A line without its CR LF, one character per octet (latin1). */
export type LineEvent =
  { readonly kind: 'line'; readonly text: string } | { readonly kind: 'too-long' } | { readonly kind: 'bad-line-end' };

const NUL = 0;
const LF = 10;
const CR = 13;
const FIRST_HELD_BYTES = 256;

export class LineReader {
  /** Behind the last octet read by `read`. */
  next = 0;
  readonly #maxBytes: number;
  #held: Buffer | undefined;
  #length = 0;
  #afterCr = false;

  /** `maxBytes` counts the CR LF. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True when a line has begun and not ended. */
  get partial(): boolean {
    return this.#length > 0 || this.#afterCr;
  }

  /** The next event in `bytes` from `from` on; undefined when all was read and the line goes on. */
  read(bytes: Buffer, from: number): LineEvent | undefined {
    if (!this.partial) {
      const lf = bytes.indexOf(LF, from);
      if (lf > from && bytes[lf - 1] === CR && lf + 1 - from <= this.#maxBytes) {
        const text = bytes.toString('latin1', from, lf - 1);
        this.next = lf + 1;
        return text.includes('\r') || text.includes('\0') ? { kind: 'bad-line-end' } : { kind: 'line', text };
      }
    }
    return this.#readInPieces(bytes, from);
  }

  // Lines that came in pieces, are too long, or are wrong. INVARIANT (bounded): holds at most `maxBytes`.
  #readInPieces(bytes: Buffer, from: number): LineEvent | undefined {
    const lf = bytes.indexOf(LF, from);
    const end = lf < 0 ? bytes.length : lf + 1;
    let at = from;
    while (at < end) {
      if (this.#afterCr || bytes[at] === LF || bytes[at] === NUL) {
        this.next = at + 1;
        return this.#finish(this.#afterCr && bytes[at] === LF);
      }
      const mark = markIn(bytes, at, end);
      this.#hold(bytes, at, mark);
      at = mark;
      if (bytes[mark] === CR && mark < end) {
        this.#afterCr = true;
        at = mark + 1;
      }
    }
    this.next = bytes.length;
    return undefined;
  }

  #finish(ends: boolean): LineEvent {
    const length = this.#length;
    const text = this.#held?.toString('latin1', 0, Math.min(length, this.#maxBytes)) ?? '';
    this.#held = undefined;
    this.#length = 0;
    this.#afterCr = false;
    if (!ends) return { kind: 'bad-line-end' };
    return length + 2 > this.#maxBytes ? { kind: 'too-long' } : { kind: 'line', text };
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    const length = Math.min(this.#length, this.#maxBytes);
    const held = Math.min(to - from, this.#maxBytes - length);
    if (held > 0) {
      this.#roomFor(length, length + held).set(bytes.subarray(from, from + held), length);
    }
    this.#length += to - from;
  }

  /** The buffer of the line, its first `length` octets kept, with room for `wanted` of them. */
  #roomFor(length: number, wanted: number): Buffer {
    const had = this.#held;
    if (had !== undefined && had.length >= wanted) return had;
    const size = Math.min(Math.max(FIRST_HELD_BYTES, wanted, (had?.length ?? 0) * 2), this.#maxBytes);
    const larger = Buffer.allocUnsafeSlow(size);
    had?.copy(larger, 0, 0, length);
    this.#held = larger;
    return larger;
  }
}

/** Where the first CR or NUL is, or `end`; an LF is nowhere but at `end - 1`, behind the octets that count. */
function markIn(bytes: Buffer, from: number, end: number): number {
  const stretch = bytes.subarray(from, end);
  const cr = stretch.indexOf(CR);
  const nul = (cr < 0 ? stretch : stretch.subarray(0, cr)).indexOf(NUL);
  const mark = nul >= 0 ? nul : cr;
  if (mark >= 0) return from + mark;
  return bytes[end - 1] === LF ? end - 1 : end;
}
