import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ContentEncoder, ContentNotCanonical, stuffContent } from './content-encoder.js';

const canonicalLine = fc.string({ unit: fc.constantFrom('.', 'a', ' ', '\t', 'é'), maxLength: 12 });
const content = fc
  .array(canonicalLine, { maxLength: 20 })
  .map((lines) => Buffer.from(lines.map((line) => `${line}\r\n`).join('')));
const cuts = fc.array(fc.nat(), { maxLength: 10 });

/** As a receiver undoes it: split at line ends, one dot off. */
function unstuff(wire: Buffer): Buffer {
  const text = wire.toString('latin1');
  const end = text.startsWith('.\r\n') ? 0 : text.indexOf('\r\n.\r\n') + 2;
  expect(end + 3).toBe(text.length);
  return Buffer.from(text.slice(0, end).replace(/(^|\r\n)\./g, '$1'), 'latin1');
}

function encodeSplit(bytes: Buffer, places: readonly number[]): Buffer {
  const encoder = new ContentEncoder();
  const sorted = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  const parts = sorted.map((to) => encoder.encode(bytes.subarray(from, (from = to))));
  return Buffer.concat([...parts, encoder.end()]);
}

describe('stuffing', () => {
  it('is undone by the receiver, wherever the content was cut', () => {
    fc.assert(
      fc.property(content, cuts, (bytes, places) => {
        const wire = encodeSplit(bytes, places);
        expect(wire.equals(Buffer.from(stuffContent(bytes)))).toBe(true);
        expect(unstuff(wire).equals(bytes)).toBe(true);
      }),
    );
  });

  it.each([
    ['', '.\r\n'],
    ['.\r\n', '..\r\n.\r\n'],
    ['..\r\n.a\r\n', '...\r\n..a\r\n.\r\n'],
    ['a', 'a\r\n.\r\n'],
    ['a\r\n', 'a\r\n.\r\n'],
  ])('%j', (plain, wire) => expect(Buffer.from(stuffContent(Buffer.from(plain))).toString()).toBe(wire));

  it('hands the same octets on when nothing has to change', () => {
    const bytes = Buffer.from('a\r\nb.\r\n');
    expect(new ContentEncoder().encode(bytes)).toBe(bytes);
  });
});

describe('content that is not canonical', () => {
  it('is never sent: any bare CR or LF throws, wherever the content was cut', () => {
    const dirty = fc
      .array(fc.constantFrom('\r', '\n', '\r\n', '.', 'a', '\0'), { maxLength: 12 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(dirty, cuts, (text, places) => {
        const isCanonical = !/\r(?!\n)|(?<!\r)\n/.test(text);
        const encode = (): Buffer => encodeSplit(Buffer.from(text), places);
        if (isCanonical) expect(encode().toString('latin1').endsWith('.\r\n')).toBe(true);
        else expect(encode).toThrow(ContentNotCanonical);
      }),
    );
  });
});
