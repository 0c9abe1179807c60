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
    return this.#readByOctets(bytes, from);
  }

  // Lines that came in pieces, are too long, or are wrong. INVARIANT (bounded): holds at most `maxBytes`.
  #readByOctets(bytes: Buffer, from: number): LineEvent | undefined {
    for (let at = from; at < bytes.length; at += 1) {
      const octet = bytes[at] ?? NUL;
      const ends = octet === LF && this.#afterCr;
      const wrong = octet === NUL || (octet === LF) !== this.#afterCr;
      if (ends || wrong) {
        this.next = at + 1;
        return this.#finish(ends);
      }
      if (octet === CR) this.#afterCr = true;
      else this.#hold(octet);
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

  #hold(octet: number): void {
    if (this.#length < this.#maxBytes) {
      this.#held ??= Buffer.allocUnsafeSlow(Math.min(FIRST_HELD_BYTES, this.#maxBytes));
      if (this.#length === this.#held.length) {
        const larger = Buffer.allocUnsafeSlow(Math.min(this.#held.length * 2, this.#maxBytes));
        this.#held.copy(larger);
        this.#held = larger;
      }
      this.#held[this.#length] = octet;
    }
    this.#length += 1;
  }
}
