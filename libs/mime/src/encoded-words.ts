/** Encoded words in unstructured text. RFC 2047. Lenient as mail programs are: also inside quotes, also too long ones. */
import { decodeBase64, decodeQEncoding } from './transfer-encoding.js';

const WORD = /=\?([^?\s]{1,60})\?([BbQq])\?([^?]{0,4000})\?=/g;

/** Text of octets in a charset; undefined when the charset is not known. */
export function decodeCharset(octets: Uint8Array, charset: string): string | undefined {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return undefined;
  }
}

interface Run {
  readonly charset: string;
  readonly pieces: Uint8Array[];
  readonly raw: string;
}

/** `text` with its encoded words decoded; words in charsets that nobody knows stay as they are. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  let result = '';
  let run: Run | undefined;
  let end = 0;
  for (const match of text.matchAll(WORD)) {
    const [whole, charsetAndLanguage = '', encoding = '', content = ''] = match;
    const between = text.slice(end, match.index);
    const charset = (charsetAndLanguage.split('*')[0] ?? '').toLowerCase();
    const octets = encoding.toLowerCase() === 'b' ? decodeBase64(content) : decodeQEncoding(content);
    const adjacent = run !== undefined && between.trim() === '';
    if (run !== undefined && adjacent && run.charset === charset) {
      // A character may be cut in two by the end of a word.
      run.pieces.push(octets);
      run = { ...run, raw: `${run.raw}${between}${whole}` };
    } else {
      result += runText(run) + (adjacent ? '' : between);
      run = { charset, pieces: [octets], raw: whole };
    }
    end = match.index + whole.length;
  }
  return result + runText(run) + text.slice(end);
}

function runText(run: Run | undefined): string {
  if (run === undefined) return '';
  return decodeCharset(joined(run.pieces), run.charset) ?? run.raw;
}

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
