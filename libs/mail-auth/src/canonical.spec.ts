import { createHash, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
// @ts-expect-error -- the package has no types for its insides
import { RelaxedHash } from 'mailauth/lib/dkim/body/relaxed.js';
// @ts-expect-error -- the package has no types for its insides
import { formatRelaxedLine } from 'mailauth/lib/tools.js';
import { createTransport } from 'nodemailer';
import { BodyHash, relaxedField, type BodyForm } from './canonical.js';
import { rawField, readRawHeader } from './header-fields.js';

interface ForeignHash {
  update(chunk: Buffer): void;
  digest(encoding: 'base64'): string;
}
const ForeignRelaxedHash = RelaxedHash as new (algorithm: string) => ForeignHash;
const foreignRelaxedLine = formatRelaxedLine as (line: Buffer, suffix: string) => Buffer;

/** Cut into pieces of 1 to `step` octets. */
function hashed(body: string, form: BodyForm = 'relaxed', step = 7): string {
  const hash = new BodyHash(form);
  const bytes = Buffer.from(body, 'latin1');
  for (let at = 0, turn = 1; at < bytes.length; turn += 1) {
    const size = 1 + (turn % step);
    hash.update(bytes.subarray(at, at + size));
    at += size;
  }
  return hash.digest().toString('base64');
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64');

/** Lines such as mail is made of, with everything that the forms treat in a way of their own. */
const piece = fc.constantFrom('\r\n', '\r\n\r\n', ' ', '\t', '  \t', 'a', 'word', '.', '\xff', '\xa0', '--', '=20');
const body = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));

describe('the relaxed body', () => {
  // RFC 6376 s3.4.3, s3.4.4, s3.4.5
  it.each([
    ['', ''],
    ['\r\n\r\n', ''],
    [' \t\r\n ', ''],
    [' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
    ['a', 'a\r\n'],
    ['a\r\n \r\n\r\nb', 'a\r\n\r\n\r\nb\r\n'],
    ['a\rb\nc\r\r\n', 'a\rb\nc\r\r\n'],
    ['a\r', 'a\r\r\n'],
  ])('of %j is %j', (given, expected) => {
    expect(hashed(given)).toBe(sha256(expected));
  });

  it.each([
    ['', '\r\n'],
    ['\r\n\r\n', '\r\n'],
    [' C \r\nD \t E\r\n\r\n\r\n', ' C \r\nD \t E\r\n'],
    ['a \r\n \r\n', 'a \r\n \r\n'],
    ['a', 'a\r\n'],
  ])('when simple: of %j is %j', (given, expected) => {
    expect(hashed(given, 'simple')).toBe(sha256(expected));
  });

  it('is what another program makes of it', () => {
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 20 }), (lines, step) => {
        const text = `${lines}\r\n`; // it takes white space that nothing ends for a line
        const foreign = new ForeignRelaxedHash('sha256');
        foreign.update(Buffer.from(text, 'latin1'));
        expect(hashed(text, 'relaxed', step)).toBe(foreign.digest('base64'));
      }),
      { numRuns: 500 },
    );
  });

  it('is what a second program makes of it', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        const sent = await transport.sendMail({
          envelope: { from: 'a@example.com', to: 'b@example.com' },
          raw: Buffer.from(`From: a@example.com\r\n\r\n${text}`, 'latin1'),
          dkim: { domainName: 'example.com', keySelector: 's', privateKey: rsa.toString() },
        });
        const octets = (sent as unknown as { message: Buffer }).message.toString('latin1');
        const bh = /bh=([^;]+);/.exec(octets)?.[1]?.replace(/\s/g, '');
        expect(hashed(octets.slice(octets.indexOf('\r\n\r\n') + 4))).toBe(bh);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the relaxed field', () => {
  it.each([
    ['A: X', 'a:X'],
    ['B : Y\t\r\n\tZ  ', 'b:Y Z'],
    ['Subject:', 'subject:'],
    ['Subject:\r\n a\r\n\tb \r\n ', 'subject:a b'],
    ['X:\xe9 \xff', 'x:\xe9 \xff'],
    ['X: a:b : c', 'x:a:b : c'],
  ])('of %j is %j', (given, expected) => {
    expect(relaxedField(rawField(given))).toBe(expected);
  });

  it('is what another program makes of it', () => {
    const value = fc.array(fc.constantFrom(' ', '\t', '\r\n ', '\r\n\t', 'a', 'B:', '\xe4', ';'), { maxLength: 20 });
    fc.assert(
      fc.property(fc.constantFrom('From', 'X-y ', 'SUBJECT\t'), value, (name, parts) => {
        const raw = `${name}:${parts.join('')}`;
        const foreign = foreignRelaxedLine(Buffer.from(raw, 'latin1'), '').toString('latin1');
        expect(relaxedField(rawField(raw))).toBe(foreign);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the raw header', () => {
  it('is cut into fields, folds and lines that are none included', () => {
    const header = readRawHeader(Buffer.from('A: 1\r\n 2\r\nnonsense\r\nb c: 3\r\nD : 4\r\n\r\nbody: x\r\n'));
    expect(header).toEqual({
      fields: [
        { name: 'a', raw: 'A: 1\r\n 2' },
        { name: '', raw: 'nonsense' },
        { name: '', raw: 'b c: 3' },
        { name: 'd', raw: 'D : 4' },
      ],
      lengthBytes: 37,
      complete: true,
    });
  });

  it.each([
    ['', 0, 0],
    ['A: 1\r\n', 1, 6],
    ['A: 1', 1, 4],
  ])('of %j has no end', (text, fields, lengthBytes) => {
    const header = readRawHeader(Buffer.from(text));
    expect({ ...header, fields: header.fields.length }).toEqual({ fields, lengthBytes, complete: false });
  });
});
