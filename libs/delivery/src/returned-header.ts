/** The failed message's header as it is attached to a bounce: bounded, and quoted where it is not plain 7-bit lines. */

/** Enough for any real header; longer ones are cut after a whole line. */
export const MAX_HEADER_BYTES = 32_768;
const MAX_PLAIN_LINE = 998;
const MAX_QUOTED_LINE = 72;
/** Of one encoded word, before base64. */
const MAX_WORD_OCTETS = 42;
const LF = 10;
const EQUALS = 61;

/** Everything up to the empty line, without it. What is cut off is cut at a line end. */
export function headerOf(head: Uint8Array): Buffer {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, MAX_HEADER_BYTES));
  if (bytes.subarray(0, 2).equals(Buffer.from('\r\n'))) return Buffer.alloc(0);
  const end = bytes.indexOf('\r\n\r\n');
  if (end >= 0) return bytes.subarray(0, end + 2);
  const lastLine = bytes.lastIndexOf(LF);
  return bytes.subarray(0, lastLine + 1);
}

const BARE_LINE_END = /\r(?!\n)|(?<!\r)\n/;

/** 8-bit octets, controls, bare CR or LF and overlong lines may not stand in a 7-bit part. RFC 2045 s2.7. */
export function needsQuoting(header: Buffer): boolean {
  const text = header.toString('latin1');
  if (BARE_LINE_END.test(text)) return true;
  return /[^\t\r\n\u0020-\u007e]/.test(text) || text.split('\r\n').some((line) => line.length > MAX_PLAIN_LINE);
}

/** RFC 2045 s6.7, line by line. */
export function quotedPrintable(bytes: Buffer): string[] {
  return bytes.toString('latin1').split('\r\n').flatMap(quoteLine);
}

/** RFC 2047 s2: text in a header field, as it is where it is ASCII. Lines are folded. */
export function encodedWords(text: string): string {
  if (!/[^\u0020-\u007e]/.test(text)) return text;
  const words: string[] = [];
  let current = '';
  for (const character of text) {
    if (Buffer.byteLength(current + character) > MAX_WORD_OCTETS) {
      words.push(current);
      current = '';
    }
    current += character;
  }
  return [...words, current].map((word) => `=?utf-8?B?${Buffer.from(word).toString('base64')}?=`).join('\r\n ');
}

function quoteLine(line: string): string[] {
  const lines: string[] = [];
  let current = '';
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    const isPlain =
      (code > 32 && code < 127 && code !== EQUALS) || ((code === 32 || code === 9) && at < line.length - 1);
    const piece = isPlain ? line.charAt(at) : `=${code.toString(16).toUpperCase().padStart(2, '0')}`;
    if (current.length + piece.length > MAX_QUOTED_LINE) {
      lines.push(`${current}=`);
      current = '';
    }
    current += piece;
  }
  return [...lines, current];
}
