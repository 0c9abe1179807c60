/**
 * Content → the body of an mbox entry (mboxrd): lines end in LF, `From ` at the start of a line gets a `>` in front, and
 * so does `>From `, so that it can be taken away again. Octets in, cut anywhere; octets out.
 */

/** A line longer than this is passed on in pieces: whether it starts with `From ` is known long before. */
const MAX_HELD = 65_536;
const LF = 10;
const CR = 13;
const QUOTE = Buffer.from('>');

export class MboxLines {
  #held = Buffer.alloc(0);
  #inLine = false;

  encode(chunk: Uint8Array): Buffer {
    const input = Buffer.concat([this.#held, chunk]);
    const out: Buffer[] = [];
    let start = 0;
    for (let end = input.indexOf(LF); end >= 0; end = input.indexOf(LF, start)) {
      const textEnd = end > start && input[end - 1] === CR ? end - 1 : end;
      this.#put(out, input.subarray(start, textEnd));
      out.push(Buffer.from([LF]));
      this.#inLine = false;
      start = end + 1;
    }
    const rest = input.subarray(start);
    if (rest.length > MAX_HELD) {
      this.#put(out, rest.subarray(0, -1));
      this.#inLine = true;
      this.#held = Buffer.from(rest.subarray(-1));
    } else this.#held = Buffer.from(rest);
    return Buffer.concat(out);
  }

  /** The last line, ended. */
  end(): Buffer {
    if (this.#held.length === 0 && !this.#inLine) return Buffer.alloc(0);
    return this.encode(Buffer.from([LF]));
  }

  #put(out: Buffer[], text: Buffer): void {
    if (!this.#inLine && startsWithFrom(text)) out.push(QUOTE);
    out.push(text);
  }
}

function startsWithFrom(text: Buffer): boolean {
  let at = 0;
  while (text[at] === QUOTE[0]) at += 1;
  return text.toString('latin1', at, at + 5) === 'From ';
}
