/**
 * The one reader of line ends in message content, for DATA and BDAT alike. RFC 5321 s4.5.2, s2.3.8; RFC 3030 s2.
 *
 * In:  octets of content, cut anywhere.   Out: octets to keep, CR LF preserved, or the end. Content of DATA is
 * dot-stuffed and ends in CR LF . CR LF; that of BDAT holds dots as they are, and its end is told (`finish`).
 * Faults: `bare-cr`, `bare-lf`, `nul` — refused, not repaired: a lenient reader here and a different one downstream is
 * how mail is smuggled; `too-large`. After a fault nothing more is kept, but reading goes on to the true end, so that
 * the rest of the message is not taken for commands. The first fault, by position, is the one that is told.
 *
 * INVARIANT (even work): the work follows the octets, not what they are, and a chunk is handed over in two pieces at
 * most. Only content with stuffed dots is copied.
 */
export type ContentFault = 'bare-cr' | 'bare-lf' | 'nul' | 'too-large';

/** `dots`: stuffed, ends in a lone dot. `chunks`: neither. */
export type ContentFraming = 'dots' | 'chunks';

const NUL = 0;
const LF = 10;
const CR = 13;
const DOT = 46;
/** Equal to no octet. */
const NO_OCTET = -1;
/** Up to so many octets are looked at, or copied, one by one: cheaper than a native call. */
const SHORT_TEXT = 8;
const SHORT_COPY = 48;
const CR_LF: Uint8Array = Uint8Array.of(CR, LF);

/** Where the last octet left the reader. `dot` and `dot-cr` withhold octets that may belong to the terminator. */
type Place = 'line-start' | 'text' | 'cr' | 'dot' | 'dot-cr';

type Keep = (octets: Uint8Array) => void;

export class ContentDecoder {
  readonly #maxBytes: number;
  readonly #dot: number;
  #place: Place = 'line-start';
  #fault: ContentFault | undefined;
  #sizeBytes = 0;
  #receivedBytes = 0;
  // Of the current chunk: start of the octets not kept yet, and what stood before a stuffed dot, without the dots.
  #unkept = 0;
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  // Of the current chunk: the next of each at or behind the reader, as far as searched.
  #lf = -1;
  #cr = -1;
  #nul = -1;

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
   * Reads `bytes` from `from`, gives what is to be kept to `keep` (views of `bytes` or copies, in order), and returns the
   * index behind the terminator, or -1 when `bytes` is used up and the content goes on. Not to be called after the end.
   */
  read(bytes: Buffer, from: number, keep: Keep): number {
    this.#unkept = from;
    this.#lf = this.#cr = this.#nul = -1;
    const after = this.#readOn(bytes, from, keep);
    this.#receivedBytes += (after < 0 ? bytes.length : after) - from;
    return after;
  }

  /**
   * The last chunk has been read. A last line without its CR LF is given one (RFC 3030 s2 lets it be left out, DATA of
   * the next hop does not), so that what is kept is what is sent on.
   */
  finish(keep: Keep): void {
    if (this.#place === 'cr') this.#fail('bare-cr');
    if (this.#place === 'line-start' || this.#fault !== undefined) return;
    keep(CR_LF);
    this.#sizeBytes += CR_LF.length;
    this.#place = 'line-start';
  }

  #readOn(bytes: Buffer, from: number, keep: Keep): number {
    const end = bytes.length;
    let at = from;
    while (at < end) {
      switch (this.#place) {
        case 'line-start':
          at = this.#readLineStart(bytes, at);
          break;
        case 'text':
          at = this.#readText(bytes, at, keep);
          break;
        case 'dot':
          this.#unkept = at;
          this.#place = bytes[at] === CR ? 'dot-cr' : 'text';
          if (this.#place === 'dot-cr') at += 1;
          break;
        default:
          if (bytes[at] !== LF) this.#failAt(bytes, at, 'bare-cr', keep);
          else if (this.#place === 'dot-cr') {
            this.#unkept = at;
            this.#flush(bytes, at, keep);
            return at + 1;
          } else {
            this.#place = 'line-start';
            at += 1;
          }
      }
    }
    this.#flush(bytes, this.#place === 'dot' || this.#place === 'dot-cr' ? this.#unkept : end, keep);
    return -1;
  }

  #readLineStart(bytes: Buffer, at: number): number {
    if (bytes[at] !== this.#dot) {
      this.#place = 'text';
      return at;
    }
    this.#gather(bytes, at);
    this.#unkept = at + 1;
    this.#place = 'dot';
    return at + 1;
  }

  /** Lines up to one that begins with a dot, or up to something wrong. */
  #readText(bytes: Buffer, from: number, keep: Keep): number {
    const end = bytes.length;
    let at = from;
    for (;;) {
      at = this.#endOfText(bytes, at);
      if (at >= end) return end;
      if (bytes[at] !== CR) {
        this.#failAt(bytes, at, bytes[at] === LF ? 'bare-lf' : 'nul', keep);
        return at + 1;
      }
      at += 1;
      if (at >= end) {
        this.#place = 'cr';
        return end;
      }
      if (bytes[at] !== LF) {
        this.#failAt(bytes, at, 'bare-cr', keep);
        return at;
      }
      at += 1;
      if (at >= end || bytes[at] === this.#dot) {
        this.#place = 'line-start';
        return at;
      }
    }
  }

