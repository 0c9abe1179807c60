import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  REPLIES,
  decodeUnitext,
  decodeXtext,
  encodeXtext,
  printPlain,
  printScramClientFirst,
  printScramServerFirst,
  printScramWithoutProof,
  readPlain,
  readSaslField,
  readScramClientFinal,
  readScramClientFirst,
  readScramServerFinal,
  readScramServerFirst,
} from '#smtp-core';
import { decodeBase64 } from '../../libs/smtp-core/src/base64.js';
import { parseCommand } from '../../libs/smtp-core/src/command.js';
import type { Grammar } from '../../libs/smtp-core/src/command.js';
import { decodeUtf8 } from '../../libs/smtp-core/src/utf8.js';
import { readXclientAttributes } from '../../libs/smtp-core/src/xclient.js';
import { runs } from '../support/fuzz.js';

const octetText = fc.uint8Array({ maxLength: 80 }).map((octets) => Buffer.from(octets).toString('latin1'));
const grammar: fc.Arbitrary<Grammar> = fc
  .tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean())
  .map(([smtpUtf8, dsn, auth, utf8]) => ({ offered: { smtpUtf8, dsn, auth }, utf8: utf8 && smtpUtf8 }));
const words = fc.constantFrom(
  'MAIL', 'RCPT', 'EHLO', 'HELO', 'BDAT', 'AUTH', 'XCLIENT', 'VRFY', 'EXPN', 'STARTTLS', 'FROM:', 'TO:', '<>', '<a@x.test>',
  '<j\xc3\xbc@x.test>', 'SMTPUTF8', 'SIZE=5', 'BODY=8BITMIME', 'RET=HDRS', 'ENVID=a+2Bb', 'NOTIFY=NEVER', 'ORCPT=rfc822;a',
  'ORCPT=utf-8;\xc3\xbc', 'AUTH=<>', 'PLAIN', '=', '12', 'LAST', 'ADDR=1', 'NAME=+41', '\xff', '\x7f', '', '"', '[192.0.2.1]',
); // prettier-ignore
const line = fc.oneof(
  fc.array(words, { maxLength: 8 }).map((parts) => parts.join(' ')),
  fc.array(words, { maxLength: 8 }).map((parts) => parts.join('')),
  octetText,
);

describe('commands', () => {
  it('any line is a command or a fault with a reply, never a throw', () => {
    fc.assert(
      fc.property(line, grammar, (text, read) => {
        const parsed = parseCommand(text, read);
        if (!parsed.ok) expect(Object.keys(REPLIES)).toContain(parsed.fault.reply);
      }),
      runs(3000),
    );
  });

  it('what is not offered is not read', () => {
    const plain: Grammar = { offered: { smtpUtf8: false, dsn: false, auth: false }, utf8: false };
    fc.assert(
      fc.property(line, (text) => {
        const parsed = parseCommand(text, plain);
        if (!parsed.ok || !('params' in parsed.command)) return;
        for (const name of Object.keys(parsed.command.params)) expect(['sizeBytes', 'body']).toContain(name);
      }),
      runs(2000),
    );
  });

  it('no address, name or parameter that was read can end a line', () => {
    fc.assert(
      fc.property(line, grammar, (text, read) => {
        const parsed = parseCommand(text, read);
        if (parsed.ok) expect(JSON.stringify(parsed.command)).not.toMatch(/\\[nr]|\\u00[01]|[\x7f-\x9f\u202a-\u202e]/);
      }),
      runs(2000),
    );
  });
});

