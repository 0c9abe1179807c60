/**
 * Encoded words in unstructured text. RFC 2047. Lenient as mail programs are: also inside quotes, also too long ones.
 *
 * INVARIANT (linear): each character is looked at a bounded number of times, whatever stands there.
 */
import { CharsetBudget, decodeCharset } from './charsets.js';
import { readBase64, readQ } from './transfer-encoding.js';

const MAX_CHARSET = 60;
const MAX_CONTENT = 4000;
const QUESTION = 63;
const EQUALS = 61;
const SPACE = 32;
const SPACES = /\s/;
const LETTER_B = 98;
const LETTER_Q = 113;
/** Of UTF-8, at most. */
const OCTETS_PER_CHARACTER = 3;

interface Word {
  /** Lower case, without a language (RFC 2231 s5). */
  readonly charset: string;
  readonly isBase64: boolean;
  /** From `=?` to what is behind `?=`, and between them the content. */
  readonly begin: number;
  readonly from: number;
  readonly to: number;
  readonly end: number;
}

/** `text` with its encoded words decoded; words in charsets that nobody knows stay as they are. */
export function decodeWords(text: string): string {
  let word = nextWord(text, 0);
  if (word === undefined) return text;
  const octets = new Uint8Array((text.length - word.from) * OCTETS_PER_CHARACTER);
  const budget = new CharsetBudget();
  let result = '';
  let plainFrom = 0;
  while (word !== undefined) {
    const { begin } = word;
    const charset: string = word.charset;
    result += text.slice(plainFrom, begin);
    // A character may be cut in two by the end of a word: neighbours in one charset are decoded together.
    let length = 0;
    let end = begin;
    let next: Word | undefined = word;
    while (next?.charset === charset && isBlank(text, end, next.begin)) {
      length = (next.isBase64 ? readBase64 : readQ)(text, next, octets, length);
      end = next.end;
      next = nextWord(text, end);
    }
    result += decodeCharset(octets.subarray(0, length), charset, budget) ?? text.slice(begin, end);
    // Blanks between two words belong to neither.
    plainFrom = next !== undefined && isBlank(text, end, next.begin) ? next.begin : end;
    word = next;
  }
  return result + text.slice(plainFrom);
}

/** The first one that begins at `from` or behind. */
function nextWord(text: string, from: number): Word | undefined {
  for (let begin = text.indexOf('=?', from); begin >= 0; begin = text.indexOf('=?', begin + 2)) {
    const word = wordAt(text, begin);
    if (word !== undefined) return word;
  }
  return undefined;
}

function wordAt(text: string, begin: number): Word | undefined {
  const question = endOfCharset(text, begin + 2);
  if (question < 0 || text.charCodeAt(question + 2) !== QUESTION) return undefined;
  const letter = text.charCodeAt(question + 1) | 32;
  const isBase64 = letter === LETTER_B;
  if (!isBase64 && letter !== LETTER_Q) return undefined;
  const from = question + 3;
  const to = text.indexOf('?', from);
  if (to < 0 || to - from > MAX_CONTENT || text.charCodeAt(to + 1) !== EQUALS) return undefined;
  const label = text.slice(begin + 2, question).toLowerCase();
  const star = label.indexOf('*');
  return { charset: star < 0 ? label : label.slice(0, star), isBase64, begin, from, to, end: to + 2 };
}

/** Where its question mark is; -1 when what is there is no charset. */
function endOfCharset(text: string, from: number): number {
  const end = Math.min(text.length, from + MAX_CHARSET + 1);
  for (let at = from; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUESTION) return at === from ? -1 : at;
    if ((code <= SPACE || code > 127) && SPACES.test(text.charAt(at))) return -1;
  }
  return -1;
}

function isBlank(text: string, from: number, to: number): boolean {
  return from === to || text.slice(from, to).trim() === '';
}