  /**
   * Where the first CR, LF or NUL is from `from` on, or the end. Short stretches are looked through here, long ones by
   * native search. INVARIANT (linear): each octet is searched once for each of the three, however many there are.
   */
  #endOfText(bytes: Buffer, from: number): number {
    const end = bytes.length;
    const soon = Math.min(from + SHORT_TEXT, end);
    let at = from;
    while (at < soon) {
      const octet = bytes[at] ?? 0;
      if (octet <= CR && (octet === CR || octet === LF || octet === NUL)) return at;
      at += 1;
    }
    if (this.#lf < at) this.#lf = found(bytes.indexOf(LF, at));
    if (this.#cr < at) this.#cr = found(bytes.indexOf(CR, at));
    return Math.min(this.#lf, this.#cr, this.#nextNul(bytes, at), end);
  }

  /** After a fault nothing more can be wrong. */
  #nextNul(bytes: Buffer, at: number): number {
    if (this.#fault !== undefined) return Number.POSITIVE_INFINITY;
    if (this.#nul < at) this.#nul = found(bytes.indexOf(NUL, at));
    return this.#nul;
  }

  /** What is wrong shows at `at`; what stood before it is kept. */
  #failAt(bytes: Buffer, at: number, fault: ContentFault, keep: Keep): void {
    // Dot and CR at the start of a line are no content.
    if (this.#place === 'dot-cr') this.#unkept = at;
    this.#flush(bytes, at, keep);
    this.#fail(fault);
    this.#place = 'text';
  }

  /** Sets aside what stands before a stuffed dot. */
  #gather(bytes: Buffer, to: number): void {
    const from = this.#unkept;
    if (this.#fault !== undefined || to === from) return;
    const gathered = (this.#gathered ??= Buffer.allocUnsafe(bytes.length - from));
    if (to - from >= SHORT_COPY) bytes.copy(gathered, this.#gatheredBytes, from, to);
    else for (let at = from, into = this.#gatheredBytes; at < to; at += 1, into += 1) gathered[into] = bytes[at] ?? 0;
    this.#gatheredBytes += to - from;
  }

  #flush(bytes: Buffer, to: number, keep: Keep): void {
    const gathered = this.#gathered;
    if (gathered === undefined) {
      this.#keep(bytes.subarray(this.#unkept, to), keep);
    } else {
      this.#gather(bytes, to);
      const length = this.#gatheredBytes;
      this.#gathered = undefined;
      this.#gatheredBytes = 0;
      this.#keep(gathered.subarray(0, length), keep);
    }
    this.#unkept = to;
  }

  #keep(octets: Buffer, keep: Keep): void {
    const length = octets.length;
    if (length === 0 || this.#fault !== undefined) return;
    const room = this.#maxBytes - this.#sizeBytes;
    const kept = Math.min(length, room);
    if (kept > 0) keep(kept === length ? octets : octets.subarray(0, kept));
    this.#sizeBytes += kept;
    if (length > room) this.#fail('too-large');
  }

  #fail(fault: ContentFault): void {
    this.#fault ??= fault;
  }
}

function found(index: number): number {
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}