describe('encodings', () => {
  it('xtext: decode of encode is the same text, and no octet of it needs encoding again', () => {
    fc.assert(
      fc.property(octetText, (text) => {
        expect(encodeXtext(text)).toMatch(/^[!-<>-~]*$/);
        expect(decodeXtext(encodeXtext(text))).toBe(text);
      }),
      runs(100),
    );
  });

  it('xtext, unitext and XCLIENT: any text is read or refused', () => {
    fc.assert(
      fc.property(fc.oneof(octetText, fc.string({ unit: 'binary' })), (text) => {
        const unitext = decodeUnitext(text);
        if (unitext !== undefined) expect(unitext).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        decodeXtext(text);
        for (const value of readXclientAttributes(`NAME=${text}`)?.values() ?? []) expect(value).not.toMatch(/\p{Cc}/u);
      }),
      runs(1000),
    );
  });

  it('base64: whatever is decoded has this one spelling', () => {
    const characters = fc.stringMatching(/^[ABYZabyz0189+/=_ -]{0,12}$/);
    fc.assert(
      fc.property(fc.uint8Array(), characters, (octets, spelled) => {
        const text = Buffer.from(octets).toString('base64');
        expect(decodeBase64(text)).toEqual(Buffer.from(octets));
        const decoded = decodeBase64(spelled);
        if (decoded !== undefined) expect(decoded.toString('base64')).toBe(spelled);
      }),
      runs(1000),
    );
  });

  it('UTF-8: whatever is decoded encodes to the same octets', () => {
    fc.assert(
      fc.property(octetText, fc.string({ unit: 'grapheme' }), (octets, text) => {
        const decoded = decodeUtf8(octets);
        if (decoded !== undefined) expect(Buffer.from(decoded, 'utf8').toString('latin1')).toBe(octets);
        expect(decodeUtf8(Buffer.from(text, 'utf8').toString('latin1'))).toBe(text);
      }),
      runs(1000),
    );
  });
});

describe('SASL messages', () => {
  const field = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0'));
  const name = field.map((text) => text.normalize('NFKC')).filter((text) => text !== '' && !/\p{C}/u.test(text));
  const nonce = fc.stringMatching(/^[!-+\--~]{1,40}$/);

  it('PLAIN: read of print is the same', () => {
    fc.assert(
      fc.property(fc.oneof(fc.constant(''), field), field, field, (authorizationId, username, password) => {
        const message = { authorizationId, username, password };
        expect(readPlain(printPlain(message))).toEqual(message);
        expect(readSaslField(Buffer.from(username))).toBe(username);
      }),
      runs(100),
    );
  });

  it('SCRAM: read of print is the same', () => {
    fc.assert(
      fc.property(name, fc.oneof(fc.constant(''), name), nonce, fc.uint8Array({ minLength: 1 }), (...parts) => {
        const [username, authorizationId, text, octets] = parts;
        const first = printScramClientFirst({ username, authorizationId, nonce: text });
        expect(readScramClientFirst(Buffer.from(first.gs2Header + first.bare))).toEqual(first);
        const challenge = { nonce: text, salt: Buffer.from(octets), iterations: 1 + octets.length };
        expect(readScramServerFirst(Buffer.from(printScramServerFirst(challenge)))).toEqual(challenge);
        const withoutProof = printScramWithoutProof(first.gs2Header, text);
        const proof = Buffer.from(octets);
        const final = Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
        expect(readScramClientFinal(final)).toEqual({ binding: first.gs2Header, nonce: text, proof, withoutProof });
        expect(readScramServerFinal(Buffer.from(`v=${proof.toString('base64')}`))).toEqual(proof);
      }),
      runs(300),
    );
  });

  it('any octets are read or refused', () => {
    const pieces = fc.constantFrom(
      'n,',
      'y,',
      'p=x,',
      'a=b,',
      ',',
      'n=u',
      'r=x',
      'c=biws',
      's=AAAA',
      'i=4096',
      'v=AAAA',
      '=',
      '\0',
      'ü',
    );
    const octets = fc.oneof(
      fc.array(pieces, { maxLength: 10 }).map((parts) => Buffer.from(parts.join(''))),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(octets, (message) => {
        for (const read of [
          readPlain,
          readScramClientFirst,
          readScramClientFinal,
          readScramServerFirst,
          readScramServerFinal,
        ]) {
          read(message);
        }
      }),
      runs(2000),
    );
  });
});
