/**
 * The header of a message as octets: what signatures are computed over, so nothing is decoded, repaired or unfolded here.
 * RFC 5322 s2.2. Text is latin1: one character is one octet.
 *
 * Not a parser for decisions; lines that are no field are kept where they are and have no name.
 */

export interface RawField {
  /** Lower case; '' for a line that is no field. */
  readonly name: string;
  /** From the first octet of the name to before the final CRLF, folds included. */
  readonly raw: string;
}

export interface RawHeader {
  readonly fields: readonly RawField[];
  /** Octets of the header, the empty line behind it included; what follows is the body. */
  readonly lengthBytes: number;
  /** False: `content` ended before the header did. */
  readonly complete: boolean;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;

/** `content`: a message from its first octet on, the whole header included where that is possible. */
export function readRawHeader(content: Uint8Array): RawHeader {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const fields: RawField[] = [];
  let start = 0;
  while (start < bytes.length) {
    const empty = emptyLineLength(bytes, start);
    if (empty > 0) return { fields, lengthBytes: start + empty, complete: true };
    const end = endOfField(bytes, start);
    fields.push(rawField(withoutLineEnd(bytes.toString('latin1', start, end))));
    start = end;
  }
  return { fields, lengthBytes: start, complete: false };
}

/** From text without its final CRLF. */
export function rawField(raw: string): RawField {
  const colon = raw.indexOf(':');
  const name = colon === -1 ? '' : raw.slice(0, colon).trimEnd().toLowerCase();
  return { name: /^[!-9;-~]+$/.test(name) ? name : '', raw };
}

/** What stands behind the colon, unfolded, without space around it. */
export function fieldBody(field: RawField): string {
  return field.raw
    .slice(field.raw.indexOf(':') + 1)
    .replace(/\r?\n(?=[ \t])/g, '')
    .trim();
}

function emptyLineLength(bytes: Buffer, at: number): number {
  if (bytes[at] === LF) return 1;
  return bytes[at] === CR && bytes[at + 1] === LF ? 2 : 0;
}

function endOfField(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const lf = bytes.indexOf(LF, at);
    if (lf === -1) return bytes.length;
    at = lf + 1;
    if (bytes[at] !== SPACE && bytes[at] !== TAB) return at;
  }
}

function withoutLineEnd(text: string): string {
  if (!text.endsWith('\n')) return text;
  return text.slice(0, text.endsWith('\r\n') ? -2 : -1);
}
