/** Octets put together. */

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const FIRST_BYTES = 1024;

/** Octets that come in pieces. INVARIANT (bounded): holds twice what it was given, however small the pieces were. */
export class OctetBuffer {
  #octets = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A view, valid until more is added. */
  get octets(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  add(chunk: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start;
    if (length > this.#octets.length) {
      const larger = new Uint8Array(Math.max(FIRST_BYTES, length, this.#length * 2));
      larger.set(this.octets);
      this.#octets = larger;
    }
    this.#octets.set(chunk.subarray(start, end), this.#length);
    this.#length = length;
  }

  clear(): void {
    this.#octets = new Uint8Array(0);
    this.#length = 0;
  }
}
