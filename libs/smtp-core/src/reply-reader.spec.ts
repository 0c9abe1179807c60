import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeReply } from './reply.js';
import type { Reply } from './reply.js';
import { REPLY_LIMITS, ReplyReader, replaceControls } from './reply-reader.js';

const line = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '9', ' ', '.', '<', '>', '@', '-'), maxLength: 60 });
/** Text that does not itself begin like an enhanced code. */
const text = line.map((value) => `t${value}`);
const reply: fc.Arbitrary<Reply> = fc
  .record({
    code: fc.integer({ min: 200, max: 599 }),
    detail: fc.option(fc.tuple(fc.integer({ min: 0, max: 999 }), fc.integer({ min: 0, max: 999 }))),
    lines: fc.array(text, { minLength: 1, maxLength: 6 }),
  })
  .map(({ code, detail, lines }) => {
    const digit = Math.floor(code / 100);
    const hasEnhanced = detail !== null && digit !== 3;
    return hasEnhanced ? { code, enhanced: `${digit}.${detail[0]}.${detail[1]}`, lines } : { code, lines };
  });

function readSplit(bytes: Uint8Array, cuts: readonly number[]): readonly Reply[] {
  const reader = new ReplyReader();
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  const replies = places.flatMap((place, at) => [...reader.read(bytes.slice(place, places[at + 1] ?? bytes.length))]);
  expect(reader.fault).toBeUndefined();
  expect(reader.idle).toBe(true);
  return replies;
}

function faultOf(input: string): string | undefined {
  const reader = new ReplyReader();
  reader.read(Buffer.from(input, 'latin1'));
  return reader.fault;
}

describe('replies', () => {
  it('are read as they were printed, however the network cut them', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 12 }), (replies, cuts) => {
        expect(readSplit(Buffer.from(replies.map(encodeReply).join('')), cuts)).toEqual(replies);
      }),
    );
  });

  it.each(['\u001b[31m', '\u0085', '\u061c', '\u200f', '\u202e', '\u2060', '\ufeff'])('hold no %j', (hostile) => {
    const [told] = new ReplyReader().read(Buffer.from(`550 5.1.1 a${hostile}b\r\n`));
    expect(told?.lines[0]).toBe(`a${hostile.replace(/^./u, '?')}b`);
  });

  it('never make the reader throw, and hold bounded text without controls', () => {
    const hostile = fc.array(
      fc.oneof(
        fc.constantFrom('250', '250-', '250 ', '\r\n', '\n', '\r', '\0', '5.1.1 ', '\u001b', 'é'),
        fc.string({ unit: 'binary' }),
      ),
    );
    fc.assert(
      fc.property(hostile, fc.array(fc.nat(), { maxLength: 8 }), (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''));
        const reader = new ReplyReader();
        const whole = reader.read(bytes);
        for (const { code, lines } of whole) {
          expect(code).toBeGreaterThanOrEqual(200);
          expect(lines.length).toBeGreaterThan(0);
          for (const value of lines) {
            expect(value).toBe(replaceControls(value));
            expect(value.length).toBeLessThanOrEqual(REPLY_LIMITS.keptLineCharacters);
          }
        }
        const split = new ReplyReader();
        const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        let from = 0;
        const pieces = places.flatMap((to) => split.read(bytes.subarray(from, (from = to))));
        expect(pieces).toEqual(whole);
        expect(split.fault).toBe(reader.fault);
      }),
    );
  });

  it('may be bare codes, carry foreign enhanced codes, or disagree about them', () => {
    expect(readSplit(Buffer.from('250\r\n'), [])).toEqual([{ code: 250, lines: [''] }]);
    expect(readSplit(Buffer.from('550 4.1.1 x\r\n'), [])).toEqual([{ code: 550, lines: ['4.1.1 x'] }]);
    expect(readSplit(Buffer.from('250-2.1.0 a\r\n250 b\r\n'), [])).toEqual([{ code: 250, lines: ['2.1.0 a', 'b'] }]);
    expect(readSplit(Buffer.from('250-2.1.0 a\r\n250 2.1.0\r\n'), [])).toEqual([
      { code: 250, enhanced: '2.1.0', lines: ['a', ''] },
    ]);
  });

  it('keep UTF-8, and replace what is hostile in it', () => {
    expect(readSplit(Buffer.from('550 grüß\u202edi\u0085ch\r\n'), [7])).toEqual([{ code: 550, lines: ['grüß?di?ch'] }]);
  });
});

describe('what is no reply', () => {
  it.each([
    ['hello\r\n', 'not-a-reply'],
    ['25\r\n', 'not-a-reply'],
    ['199 x\r\n', 'not-a-reply'],
    ['600 x\r\n', 'not-a-reply'],
    ['250_x\r\n', 'not-a-reply'],
    ['\r\n', 'not-a-reply'],
    ['250-a\r\n251 b\r\n', 'codes-differ'],
    ['250-x\r\n'.repeat(129), 'too-many-lines'],
    [`250 ${'x'.repeat(5000)}\r\n`, 'line-too-long'],
    ['x'.repeat(5000), 'line-too-long'],
  ])('%j', (input, fault) => expect(faultOf(input)).toBe(fault));

  it('ends reading for good', () => {
    const reader = new ReplyReader();
    reader.read(Buffer.from('what\r\n'));
    expect(reader.read(Buffer.from('250 ok\r\n'))).toEqual([]);
  });
});
