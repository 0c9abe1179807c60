import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { buildNotice } from './notice.js';
import type { NoticedRecipient, NoticeInput } from './notice.js';

const recipient: NoticedRecipient = {
  address: 'bob@there.test',
  status: '5.1.1',
  text: '550 5.1.1 no such user',
  fromRemote: true,
  host: 'mx.there.test',
  expired: false,
};
const input: NoticeInput = {
  action: 'failed',
  noticeId: '0190-n',
  messageId: '01a20445-2fe2-7090-9e90-ca9588d58b3b',
  hostname: 'gw.test',
  to: 'ann@here.test',
  acceptedAtMs: 0,
  nowMs: 86_400_000,
  retryUntilMs: 172_800_000,
  recipients: [recipient],
  returned: {
    kind: 'header',
    bytes: Buffer.from('Subject: x\r\nFrom: ann@here.test\r\n\r\nsecret body\r\n'),
    smtpUtf8: false,
  },
};
const build = (overrides: Partial<NoticeInput> = {}): string =>
  Buffer.from(buildNotice({ ...input, ...overrides }).content).toString('latin1');
const header = (bytes: Uint8Array): NoticeInput['returned'] => ({ kind: 'header', bytes, smtpUtf8: false });

describe('a notice', () => {
  it('is a report of three parts', () => {
    const text = build();
    const parts = text.split('--=_0190-n').map((part) => part.trim());
    expect(parts.length).toBe(5);
    expect(parts[0]).toContain('Auto-Submitted: auto-replied\r\n');
    expect(parts[0]).toContain('To: <ann@here.test>\r\n');
    expect(parts[0]).toContain('Date: Fri, 2 Jan 1970 00:00:00 +0000\r\n');
    expect(parts[0]).toMatch(/Content-Type: multipart\/report; report-type=delivery-status;\r\n\tboundary="=_0190-n"/);
    expect(parts[1]).toContain('mx.there.test said: 550 5.1.1 no such user');
    expect(parts[2]).toContain(
      'Reporting-MTA: dns; gw.test\r\nX-Postern-Message: 01M824ABZ2E289X46AJP4DB2SV\r\nArrival-Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\nFinal-Recipient: rfc822; bob@there.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.there.test\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\nLast-Attempt-Date:',
    );
    expect(parts[3]).toBe('Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\nFrom: ann@here.test');
    expect(parts[4]).toBe('--');
    expect(text).not.toContain('secret');
  });

  it('says when it was given up, and when nobody remote said anything', () => {
    const text = build({
      recipients: [{ ...recipient, expired: true, fromRemote: false, text: 'connection refused', status: '4.4.1' }],
    });
    expect(text).toContain('Status: 4.4.7\r\nDiagnostic-Code: x-postern; connection refused\r\n');
    expect(text).not.toContain('Remote-MTA');
  });

  it('quotes a header that is not plain lines of 7-bit text', () => {
    const text = build({ returned: header(Buffer.from('Subject: caf\u00e9 = good\r\n\r\n')) });
    expect(text).toContain('Content-Transfer-Encoding: quoted-printable\r\n\r\nSubject: caf=C3=A9 =3D good');
    const long = build({ returned: header(Buffer.from(`X: ${'y'.repeat(5000)}\r\n\r\n`)) });
    expect(Math.max(...long.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(998);
  });

  it('quotes a header whose lines do not end in CR LF', () => {
    expect(build({ returned: header(Buffer.from('Subject: a\nX: b\r\n\r\n')) })).toContain('\r\nSubject: a=0AX: b\r\n');
  });

  it('names what the sender named: ENVID and ORCPT, out of their xtext', () => {
    const text = build({
      envelopeId: 'Q+2B1+20x',
      recipients: [{ ...recipient, originalRecipient: 'rfc822;old+2Bbob@there.test' }],
    });
    expect(text).toContain('Reporting-MTA: dns; gw.test\r\nOriginal-Envelope-Id: Q+1 x\r\n');
    expect(text).toContain('\r\nOriginal-Recipient: rfc822; old+bob@there.test\r\nFinal-Recipient: rfc822; bob@');
    const evil = build({
      envelopeId: 'a+0D+0ABcc:+20x',
      recipients: [{ ...recipient, originalRecipient: 'x;a+0D+0Ab' }],
    });
    expect(evil).toContain('Original-Envelope-Id: a??Bcc: x\r\n');
    expect(evil).toContain('Original-Recipient: x; a??b\r\n');
  });

  it('returns the whole message where that was asked for, as it was', () => {
    const bytes = Buffer.from('Subject: caf\u00e9\r\n\r\n.secret b\u00f6dy\r\n');
    const { content, body8bit } = buildNotice({ ...input, returned: { kind: 'message', bytes, smtpUtf8: false } });
    expect(body8bit).toBe(true);
    const part = 'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n';
    expect(Buffer.from(content).toString('utf8')).toContain(
      `${part}Subject: caf\u00e9\r\n\r\n.secret b\u00f6dy\r\n--=_0190-n--\r\n`,
    );
  });

  it('tells of addresses in UTF-8 in ASCII, and needs SMTPUTF8 only to reach one', () => {
    const notice = buildNotice({ ...input, recipients: [{ ...recipient, address: 'b\u00f6b@there.test' }] });
    const text = Buffer.from(notice.content).toString('latin1');
    expect(text).toContain('Final-Recipient: utf-8; b\\x{F6}b@there.test\r\n');
    expect(text).toContain('Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable');
    expect([notice.smtpUtf8, notice.body8bit]).toEqual([false, false]);
    const back = buildNotice({ ...input, to: '\u00e4nn@here.test' });
    expect([back.smtpUtf8, back.body8bit]).toEqual([true, true]);
  });

  it.each([
    ['delayed', 'Delayed mail', 'being tried until\r\nSat, 3 Jan 1970 00:00:00 +0000.'],
    ['relayed', 'Mail handed on', 'system that does not confirm delivery'],
    ['delivered', 'Mail delivered', 'Your message was delivered to the'],
  ] as const)('of kind %s says so', (action, subject, words) => {
    const text = build({ action });
    expect(text).toContain(`Subject: ${subject}`);
    expect(text).toContain(words);
    expect(text).toContain(`\r\nAction: ${action}\r\n`);
    expect(text.includes('Will-Retry-Until: Sat, 3 Jan 1970 00:00:00 +0000\r\n')).toBe(action === 'delayed');
  });

  it('takes the words of the policy, and puts in what it knows once', () => {
    const words = { subject: 'At {gateway}: {retry-until}', text: 'Line {gateway}\n\n.\n{unknown}' };
    const text = build({ hostname: 'gw.{retry-until}.test', words });
    expect(text).toContain('Subject: At gw.{retry-until}.test: Sat, 3 Jan 1970 00:00:00 +0000\r\n');
    expect(text).toContain('\r\n\r\nLine gw.{retry-until}.test\r\n\r\n.\r\n{unknown}\r\n\r\n<bob@there.test>\r\n');
    expect(buildNotice({ ...input, words }).subject).toBe('At gw.test: Sat, 3 Jan 1970 00:00:00 +0000');
  });

  it('never answers the null sender', () => {
    expect(() => build({ to: '' })).toThrow('null sender');
  });

  it('is canonical, 7-bit and bounded whatever the remote, the addresses and the message hold', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom('a\r\nBcc: x', '\n.\n', '--=_0190-n', '\0'),
    );
    fc.assert(
      fc.property(
        hostile,
        hostile,
        fc.uint8Array({ maxLength: 3000 }),
        fc.integer({ min: 1, max: 400 }),
        (text, address, head, count) => {
          const bounced = { ...recipient, text, address, host: address };
          const out = build({
            to: address === '' ? 'x' : address,
            returned: header(head),
            recipients: new Array<NoticedRecipient>(count).fill(bounced),
          });
          expect(out).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
          const [top = '', ...parts] = out.split('\r\n\r\n');
          expect(top.replace(/^To: .*$/m, '') + parts.join('')).toMatch(/^[\t\r\n -~]*$/);
          expect(out.endsWith('\r\n--=_0190-n--\r\n')).toBe(true);
          expect(out.length).toBeLessThan(600_000);
          expect(out.split('\r\n\r\n')[0]).not.toMatch(/^Bcc:/m);
        },
      ),
    );
  });
});
