import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { authenticate } from 'mailauth';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { arcSeal, type ArcSealing } from './arc-seal.js';
import { BodyHash } from './canonical.js';
import { dkimSignature, type Signer } from './dkim-sign.js';
import { readRawHeader } from './header-fields.js';
import { keyRecord, readSigningKey } from './signing-key.js';

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ED25519 = generateKeyPairSync('ed25519').privateKey;
const AT_MS = Date.now();

function signerOf(key: typeof RSA, selector: string): Signer {
  const read = readSigningKey(key.export({ type: 'pkcs8', format: 'pem' }).toString());
  if (!read.ok) throw new Error(read.message);
  return { domain: 'example.com', selector, key: read.key };
}

const SIGNERS = [signerOf(RSA, 'rsa'), signerOf(ED25519, 'ed')];
const RECORDS = new Map(SIGNERS.map(({ selector, key }) => [`${selector}._domainkey.example.com`, keyRecord(key)]));

function resolver(name: string, type: string): Promise<string[][]> {
  const record = type === 'TXT' ? RECORDS.get(name) : undefined;
  if (record !== undefined) return Promise.resolve([[record]]);
  return Promise.reject(Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' }));
}

function toSign(message: string): Parameters<typeof dkimSignature>[0] {
  const bytes = Buffer.from(message, 'latin1');
  const { fields, lengthBytes } = readRawHeader(bytes);
  const body = new BodyHash();
  body.update(bytes.subarray(lengthBytes));
  return { fields, bodyHash: body.digest(), atMs: AT_MS };
}

async function signed(message: string, signers = SIGNERS): Promise<string> {
  const signatures = await Promise.all(signers.map((signer) => dkimSignature(toSign(message), signer)));
  return signatures.join('') + message;
}

async function verdicts(message: string): Promise<readonly (string | undefined)[]> {
  const { results } = await dkimVerify(Buffer.from(message, 'latin1'), { resolver });
  return results.map(({ status }) => status.result);
}

const HEADER = [
  'Received: from a.example by b.example; Sun, 22 Nov 2026 10:00:00 +0000',
  'From: =?utf-8?q?Ann?= <ann@example.com>',
  'To: bob@example.org,',
  '\tcarol@example.org',
  'Subject:  several   spaces\t and a',
  ' fold ',
  'Date : Sun, 22 Nov 2026 10:00:00 +0000',
  'Message-ID: <1@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
  'List-Unsubscribe: <https://example.com/u>',
  'X-Unsigned: left alone',
].join('\r\n');

const BODIES: Readonly<Record<string, string>> = {
  'a line': 'Hello\r\n',
  'no line end': 'Hello',
  nothing: '',
  'empty lines only': '\r\n\r\n\r\n',
  'white space only': ' \t \r\n\t\r\n',
  'empty lines at the end': 'Hello\r\n\r\nagain\r\n\r\n\r\n',
  'white space at the ends of lines': 'a \t b  \r\n  c\t\r\n\t\r\n',
  'eight bits': 'Gr\xc3\xbc\xc3\x9fe \xff\r\n',
  'a long line': `${'x'.repeat(50_000)} ${'y '.repeat(20_000)}\r\n`,
  'more empty lines than a block has room for': `a${'\r\n'.repeat(20_000)}b\r\n`,
};

describe('dkim signatures', () => {
  it.each(Object.entries(BODIES))('are verified by another program: %s', async (_name, body) => {
    expect(await verdicts(await signed(`${HEADER}\r\n\r\n${body}`))).toEqual(['pass', 'pass']);
  });

  it('are the same octets each time', async () => {
    const message = `${HEADER}\r\n\r\nHello\r\n`;
    expect(await signed(message)).toBe(await signed(message));
  });

  it('cover every octet of the signed fields and of the body', async () => {
    const message = await signed(`${HEADER}\r\n\r\nHello World\r\n`);
    const lower = message.toLowerCase();
    for (const part of [
      'ann@example',
      'bob@',
      'several',
      'nov 2026 10:00:00 +0000\r\nmessage',
      '1@example.com>',
      '1.0',
      'utf-8\r\n',
      '8bit',
      'https',
      'hello',
      'world',
    ]) {
      const at = lower.indexOf(part, lower.lastIndexOf('received:'));
      const other = message[at] === 'z' ? 'y' : 'z';
      const changed = message.slice(0, at) + other + message.slice(at + 1);
      expect({ part, passed: (await verdicts(changed)).includes('pass') }).toEqual({ part, passed: false });
    }
  });

  it('do not cover what others may change', async () => {
    const message = await signed(`${HEADER}\r\n\r\nHello\r\n`);
    expect(await verdicts(message.replace('left alone', 'changed'))).toEqual(['pass', 'pass']);
    expect(await verdicts(`Received: from elsewhere\r\n${message}`)).toEqual(['pass', 'pass']);
    expect(await verdicts(message.replace('Subject:  several   spaces', 'subject: several spaces'))).toEqual([
      'pass',
      'pass',
    ]);
  });

  it.each([
    'From: eve@example.net',
    'To: eve@example.net',
    'Subject: other',
    'Reply-To: eve@example.net',
    'Cc: x@y.example',
    'Date: x',
    'Content-Type: text/html',
  ])('cannot be kept with another field in front: %s', async (field) => {
    const message = await signed(`${HEADER}\r\n\r\nHello\r\n`);
    const changed = message.replace('Received:', `${field}\r\nReceived:`);
    expect(await verdicts(changed)).toEqual(['fail', 'fail']);
  });

  it('stay within the length of lines', async () => {
    const message = await signed(`${HEADER}\r\n\r\n`);
    const lines = message.split('\r\n').slice(0, -HEADER.split('\r\n').length);
    expect(lines.filter((line) => line.length > 78)).toEqual([]);
  });
});

describe('keys', () => {
  it.each([
    ['short RSA', generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, /RSA key of 1024 bits/],
    ['EC', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, /type `ec`/],
  ])('refuses %s', (_name, key, told) => {
    const read = readSigningKey(key.export({ type: 'pkcs8', format: 'pem' }).toString());
    expect(read).toEqual({ ok: false, message: expect.stringMatching(told) as unknown as string });
  });

  it('refuses what is no private key, without telling it', () => {
    const publicKey = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const text of ['', 'hunter2', publicKey]) {
      expect(readSigningKey(text)).toEqual({
        ok: false,
        message: expect.stringMatching(/^is no private key, expected/) as unknown as string,
      });
    }
  });
});

