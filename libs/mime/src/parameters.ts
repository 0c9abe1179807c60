/**
 * `Content-Type` and `Content-Disposition`: a value and its parameters. RFC 2045 s5.1, RFC 2183, RFC 2231.
 *
 * One pass, no recursion. Where programs differ (an encoded and a plain file name beside each other, encoded words where
 * they are not allowed), all readings are given.
 */
import { decodeCharset } from './charsets.js';
import { decodeWords } from './encoded-words.js';
import { joined } from './octets.js';
import { asOctets, decodePercent } from './transfer-encoding.js';

export interface ParameterizedValue {
  /** Lower case, without comments and space: `text/plain`, `attachment`. */
  readonly value: string;
  /** Parameters as written, names in lower case. */
  readonly params: readonly Parameter[];
}

export interface Parameter {
  readonly name: string;
  readonly text: string;
}

/** Undefined when there are more than `maxParams` parameters. */
export function readParameters(field: string, maxParams: number): ParameterizedValue | undefined {
  const reader = new Reader(field);
  const value = reader.until(';').trim().toLowerCase();
  const params: Parameter[] = [];
  while (!reader.atEnd) {
    const name = reader.until('=;').trim().toLowerCase();
    if (!reader.ended('=')) continue;
    if (params.length >= maxParams) return undefined;
    params.push({ name, text: reader.paramValue() });
  }
  return { value: value.replace(/\s/g, ''), params };
}

class Reader {
  private at = 0;
  private last = '';

  constructor(private readonly text: string) {}

  private get here(): string {
    return this.text.charAt(this.at);
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  ended(by: string): boolean {
    return this.last === by;
  }

  /** Text before one of `stops`, comments left out. The stop is taken. */
  until(stops: string): string {
    let result = '';
    this.last = '';
    while (!this.atEnd) {
      const character = this.text.charAt(this.at);
      if (character === '(') {
        this.skipComment();
        continue;
      }
      this.at += 1;
      if (stops.includes(character)) {
        this.last = character;
        break;
      }
      result += character;
    }
    return result;
  }

  paramValue(): string {
    while (/^[\s(]/.test(this.here)) {
      if (this.here === '(') this.skipComment();
      else this.at += 1;
    }
    if (this.here !== '"') return this.until(';').trim();
    this.at += 1;
    const quoted = this.quoted();
    this.until(';');
    return quoted;
  }

  private quoted(): string {
    let result = '';
    while (!this.atEnd) {
      const character = this.text.charAt(this.at);
      this.at += 1;
      if (character === '"') break;
      if (character === '\\') {
        result += this.here;
        this.at += 1;
      } else {
        result += character;
      }
    }
    return result;
  }

  private skipComment(): void {
    let depth = 0;
    while (!this.atEnd) {
      const character = this.text.charAt(this.at);
      this.at += character === '\\' ? 2 : 1;
      if (character === '(') depth += 1;
      else if (character === ')') depth -= 1;
      if (depth === 0) return;
    }
  }
}

/** Everything that some program would take for the value of the parameter. */
export function paramReadings({ params }: ParameterizedValue, name: string): readonly string[] {
  const readings = new Set<string>();
  const plain = params.filter((param) => param.name === name);
  for (const { text } of plain) readings.add(decodeWords(text));
  for (const { text } of params.filter((param) => param.name === `${name}*`)) readings.add(decodeExtended([text]));
  const pieces = continuations(params, name);
  if (pieces.length > 0) readings.add(joinPieces(pieces));
  return [...readings].filter((reading) => reading !== '');
}

interface Piece {
  readonly index: number;
  readonly encoded: boolean;
  readonly text: string;
}

function continuations(params: readonly Parameter[], name: string): readonly Piece[] {
  const found = new Map<number, Piece>();
  for (const param of params) {
    if (!param.name.startsWith(`${name}*`)) continue;
    const match = /^(\d{1,3})(\*?)$/.exec(param.name.slice(name.length + 1));
    if (match === null) continue;
    const index = Number(match[1]);
    if (!found.has(index)) found.set(index, { index, encoded: match[2] === '*', text: param.text });
  }
  return [...found.values()].sort((a, b) => a.index - b.index);
}

/** The charset stands in the first piece; encoded and plain pieces may be mixed. */
function joinPieces(pieces: readonly Piece[]): string {
  const [first] = pieces;
  if (first?.encoded !== true && pieces.every(({ encoded }) => !encoded)) {
    return decodeWords(pieces.map(({ text }) => text).join(''));
  }
  const { charset, rest } = splitCharset(first?.text ?? '');
  const octets = pieces.map(({ encoded, text }, at) => {
    const own = at === 0 ? rest : text;
    return encoded ? decodePercent(own) : asOctets(own);
  });
  return decodeCharset(joined(octets), charset) ?? '';
}

function decodeExtended([text = '']: readonly string[]): string {
  const { charset, rest } = splitCharset(text);
  const octets = decodePercent(rest);
  return decodeCharset(octets, charset) ?? decodeCharset(octets, 'utf-8') ?? rest;
}

function splitCharset(text: string): { readonly charset: string; readonly rest: string } {
  const [charset = '', , ...rest] = text.split("'");
  return rest.length === 0 ? { charset: 'utf-8', rest: text } : { charset: charset || 'utf-8', rest: rest.join("'") };
}
