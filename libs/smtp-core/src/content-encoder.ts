/**
 * Message content → octets after the 354 reply: dot-stuffing and the terminator. RFC 5321 s4.5.2.
 *
 * In: canonical content, every line ended by CRLF, cut anywhere. A bare CR or bare LF is a broken invariant and
 * throws `ContentNotCanonical` *before* any octet of that chunk is returned: what this gateway sends can never be
 * read differently by the next hop. Content that does not end a line gets its CRLF from the terminator.
 */
const LF = 10;
const CR = 13;
const DOT = 46;
const AFTER_LINE = Buffer.from('.\r\n', 'latin1');
const AFTER_PART = Buffer.from('\r\n.\r\n', 'latin1');

/** Stored content was not what it must be; the transaction must be abandoned without a terminator. */
export class ContentNotCanonical extends Error {
  constructor(what: string) {
    super(`message content holds a ${what}, expected lines that end in CRLF`);
    this.name = 'ContentNotCanonical';
  }
}

export class ContentEncoder {
  #atLineStart = true;
  #afterCr = false;

  /** The chunk as it goes to the wire; the same object when nothing had to be stuffed (the caller may not reuse it). */
  encode(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    const input = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const dots = this.#check(input);
    return dots.length === 0 ? chunk : stuff(input, dots);
  }

  /** What ends the content; the encoder is spent. */
  end(): Uint8Array {
    if (this.#afterCr) throw new ContentNotCanonical('bare CR');
    return this.#atLineStart ? AFTER_LINE : AFTER_PART;
  }

  /** INVARIANT (canonical): every CR is followed by LF and every LF follows a CR. Returns where dots are doubled. */
  #check(input: Buffer): number[] {
    const dots: number[] = [];
    let at = 0;
    if (this.#afterCr) {
      if (input[0] !== LF) throw new ContentNotCanonical('bare CR');
      at = 1;
    }
    if (at === 1 || this.#atLineStart) this.#noteDot(input, at, dots);
    let lineStart = at === 1 || this.#atLineStart;
    let pendingCr = false;
    while (at < input.length) {
      const lf = input.indexOf(LF, at);
      const cr = input.indexOf(CR, at);
      if (lf < 0) {
        if (cr >= 0 && cr !== input.length - 1) throw new ContentNotCanonical('bare CR');
        pendingCr = cr >= 0;
        lineStart = false;
        break;
      }
      if (cr !== lf - 1 || cr < 0) throw new ContentNotCanonical(cr >= 0 && cr < lf ? 'bare CR' : 'bare LF');
      at = lf + 1;
      lineStart = true;
      this.#noteDot(input, at, dots);
    }
    this.#afterCr = pendingCr;
    this.#atLineStart = lineStart;
    return dots;
  }

  #noteDot(input: Buffer, at: number, dots: number[]): void {
    if (input[at] === DOT) dots.push(at);
  }
}

/** Whole content at once, terminator included. */
export function stuffContent(content: Uint8Array): Uint8Array {
  const encoder = new ContentEncoder();
  const body = encoder.encode(content);
  return Buffer.concat([body, encoder.end()]);
}

function stuff(input: Buffer, dots: readonly number[]): Buffer {
  const output = Buffer.allocUnsafe(input.length + dots.length);
  let from = 0;
  let to = 0;
  for (const dot of dots) {
    to += input.copy(output, to, from, dot);
    output[to++] = DOT;
    from = dot;
  }
  input.copy(output, to, from);
  return output;
}