describe('ARC sets', () => {
  const message = `${HEADER}\r\n\r\nHello\r\n`;

  async function sealed(text: string, signer: Signer | undefined, cv: ArcSealing['chainValidation']): Promise<string> {
    if (signer === undefined) throw new Error('no signer');
    const sealing = {
      signer,
      chainValidation: cv,
      authenticationResults: 'mx.example.com; spf=pass smtp.mailfrom=a@x.example',
    };
    const result = await arcSeal(toSign(text), sealing);
    if (!result.ok) throw new Error(result.why);
    return result.text + text;
  }

  async function checked(text: string): Promise<{ result: string | undefined; i: number | false | undefined }> {
    const { arc } = await authenticate(Buffer.from(text, 'latin1'), {
      resolver,
      sender: 'a@x.example',
      ip: '192.0.2.1',
      helo: 'x.example',
      mta: 'mx',
    });
    if (arc === false) return { result: undefined, i: false };
    return { result: arc.status.result, i: arc.i };
  }

  it('begin a chain and go on with it, over changes that each sealer made', async () => {
    const first = await sealed(await signed(message), SIGNERS[0], 'none');
    expect(await checked(first)).toEqual({ result: 'pass', i: 1 });
    const changed = first
      .replace('Hello', 'Hello from the list')
      .replace('Subject:  several', 'Subject: [list] several');
    expect(await checked(changed)).toMatchObject({ result: 'fail' });
    const second = await sealed(changed, SIGNERS[0], 'pass');
    expect(await checked(second)).toEqual({ result: 'pass', i: 2 });
    const third = await sealed(second, SIGNERS[0], 'pass');
    expect(await checked(third)).toEqual({ result: 'pass', i: 3 });
    expect(
      await checked(third.replace('i=2; mx.example.com; spf=pass', 'i=2; mx.example.com; spf=fail')),
    ).toMatchObject({
      result: 'fail',
    });
  });

  it('say that the chain before them failed, once', async () => {
    const broken = (await sealed(message, SIGNERS[0], 'none')).replace('spf=pass', 'spf=fail');
    const marked = await sealed(broken, SIGNERS[0], 'fail');
    expect(marked).toContain('cv=fail');
    expect(await checked(marked)).toMatchObject({ result: 'fail' });
    await expect(sealed(marked, SIGNERS[0], 'fail')).rejects.toThrow('sealed as failed before');
  });

  it('end at fifty', async () => {
    const long = `ARC-Seal: i=50; a=rsa-sha256; cv=pass; d=x.example; s=s; t=1; b=x\r\n${message}`;
    await expect(sealed(long, SIGNERS[0], 'pass')).rejects.toThrow('50 sets already');
  });
});
