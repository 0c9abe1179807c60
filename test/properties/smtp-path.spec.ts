import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  encodeReply,
  parseForwardPath,
  parseMailbox,
  parseReversePath,
  printForwardPath,
  printMailbox,
  printReversePath,
  receivedHeader,
} from '#smtp-core';
import { parseEsmtpParams, printEsmtpParams } from '../../libs/smtp-core/src/esmtp-params.js';
import { runs } from '../support/fuzz.js';

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9]{0,10}[a-z0-9])?$/);
const domain = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
  fc.ipV4().map((address) => `[${address}]`),
  fc.constantFrom('[IPv6:2001:db8::1]', '[IPv6:::]', '[IPv6:1:2:3:4:5:6:7:8]', 'xn--mller-kva.test'),
);
const localPart = fc.stringMatching(/^[\x20-\x7e]{1,30}$/);
const mailbox = fc.record({ localPart, domain });

describe('paths', () => {
  it('parse of print is the same mailbox', () => {
    fc.assert(
      fc.property(mailbox, (value) => {
        expect(parseMailbox(printMailbox(value))).toEqual(value);
        const path = { kind: 'mailbox', mailbox: value } as const;
        expect(parseForwardPath(printForwardPath(path))).toEqual({ ok: true, path });
        expect(parseReversePath(printReversePath(path))).toEqual({ ok: true, path });
      }),
      runs(500),
    );
  });

  it('whatever is accepted prints to something that is accepted as the same', () => {
    const pieces = fc.constantFrom(
      '<',
      '>',
      '@',
      '"',
      '\\',
      '.',
      ',',
      ':',
      '[',
      ']',
      ' ',
      'a',
      'b.c',
      'IPv6',
      '::',
      '1',
      'ü',
      'xn--',
      '.',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 16 }), fc.boolean(), (parts, smtpUtf8) => {
        const parsed = parseForwardPath(`<${parts.join('')}>`, { smtpUtf8 });
        if (parsed.ok) expect(parseForwardPath(printForwardPath(parsed.path), { smtpUtf8 })).toEqual(parsed);
      }),
      runs(1500),
    );
  });

  it('never throw, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), fc.boolean(), (text, smtpUtf8) => {
        for (const raw of [text, `<${text}>`, `<a@${text}>`]) {
          const parsed = parseReversePath(raw, { smtpUtf8 });
          if (parsed.ok && parsed.path.kind === 'mailbox') expect(parsed.path.mailbox.domain).toMatch(/^[\x21-\x7e]+$/);
        }
      }),
      runs(500),
    );
  });
});

describe('parameters', () => {
  it('parse of print is the same list', () => {
    const keyword = fc.stringMatching(/^[A-Z0-9][A-Z0-9-]{0,8}$/);
    const value = fc.option(fc.stringMatching(/^[!-<>-~]{1,12}$/), { nil: undefined });
    const list = fc.uniqueArray(fc.record({ keyword, value }, { requiredKeys: ['keyword', 'value'] }), {
      selector: (param) => param.keyword,
    });
    fc.assert(
      fc.property(list, (params) => {
        expect(parseEsmtpParams(printEsmtpParams(params))).toEqual({ ok: true, params });
      }),
      runs(100),
    );
  });
});

describe('what we print', () => {
  it('replies are reply lines, whatever the text', () => {
    const lines = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 400, maxLength: 1200 })), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(lines, fc.constantFrom('5.7.1', undefined), (texts, enhanced) => {
        const reply = { code: 550, lines: texts, ...(enhanced === undefined ? {} : { enhanced }) };
        const printed = encodeReply(reply).split('\r\n');
        expect(printed.pop()).toBe('');
        const last = printed.pop();
        expect(last).toMatch(/^550 [\x20-\x7e]{0,508}$/);
        for (const line of printed) expect(line).toMatch(/^550-[\x20-\x7e]{0,506}$/);
      }),
      runs(100),
    );
  });

  it('the Received field is one field, whatever the client said', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), mailbox, (helo, name, recipient) => {
        const header = receivedHeader({
          helo,
          address: name,
          verifiedName: name,
          hostname: 'mx.test',
          protocol: 'ESMTP',
          id: name,
          recipient,
          atMs: 0,
        });
        expect(header).toMatch(
          /^Received: from [\x21-\x7e]+ \([\x20-\x7e]+\)\r\n\t[\x20-\x7e]+(?:\r\n\t[\x20-\x7e]+)*\r\n$/,
        );
        expect(header.split('\r\n').every((line, at) => at === 0 || line === '' || line.startsWith('\t'))).toBe(true);
      }),
      runs(100),
    );
  });
});
