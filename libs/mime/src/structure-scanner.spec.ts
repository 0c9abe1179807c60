import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StructureScanner, type ScanReport } from './index.js';

function scan(text: string | Uint8Array, cut = Infinity): ScanReport {
  const octets = typeof text === 'string' ? Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'utf8') : text;
  const scanner = new StructureScanner({ structure: true });
  for (let at = 0; at < octets.length; at += cut) scanner.write(octets.subarray(at, Math.min(octets.length, at + cut)));
  return scanner.report();
}

const attachment = (type: string, ...rest: string[]): string => `Content-Type: ${type}\n${rest.join('\n')}\n`;

const MIXED = `From: a@b.test
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: text/plain

hello
--outer
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="report.exe"
Content-Transfer-Encoding: base64

QUJDREVGRw==
--outer
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=outer2

--outer2
Content-Type: image/png; name*=utf-8''%E2%82%AC.png

xx
--outer2--
--outer--
epilogue
`;

describe('structure of a message', () => {
  test('names, types and sizes, also of what was forwarded', () => {
    expect(scan(MIXED).attachments).toEqual([
      { names: ['report.exe', 'a.pdf'], type: 'application/pdf', sizeBytes: 7 },
      { names: ['€.png'], type: 'image/png', sizeBytes: 2 },
      expect.objectContaining({ names: [], type: 'message/rfc822' }),
    ]);
  });

  test('the same however the octets are cut', () => {
    const whole = scan(MIXED);
    for (const cut of [1, 2, 3, 7, 64, 1023]) expect(scan(MIXED, cut)).toEqual(whole);
  });

  test.each([
    ['continuations', attachment('application/x; name*0="a."; name*1="exe"'), 'a.exe'],
    ['encoded word', attachment('application/x; name="=?utf-8?B?YS5leGU=?="'), 'a.exe'],
    ['comments', attachment('application/x (what); name=(is this)"a.exe"'), 'a.exe'],
    ['space before the colon', 'Content-Type : application/x; name=a.exe\n', 'a.exe'],
    ['a type that is none', attachment('nonsense; name=a.exe'), 'a.exe'],
    ['escapes', attachment('application/x; name="a\\.exe"'), 'a.exe'],
    ['no end of the quote', attachment('application/x; name="a.exe'), 'a.exe'],
    ['folded', attachment('application/x;\n\tname="a.exe"'), 'a.exe'],
    ['mixed continuations', attachment("application/x; name*0*=utf-8''%61; name*1=.exe"), 'a.exe'],
  ])('finds a name: %s', (_what, header, name) => {
    expect(scan(`${header}\nx\n`).attachments).toEqual([expect.objectContaining({ names: [name] })]);
  });

  test('a file in text is found', () => {
    expect(scan('Subject: x\n\nhello\nbegin 644 virus.exe\nM...\nend\n').attachments).toMatchObject([
      { names: ['virus.exe'] },
    ]);
  });

  test('an encoded message is looked into', () => {
    const inner = Buffer.from(attachment('application/x; name=a.exe').replaceAll('\n', '\r\n') + '\r\nx').toString(
      'base64',
    );
    const found = scan(`Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${inner}\n`).attachments;
    expect(found).toMatchObject([{ names: ['a.exe'] }, { type: 'message/rfc822' }]);
  });

  test('plain text has none; text with a name is one', () => {
    expect(scan('Subject: x\n\n--x\nhello\n').attachments).toEqual([]);
    expect(scan(`${attachment('text/html; name=a.html')}\nx\n`).attachments).toMatchObject([{ names: ['a.html'] }]);
  });

  test('what exceeds a limit is unknown, never nothing', () => {
    const nested = Array.from(
      { length: 40 },
      (_, i) => `Content-Type: multipart/mixed; boundary=b${String(i)}\n\n--b${String(i)}\n`,
    );
    expect(scan(nested.join('')).attachments).toEqual({ fault: 'mime.limit' });
    const parts = `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(1001)}`;
    expect(scan(parts).attachments).toEqual({ fault: 'mime.limit' });
    expect(scan(`${'X: y\n'.repeat(1001)}\nx`)).toEqual({ header: undefined, attachments: { fault: 'mime.limit' } });
    expect(scan(`X: ${'y'.repeat(65_600)}\n\nx`).header).toBeUndefined();
    expect(scan(`Content-Type: a/b${'; x=y'.repeat(101)}\n\nx`).attachments).toEqual({ fault: 'mime.limit' });
    const rfc822 = 'Content-Type: message/rfc822\n\n'.repeat(40);
    expect(scan(rfc822).attachments).toEqual({ fault: 'mime.limit' });
  });

  test('what programs would read differently is unknown', () => {
    const twice = 'Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n\n--a\n';
    expect(scan(twice).attachments).toEqual({ fault: 'mime.ambiguous' });
  });

  test('garbage is answered, never thrown, and never depends on how it is cut', () => {
    const piece = fc.constantFrom(
      '--b\r\n',
      '--b--\r\n',
      '\r\n',
      'Content-Type: multipart/mixed; boundary=b\r\n',
      'Content-Type: message/rfc822\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Transfer-Encoding: quoted-printable\r\n',
      'QUJD\r\n',
      '=\r\n',
      '=3',
      '-',
      '\r',
      'Content-Type: a/b; name="x.exe',
      '(',
      ';',
      'begin 644 a b\r\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 1, max: 20 }), (pieces, cut) => {
        const octets = Buffer.from(pieces.join(''));
        expect(scan(octets, cut)).toEqual(scan(octets));
      }),
      { numRuns: 500 },
    );
  });

  test('every message of the corpus is read', () => {
    const folder = join(import.meta.dirname, '../../../test/messages');
    const found: Record<string, unknown> = {};
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.eml'))) {
      const octets = readFileSync(join(folder, name));
      found[name] = scan(octets).attachments;
      expect(scan(octets, 37)).toEqual(scan(octets));
    }
    expect(found['61-zip-and-exe-names.eml']).not.toEqual([]);
    expect(found['01-plain-text.eml']).toEqual([]);
  });

  test('25 MB pass in pieces that never block for long', () => {
    const chunk = Buffer.from('--x\r\n'.repeat(13_107));
    const scanner = new StructureScanner({ structure: true });
    scanner.write(Buffer.from(`Content-Type: multipart/mixed; boundary=${'x'.repeat(70)}\r\n\r\n`));
    const started = process.cpuUsage().user;
    for (let at = 0; at < 100; at += 1) scanner.write(chunk);
    expect((process.cpuUsage().user - started) / 100 / 1000).toBeLessThan(20);
  });
});
