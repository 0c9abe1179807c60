/**
 * The forms of header and body that DKIM and ARC signatures cover. RFC 6376 s3.4.
 *
 * The body streams by: a hash keeps a few octets, however large the message is. Only CRLF ends a line; a lone CR or LF is an
 * octet like any other (content that the gateway accepts has none).
 */
import { createHash, type Hash } from 'node:crypto';
import type { RawField } from './header-fields.js';

/** RFC 6376 s3.4.2: `name:value`, one line, one space for any run of white space; without the final CRLF. */
export function relaxedField({ raw }: RawField): string {
  const colon = raw.indexOf(':');
  const name = raw.slice(0, colon).trimEnd().toLowerCase();
  const value = raw
    .slice(colon + 1)
    .replace(/\r\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .replace(/^ | $/g, '');
  return `${name}:${value}`;
}

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const BLOCK_BYTES = 16_384;

export type BodyForm = 'relaxed' | 'simple';

/**
 * SHA-256 of a body that comes in chunks, cut anywhere. Relaxed (s3.4.4): white space at the end of lines does not count, and
 * a run of it inside is one space. In both forms empty lines at the end do not count, and the last line has its CRLF; an
 * empty body is nothing when relaxed and one CRLF when simple.
 */
export class BodyHash {
  readonly #hash: Hash = createHash('sha256');
  readonly #relaxed: boolean;
  /** Collected before it is hashed: a call for each word costs more than the hash. */
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES);
  #used = 0;
  /** Line ends seen and not hashed yet: they may be the empty lines at the end. */
  #lineEnds = 0;
  /** White space seen and not hashed yet: it may be the end of a line. */
  #space = false;
  #afterCr = false;
  #any = false;

  constructor(form: BodyForm = 'relaxed') {
    this.#relaxed = form === 'relaxed';
  }

  update(chunk: Uint8Array): void {
    for (const octet of chunk) {
      if (this.#afterCr) {
        this.#afterCr = false;
        if (octet === LF) {
          this.#space = false;
          this.#lineEnds += 1;
          continue;
        }
        this.#put(CR);
      }
      if (octet === CR) this.#afterCr = true;
      else if (this.#relaxed && (octet === SPACE || octet === TAB)) this.#space = true;
      else this.#put(octet);
    }
  }

  /** Once, after the last chunk. */
  digest(): Buffer {
    if (this.#afterCr) this.#put(CR);
    if (!this.#relaxed || this.#any) this.#write(CR, LF);
    return this.#hash.update(this.#block.subarray(0, this.#used)).digest();
  }

  /** An octet that counts, and with it what was held back before it. */
  #put(octet: number): void {
    if (this.#lineEnds > 0 || this.#space) this.#release();
    this.#any = true;
    if (this.#used === BLOCK_BYTES) this.#flush();
    this.#block[this.#used] = octet;
    this.#used += 1;
  }

  #release(): void {
    for (; this.#lineEnds > 0; this.#lineEnds -= 1) this.#write(CR, LF);
    if (this.#space) this.#write(SPACE);
    this.#space = false;
  }

  #write(...octets: readonly number[]): void {
    if (this.#used + octets.length > BLOCK_BYTES) this.#flush();
    for (const octet of octets) {
      this.#block[this.#used] = octet;
      this.#used += 1;
    }
  }

  #flush(): void {
    this.#hash.update(this.#block.subarray(0, this.#used));
    this.#used = 0;
  }
}
