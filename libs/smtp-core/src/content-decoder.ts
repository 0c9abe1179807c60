/**
 * The one reader of line ends in message content, for DATA and BDAT alike. RFC 5321 s4.5.2, s2.3.8; RFC 3030 s2.
 *
 * In:  octets of content, cut anywhere.   Out: octets to keep, CR LF preserved, or the end. Content of DATA is
 * dot-stuffed and ends in CR LF . CR LF; that of BDAT holds dots as they are, and its end is told (`finish`).
 * Faults: `bare-cr`, `bare-lf`, `nul` — refused, not repaired: a lenient reader here and a different one downstream is
 * how mail is smuggled; `too-large`. After a fault nothing more is kept, but reading goes on to the true end, so that
 * the rest of the message is not taken for commands. The first fault, by position, is the one that is told.
 *
 * The common case costs two native searches a line and no copy.
 */
export type ContentFault = 'bare-cr' | 'bare-lf' | 'nul' | 'too-large';

/** `dots`: stuffed, ends in a lone dot. `chunks`: neither. */
export type ContentFraming = 'dots' | 'chunks';

const LF = 10;
const CR = 13;
const DOT = 46;
/** Equal to no octet. */
const NO_OCTET = -1;
const CR_LF: Uint8Array = Uint8Array.of(CR, LF);

/** Where the last octet left the reader. `dot` and `dot-cr` withhold octets that may belong to the terminator. */
type Place = 'line-start' | 'text' | 'cr' | 'dot' | 'dot-cr';

export class ContentDecoder {
  readonly #maxBytes: number;
  readonly #dot: number;
  #place: Place = 'line-start';
  #fault: ContentFault | undefined;
  #sizeBytes = 0;
  #receivedBytes = 0;
  // Of the current chunk: start of the octets not kept yet, and the next LF and CR at or behind the reader.
  #unkept = 0;
  #lf = -1;
  #cr = -1;

  /** `maxBytes` counts unstuffed octets. */
  constructor(maxBytes: number = Number.POSITIVE_INFINITY, framing: ContentFraming = 'dots') {
    this.#maxBytes = maxBytes;
    this.#dot = framing === 'dots' ? DOT : NO_OCTET;
  }

  get fault(): ContentFault | undefined {
    return this.#fault;
  }

  /** Octets kept so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Octets read so far, whatever became of them. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /**
   * Reads `bytes` from `from`, gives what is to be kept to `keep` (views of `bytes`, in order), and returns the index
   * behind the terminator, or -1 when `bytes` is used up and the content goes on. Not to be called after the end.
   */
  read(bytes: Buffer, from: number, keep: (octets: Uint8Array) => void): number {
    this.#unkept = from;
    this.#lf = -1;
    this.#cr = -1;
    const nul = this.#fault === undefined ? bytes.indexOf(0, from) : -1;
    let after = this.#readUpTo(bytes, from, nul < 0 ? bytes.length : nul, keep);
    if (nul >= 0 && after < 0) {
      this.#fail(this.#place === 'cr' || this.#place === 'dot-cr' ? 'bare-cr' : 'nul');
      this.#place = 'text';
      after = this.#readUpTo(bytes, nul, bytes.length, keep);
    }
    this.#receivedBytes += (after < 0 ? bytes.length : after) - from;
    return after;
  }

  /**
   * The last chunk has been read. A last line without its CR LF is given one (RFC 3030 s2 lets it be left out, DATA of
   * the next hop does not), so that what is kept is what is sent on.
   */
  finish(keep: (octets: Uint8Array) => void): void {
    if (this.#place === 'cr') this.#fail('bare-cr');
    if (this.#place === 'line-start' || this.#fault !== undefined) return;
    keep(CR_LF);
    this.#sizeBytes += CR_LF.length;
    this.#place = 'line-start';
  }

  #readUpTo(bytes: Buffer, from: number, end: number, keep: (octets: Uint8Array) => void): number {
    let at = from;
    while (at < end) {
      if (this.#place === 'line-start') {
        if (bytes[at] === this.#dot) {
          this.#flush(bytes, at, keep);
          at += 1;
          this.#unkept = at;
          this.#place = 'dot';
          continue;
        }
        this.#place = 'text';
      }
      if (this.#place === 'text') {
        at = this.#readLine(bytes, at, end, keep);
        continue;
      }
      const lf = bytes[at] === LF;
      if (this.#place === 'dot-cr' && lf) return at + 1;
      at = this.#readAfterMark(bytes, at, lf);
    }
    if (this.#place !== 'dot' && this.#place !== 'dot-cr') this.#flush(bytes, end, keep);
    this.#unkept = end;
    return -1;
  }

  // The octet behind a line's first dot, or behind a CR that ended a chunk.
  #readAfterMark(bytes: Buffer, at: number, lf: boolean): number {
    if (this.#place === 'dot') {
      const cr = bytes[at] === CR;
      this.#place = cr ? 'dot-cr' : 'text';
      this.#unkept = cr ? at + 1 : at;
      return cr ? at + 1 : at;
    }
    if (this.#place === 'cr' && lf) {
      this.#place = 'line-start';
      return at + 1;
    }
    this.#fail('bare-cr');
    this.#place = 'text';
    return at;
  }

  // The rest of a line. INVARIANT (linear): each octet is searched once for LF and once for CR, however many there are.
  #readLine(bytes: Buffer, at: number, end: number, keep: (octets: Uint8Array) => void): number {
    if (this.#lf < at) this.#lf = found(bytes.indexOf(LF, at));
    if (this.#cr < at) this.#cr = found(bytes.indexOf(CR, at));
    const lf = this.#lf;
    const cr = this.#cr;
    if (lf === cr + 1 && lf < end) {
      this.#place = 'line-start';
      return lf + 1;
    }
    if (lf >= end && cr >= end) return end;
    if (cr === end - 1 && cr < lf) {
      this.#place = 'cr';
      return end;
    }
    const wrong = Math.min(lf, cr);
    this.#flush(bytes, cr < lf ? cr + 1 : lf, keep);
    this.#fail(cr < lf ? 'bare-cr' : 'bare-lf');
    return wrong + 1;
  }

  #flush(bytes: Buffer, to: number, keep: (octets: Uint8Array) => void): void {
    const length = to - this.#unkept;
    if (length <= 0 || this.#fault !== undefined) return;
    const room = this.#maxBytes - this.#sizeBytes;
    const kept = Math.min(length, room);
    if (kept > 0) keep(bytes.subarray(this.#unkept, this.#unkept + kept));
    this.#sizeBytes += kept;
    this.#unkept = to;
    if (length > room) this.#fail('too-large');
  }

  #fail(fault: ContentFault): void {
    this.#fault ??= fault;
  }
}

function found(index: number): number {
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}
