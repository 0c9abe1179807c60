/**
 * Octets received and not read yet, as the chunks they came in: no copy, no concatenation.
 */
export class HeldInput {
  #chunks: Buffer[] = [];
  #at = 0;
  #bytes = 0;

  /** Octets left. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The chunk being read, to be read from `at` on. */
  get chunk(): Buffer | undefined {
    return this.#chunks[0];
  }

  get at(): number {
    return this.#at;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#bytes += bytes.length;
  }

  /** The current chunk has been read up to `at`. Nothing to do when all was cleared meanwhile. */
  advance(at: number): void {
    if (this.#chunks.length === 0) return;
    this.#bytes -= at - this.#at;
    this.#at = at;
    if (at < (this.#chunks[0]?.length ?? 0)) return;
    this.#chunks.shift();
    this.#at = 0;
  }

  clear(): void {
    this.#chunks = [];
    this.#at = 0;
    this.#bytes = 0;
  }
}
