/**
 * Replies as an SMTP client receives them: octets, cut anywhere → `Reply` values. RFC 5321 s4.2, RFC 2034, RFC 3463.
 *
 * Remote text is hostile: lines and their number are bounded, control characters (C0, C1, bidirectional) become `?`,
 * ill-formed UTF-8 becomes U+FFFD. A bare LF ends a line too: nothing can be smuggled *into* a client by it, and
 * servers that send it exist. The reader never throws on bytes; after a fault it reads no more.
 */
import type { Reply } from './reply.js';

export interface ReplyLimits {
  /** Longest line that is read at all, its end not counted. RFC 5321 s4.5.3.1.5 says 512. */
  readonly maxLineOctets: number;
  /** Characters kept of a line. */
  readonly keptLineCharacters: number;
  readonly maxLines: number;
}

export const REPLY_LIMITS: ReplyLimits = { maxLineOctets: 4096, keptLineCharacters: 512, maxLines: 128 };

export type ReplyFault = 'line-too-long' | 'too-many-lines' | 'not-a-reply' | 'codes-differ';

const LF = 10;
const CR = 13;
const DASH = 45;
const SPACE = 32;
const ENHANCED_CODE = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/;
const HOSTILE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const NOT_PLAIN = /[^\u0020-\u007e]/;

interface Line {
  readonly code: number;
  readonly last: boolean;
  readonly text: string;
}

/** Replaces what must never reach a log, a bounce or a terminal. */
export function replaceControls(text: string): string {
  return NOT_PLAIN.test(text) ? text.replace(HOSTILE, '?') : text;
}

export class ReplyReader {
  readonly #limits: ReplyLimits;
  #partial: Buffer | undefined;
  #code = 0;
  #lines: string[] = [];
  #fault: ReplyFault | undefined;

  constructor(limits: ReplyLimits = REPLY_LIMITS) {
    this.#limits = limits;
  }

  /** Set once, for good: what follows in the stream cannot be trusted to be replies. */
  get fault(): ReplyFault | undefined {
    return this.#fault;
  }

  /** True between two replies: nothing is half read. */
  get idle(): boolean {
    return this.#partial === undefined && this.#lines.length === 0;
  }

  /** Whole replies that these octets completed. The octets are not kept beyond the call. */
  read(bytes: Uint8Array): readonly Reply[] {
    const replies: Reply[] = [];
    if (this.#fault !== undefined) return replies;
    const input = this.#joined(bytes);
    let start = 0;
    for (;;) {
      const end = input.indexOf(LF, start);
      if (end < 0) break;
      const reply = this.#takeLine(input, start, end);
      if (this.#isBroken()) return replies;
      if (reply !== undefined) replies.push(reply);
      start = end + 1;
    }
    if (input.length - start > this.#limits.maxLineOctets) this.#fault = 'line-too-long';
    else if (start < input.length) this.#partial = Buffer.from(input.subarray(start));
    return replies;
  }

  #isBroken(): boolean {
    return this.#fault !== undefined;
  }

  #joined(bytes: Uint8Array): Buffer {
    const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#partial === undefined) return input;
    const joined = Buffer.concat([this.#partial, input]);
    this.#partial = undefined;
    return joined;
  }

  #takeLine(input: Buffer, start: number, lineFeed: number): Reply | undefined {
    const end = lineFeed > start && input[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
    const line = end - start > this.#limits.maxLineOctets ? undefined : this.#parseLine(input, start, end);
    if (line === undefined) {
      this.#fault ??= 'line-too-long';
      return undefined;
    }
    if (this.#lines.length > 0 && line.code !== this.#code) {
      this.#fault = 'codes-differ';
      return undefined;
    }
    if (this.#lines.length >= this.#limits.maxLines) {
      this.#fault = 'too-many-lines';
      return undefined;
    }
    this.#code = line.code;
    this.#lines.push(line.text);
    if (!line.last) return undefined;
    const lines = this.#lines;
    this.#lines = [];
    return toReply(line.code, lines);
  }

  #parseLine(input: Buffer, start: number, end: number): Line | undefined {
    const code = parseCode(input, start, end);
    const separator = end - start === 3 ? SPACE : input[start + 3];
    if (code === undefined || (separator !== SPACE && separator !== DASH)) {
      this.#fault = 'not-a-reply';
      return undefined;
    }
    const ascii = input.toString('latin1', Math.min(start + 4, end), end);
    const text = NOT_PLAIN.test(ascii)
      ? input.toString('utf8', Math.min(start + 4, end), end).replace(HOSTILE, '?')
      : ascii;
    return { code, last: separator === SPACE, text: keepStart(text, this.#limits.keptLineCharacters) };
  }
}

/** Never ends in half a character. */
function keepStart(text: string, characters: number): string {
  return text.length <= characters ? text : text.slice(0, characters).replace(/[\ud800-\udbff]$/, '');
}

function parseCode(input: Buffer, start: number, end: number): number | undefined {
  if (end - start < 3) return undefined;
  const first = (input[start] ?? 0) - 48;
  const second = (input[start + 1] ?? 0) - 48;
  const third = (input[start + 2] ?? 0) - 48;
  if (first < 2 || first > 5 || second < 0 || second > 9 || third < 0 || third > 9) return undefined;
  return first * 100 + second * 10 + third;
}

/** The enhanced code is taken only when its class agrees with the reply's and every line carries the same one. */
function toReply(code: number, lines: readonly string[]): Reply {
  const enhanced = ENHANCED_CODE.exec(lines[0] ?? '')?.[1];
  if (enhanced === undefined || enhanced.charCodeAt(0) - 48 !== Math.floor(code / 100)) return { code, lines };
  const rest: string[] = [];
  for (const line of lines) {
    if (!line.startsWith(enhanced) || (line.length > enhanced.length && line[enhanced.length] !== ' '))
      return { code, lines };
    rest.push(line.slice(enhanced.length + 1));
  }
  return { code, enhanced, lines: rest };
}
