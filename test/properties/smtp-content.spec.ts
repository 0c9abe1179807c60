import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ContentDecoder } from '#smtp-core';
import { cutAt, cuts } from '../support/smtp-arbitraries.js';
import { runs } from '../support/fuzz.js';

interface Decoded {
  readonly content: string;
  readonly end: number;
  readonly fault: string | undefined;
}

/** What stands at `at`: its octets, what of them is kept, and what is wrong with them. */
interface Token {
  readonly length: number;
  readonly kept: string;
  readonly fault?: string;
}

function tokenAt(input: string, at: number): Token {
  if (input.startsWith('\r\n', at)) return { length: 2, kept: '\r\n' };
  const char = input[at] ?? '';
  if (char === '\r' && at + 1 < input.length) return { length: 1, kept: char, fault: 'bare-cr' };
  if (char === '\n') return { length: 1, kept: '', fault: 'bare-lf' };
  return char === '\0' ? { length: 1, kept: '', fault: 'nul' } : { length: 1, kept: char };
}

/** A dot at the start of a line that does not end the content. */
function dotAt(input: string, at: number): Token {
  return input[at + 1] === '\r' ? { length: 2, kept: '', fault: 'bare-cr' } : { length: 1, kept: '' };
}

/** The same rules as slow and plain as they can be written: the whole input, one octet after the other. */
function decodeSlowly(input: string, maxBytes: number): Decoded {
  let content = '';
  let fault: string | undefined;
  for (let at = 0, lineStart = true; at < input.length;) {
    if (lineStart && input.startsWith('.\r\n', at)) return { content, end: at + 3, fault };
    if (lineStart && '.\r\n'.startsWith(input.slice(at))) break;
    const token: Token = lineStart && input[at] === '.' ? dotAt(input, at) : tokenAt(input, at);
    const room = fault === undefined ? maxBytes - content.length : 0;
    content += token.kept.slice(0, room);
    if (token.kept.length > room) fault ??= 'too-large';
    fault ??= token.fault;
    lineStart = token.length === 2 && token.kept !== '';
    at += token.length;
  }
  return { content, end: -1, fault };
}

function decode(pieces: readonly Buffer[], maxBytes: number): Decoded {
  const decoder = new ContentDecoder(maxBytes);
  const kept: Buffer[] = [];
  let read = 0;
  for (const piece of pieces) {
    const end = decoder.read(piece, 0, (octets) => kept.push(Buffer.from(octets)));
    if (end >= 0) return { content: Buffer.concat(kept).toString('latin1'), end: read + end, fault: decoder.fault };
    read += piece.length;
  }
  return { content: Buffer.concat(kept).toString('latin1'), end: -1, fault: decoder.fault };
}

const content = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', '.', '\0', 'a', 'bc', '\r\n.\r\n', '\r\n..', '\xe4'), { maxLength: 40 })
  .map((parts) => parts.join(''));

/** Chunks read one after the other, as plain as can be: lines end in CR LF, and nothing else is looked at. */
function decodeChunksSlowly(input: string): { readonly content: string; readonly fault: string | undefined } {
  const wrong = /\r(?!\n)|(?<!\r)\n|\0/.exec(input);
  if (wrong === null)
    return { content: input === '' || input.endsWith('\r\n') ? input : `${input}\r\n`, fault: undefined };
  const fault = { '\r': 'bare-cr', '\n': 'bare-lf', '\0': 'nul' }[wrong[0]];
  return { content: input.slice(0, wrong.index + (fault === 'bare-cr' ? 1 : 0)), fault };
}

function decodeChunks(pieces: readonly Buffer[]): { readonly content: string; readonly fault: string | undefined } {
  const decoder = new ContentDecoder(Number.POSITIVE_INFINITY, 'chunks');
  const kept: Buffer[] = [];
  const keep = (octets: Uint8Array): unknown => kept.push(Buffer.from(octets));
  for (const piece of pieces) expect(decoder.read(piece, 0, keep)).toBe(-1);
  decoder.finish(keep);
  return { content: Buffer.concat(kept).toString('latin1'), fault: decoder.fault };
}

describe('the content decoder', () => {
  it('reads chunks by the same rules of line ends, and dots as they are', () => {
    fc.assert(
      fc.property(content, cuts, (input, places) => {
        const octets = Buffer.from(input, 'latin1');
        expect(decodeChunks(cutAt(octets, places))).toEqual(decodeChunksSlowly(input));
        expect(decodeChunks([octets])).toEqual(decodeChunksSlowly(input));
      }),
      runs(1500),
    );
  });

  it('agrees with the plain reading of the rules, under any split', () => {
    fc.assert(
      fc.property(content, cuts, fc.integer({ min: 0, max: 60 }), (input, places, maxBytes) => {
        const octets = Buffer.from(input, 'latin1');
        expect(decode(cutAt(octets, places), maxBytes)).toEqual(decodeSlowly(input, maxBytes));
        expect(decode([octets], maxBytes)).toEqual(decodeSlowly(input, maxBytes));
      }),
      runs(1500),
    );
  });

  it('finds no end but CR LF . CR LF', () => {
    fc.assert(
      fc.property(content, (input) => {
        const { end } = decode([Buffer.from(input, 'latin1')], Number.POSITIVE_INFINITY);
        const first = /(?:^|\r\n)\.\r\n/.exec(input);
        expect(end).toBe(first === null ? -1 : first.index + first[0].length);
      }),
      runs(2000),
    );
  });

  it.each(['\n', '\r', '\r\n', '\r\n.', '\r\n..', '\0', '.\r', '\r\r\n.', '\n\r', '..\r\n', '\r\n.x'])(
    'hands over a chunk in two pieces at most, whatever is in it: %j',
    (pattern) => {
      const decoder = new ContentDecoder();
      let pieces = 0;
      for (const chunk of [pattern.repeat(2_000), pattern.repeat(2_000)]) {
        pieces = 0;
        decoder.read(Buffer.from(chunk), 0, () => (pieces += 1));
        expect(pieces).toBeLessThanOrEqual(2);
      }
    },
  );

  it('looks at each octet a bounded number of times', () => {
    for (const pattern of ['\r\n.\r\r\n..\r\n.x\r\n', '..\r\n', '\r\n a', '\0', 'text\r\n']) {
      let looks = 0;
      const octets = new Proxy(Buffer.from(pattern.repeat(500)), {
        get: (target, key) => {
          if (typeof key === 'string' && /^\d+$/.test(key)) looks += 1;
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
      new ContentDecoder().read(octets, 0, () => undefined);
      expect(looks).toBeLessThanOrEqual(5 * octets.length);
    }
  });
});
