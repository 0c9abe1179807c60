import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { ed25519Key, hashed, naivelySigned, rsaKey, type TestKey } from '../../../test/support/naive-dkim.js';
import { runs } from '../../../test/support/fuzz.js';
import { ContentCheck, type ContentResults } from './content-check.js';
import type { DnsReply } from './dns.js';
import type { DkimCheck } from './results.js';

const NOW_MS = Date.parse('2026-11-22T10:00:00Z');
const SECONDS = NOW_MS / 1000;
const RSA = rsaKey();
const WEAK = rsaKey(512);
const ED25519 = ed25519Key();

const RECORDS: Readonly<Record<string, DnsReply<string>>> = Object.fromEntries(
  Object.entries({
    rsa: RSA.record,
    ed: ED25519.record,
    weak: WEAK.record,
    revoked: 'v=DKIM1; p=',
    sha1: `${RSA.record}; h=sha1`,
    web: `${RSA.record}; s=web:other`,
    mail: `${RSA.record}; s=web:email; n=note`,
    strict: `${RSA.record}; t=s`,
    trying: `${RSA.record}; t=y`,
    version: RSA.record.replace('DKIM1', 'DKIM2'),
    plain: RSA.record.replace('v=DKIM1; k=rsa; ', ''),
    rubbish: 'what is this',
    'no-key': 'v=DKIM1; p=AAAA',
    wrong: ED25519.record,
    // As the record of a key of 16,384 bits is: refused by its length alone.
    huge: `v=DKIM1; p=${Buffer.alloc(2094, 1).toString('base64')}`,
    long: `v=DKIM1; n=${'x'.repeat(60_000)}`,
  }).map(([selector, record]) => [
    `${selector}._domainkey.sender.example`,
    { kind: 'found', values: [record] } as const,
  ]),
);
const OTHERS: Readonly<Record<string, DnsReply<string>>> = {
  'down._domainkey.sender.example': { kind: 'failed', message: 'name server failed' },
  'two._domainkey.sender.example': { kind: 'found', values: [RSA.record, ED25519.record] },
  'empty._domainkey.sender.example': { kind: 'none' },
};

const keys = {
  txt: (name: string): Promise<DnsReply<string>> =>
    Promise.resolve(RECORDS[name] ?? OTHERS[name] ?? { kind: 'no-domain' }),
};

async function results(message: string, chunkBytes = 65_536): Promise<ContentResults> {
  const check = new ContentCheck({ nowMs: NOW_MS });
  const octets = Buffer.from(message, 'latin1');
  for (let at = 0; at < octets.length; at += chunkBytes) check.write(octets.subarray(at, at + chunkBytes));
  return check.end(keys);
}

async function dkimOf(message: string, chunkBytes?: number): Promise<readonly DkimCheck[]> {
  const all = await results(message, chunkBytes);
  if (!all.ok) throw new Error(all.why);
  return all.dkim;
}

const HEADER = [
  'Received: from a.example by b.example',
  'From: Ann <ann@sender.example>',
  'Subject:  two   spaces\t and a',
  ' fold ',
  'Date : Sun, 22 Nov 2026 10:00:00 +0000',
].join('\r\n');
const MESSAGE = `${HEADER}\r\n\r\nHello  there \t\r\n\r\nagain\r\n\r\n\r\n`;

const TAGS = {
  v: '1',
  a: 'rsa-sha256',
  c: 'relaxed/relaxed',
  d: 'sender.example',
  s: 'rsa',
  h: 'from:subject:date:from',
};

function signed(tags: Readonly<Record<string, string | undefined>>, { key }: TestKey = RSA, message = MESSAGE): string {
  return naivelySigned(message, { key, tags: { ...TAGS, ...tags } });
}

describe('signatures that hold', () => {
  it.each([
    ['relaxed/relaxed', {}],
    ['simple/simple', { c: 'simple/simple' }],
    ['simple by default', { c: undefined }],
    ['relaxed/simple by default', { c: 'relaxed' }],
    ['simple/relaxed', { c: 'simple/relaxed' }],
    ['a domain below', { i: 'ann@mail.sender.example' }],
    ['an expiry to come', { t: String(SECONDS - 100), x: String(SECONDS + 100) }],
    ['methods', { q: 'other : dns/txt' }],
    ['a bare key record', { s: 'plain' }],
    ['a key for mail among others', { s: 'mail' }],
    ['tags that nobody knows', { z: 'From:ann', xx: 'y' }],
    ['upper case', { d: 'Sender.EXAMPLE', a: 'RSA-SHA256' }],
  ])('%s', async (_name, tags) => {
    expect(await dkimOf(signed(tags))).toMatchObject([{ result: 'pass', domain: 'sender.example' }]);
  });

  it('Ed25519, and both at once', async () => {
    const message = signed({}, RSA, signed({ s: 'ed', a: 'ed25519-sha256' }, ED25519));
    expect((await dkimOf(message)).map(({ result }) => result)).toEqual(['pass', 'pass']);
  });

  it('tells what it found', async () => {
    const [check] = await dkimOf(signed({ i: '@sender.example' }));
    expect(check).toEqual({
      result: 'pass',
      domain: 'sender.example',
      selector: 'rsa',
      identity: '@sender.example',
      algorithm: 'rsa-sha256',
      signature: expect.stringMatching(/^.{12}$/),
      keyBits: 2048,
      record: RSA.record,
    });
  });

  it('says when the owner is only trying', async () => {
    expect(await dkimOf(signed({ s: 'trying' }))).toMatchObject([{ result: 'pass', testing: true }]);
  });

  it('whatever the chunks are', async () => {
    const message = signed({ c: 'simple/relaxed' });
    for (const size of [1, 2, 3, 7, 64]) expect(await dkimOf(message, size)).toMatchObject([{ result: 'pass' }]);
  });
});

describe('signatures that do not', () => {
  it.each<[string, DkimCheck['result'], Readonly<Record<string, string | undefined>>]>([
    ['no version', 'neutral', { v: undefined }],
    ['another version', 'neutral', { v: '2' }],
    ['no domain', 'neutral', { d: undefined }],
    ['what is no domain', 'neutral', { d: 'sender' }],
    ['no selector', 'neutral', { s: '' }],
    ['what is no selector', 'neutral', { s: 'a b' }],
    ['no fields', 'neutral', { h: undefined }],
    ['another algorithm', 'neutral', { a: 'rsa-sha512' }],
    ['another form', 'neutral', { c: 'nofws/simple' }],
    ['another method', 'neutral', { q: 'http/txt' }],
    ['an expiry that is over', 'neutral', { t: String(SECONDS - 9000), x: String(SECONDS - 8000) }],
    ['an expiry before its time', 'neutral', { t: String(SECONDS), x: String(SECONDS - 1) }],
    ['a time that is none', 'neutral', { t: 'now' }],
    ['a body hash that is none', 'neutral', { bh: 'AAAA' }],
    ['From not signed', 'permerror', { h: 'subject:date' }],
    ['an identity elsewhere', 'permerror', { i: 'ann@other.example' }],
    ['an identity that ends like it', 'permerror', { i: 'ann@notsender.example' }],
    ['a length', 'policy', { l: '5' }],
    ['SHA-1', 'policy', { a: 'rsa-sha1' }],
    ['no key', 'permerror', { s: 'nowhere' }],
    ['no record at its name', 'permerror', { s: 'empty' }],
    ['several keys', 'permerror', { s: 'two' }],
    ['a key revoked', 'permerror', { s: 'revoked' }],
    ['a key for SHA-1', 'permerror', { s: 'sha1' }],
    ['a key for the web', 'permerror', { s: 'web' }],
    ['a key of another version', 'permerror', { s: 'version' }],
    ['a record that is none', 'permerror', { s: 'rubbish' }],
    ['a key that is none', 'permerror', { s: 'no-key' }],
    ['a key of another type', 'permerror', { s: 'wrong' }],
    ['a key not for domains below', 'permerror', { s: 'strict', i: '@mail.sender.example' }],
    ['a record of 60 KB', 'permerror', { s: 'long' }],
    ['a key of 16,384 bits', 'policy', { s: 'huge' }],
    ['a key that could not be looked up', 'temperror', { s: 'down' }],
    ['another body', 'fail', { bh: 'A'.repeat(43) + '=' }],
  ])('%s: %s', async (_name, result, tags) => {
    const [check] = await dkimOf(signed(tags));
    expect(check).toMatchObject({ result });
    expect(check?.why).not.toBe('');
  });

  it('a key of 512 bits', async () => {
    expect(await dkimOf(signed({ s: 'weak' }, WEAK))).toMatchObject([{ result: 'policy', keyBits: 512 }]);
  });

  it.each([
    'DKIM-Signature: ',
    'DKIM-Signature: v=1; v=1; a=x',
    'DKIM-Signature: ;;;',
    `DKIM-Signature: ${'a=b;'.repeat(200)}`,
  ])('a field that is no list of tags: %#', async (field) => {
    expect(await dkimOf(`${field}\r\n${MESSAGE}`)).toMatchObject([{ result: 'neutral' }]);
  });

  it('there is none', async () => {
    expect(await dkimOf(MESSAGE)).toEqual([]);
    expect(await dkimOf('')).toEqual([]);
    expect(await dkimOf('\r\nbody')).toEqual([]);
  });
});

describe('hostile messages', () => {
  it('of a hundred signatures ten are looked at, and it is told', async () => {
    const one = signed({}).slice(0, -MESSAGE.length);
    const checks = await dkimOf(one.repeat(100) + MESSAGE);
    expect(checks.map(({ result }) => result)).toEqual([...Array<string>(10).fill('pass'), 'policy']);
    expect(checks.at(-1)?.why).toMatch(/^90 /);
  });

  it('a header of 10 MB is not looked at, and costs no more than its limit', async () => {
    const begun = process.cpuUsage();
    const all = await results(`X: ${`${'y'.repeat(70)}\r\n `.repeat(145_000)}\r\n${MESSAGE}`);
    expect(all).toMatchObject({ ok: false });
    expect(process.cpuUsage(begun).user / 1000).toBeLessThan(1_500);
  });

  it('ten signatures over a header near its limit cost little', async () => {
    const padding = Array.from({ length: 400 }, (_, index) => `X-${String(index)}: ${'y \t'.repeat(100)}`).join('\r\n');
    const h = `from:${Array.from({ length: 400 }, (_, index) => `x-${String(index)}`).join(':')}`;
    const message = `${padding}\r\n${MESSAGE}`;
    const one = signed({ h }, RSA, message).slice(0, -message.length);
    const begun = process.cpuUsage();
    const checks = await dkimOf(one.repeat(10) + message);
    expect(checks.map(({ result }) => result)).toEqual(Array<string>(10).fill('pass'));
    expect(process.cpuUsage(begun).user / 1000).toBeLessThan(1_000);
  });

  it('a header of many fields is not looked at', async () => {
    expect(await results(`X: y\r\n`.repeat(1001) + MESSAGE)).toMatchObject({ ok: false });
  });

  it('a body of line ends costs what it is long', async () => {
    const bh = hashed(`${'\r\n\r\n'.repeat(400_000)}end\r\n`);
    const message = signed({ bh }, RSA, `${HEADER}\r\n\r\n${'\r\n \r\n'.repeat(400_000)}end`);
    const begun = process.cpuUsage();
    expect(await dkimOf(message)).toMatchObject([{ result: 'pass' }]);
    expect(process.cpuUsage(begun).user / 1000).toBeLessThan(2_000);
  });
});

/** Octets that are content: whole lines of text, some of them white space only. */
const text = fc
  .array(
    fc.oneof(fc.constantFrom('', ' ', '\t ', 'a  b', 'Gr\xfc\xdfe\xa0', '.', '--x'), fc.string({ maxLength: 20 })),
    {
      maxLength: 8,
    },
  )
  .map((lines) => lines.map((line) => line.replace(/[^\x20-\xff\t]/g, '?')).join('\r\n'));
const form = fc.constantFrom('simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed');

describe('any message', () => {
  it('is verified as it was signed by the other implementation', async () => {
    await fc.assert(
      fc.asyncProperty(text, form, fc.integer({ min: 1, max: 50 }), async (body, c, size) => {
        const message = signed({ c }, RSA, `${HEADER}\r\n\r\n${body}`);
        expect((await dkimOf(message, size)).map(({ result }) => result)).toEqual(['pass']);
      }),
      runs(150),
    );
  });

  it('is another one when an octet of what was signed is another one', async () => {
    const message = signed({ c: 'simple/simple', h: 'from:subject:date' });
    const from = message.indexOf('From:');
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: from, max: message.length - 7 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, by) => {
          const octet = String.fromCharCode((message.charCodeAt(at) + by) % 256);
          const checks = await dkimOf(message.slice(0, at) + octet + message.slice(at + 1));
          expect(checks.map(({ result }) => result)).not.toContain('pass');
        },
      ),
      runs(300),
    );
  });

  it('is another one when an octet of the signature is another one', async () => {
    const message = signed({});
    const end = message.indexOf('Received:') - 2;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 16, max: end - 1 }),
        fc.constantFrom('x', '0', '/', 'Q', '~'),
        async (at, octet) => {
          fc.pre(message[at] !== octet);
          const checks = await dkimOf(message.slice(0, at) + octet + message.slice(at + 1));
          // The last octets of base64 may carry bits that mean nothing.
          if (at < end - 4) expect(checks.map(({ result }) => result)).not.toContain('pass');
        },
      ),
      runs(200),
    );
  });

  it('is what another program says it is', async () => {
    const resolver = (name: string): Promise<string[][]> => {
      const reply = RECORDS[name];
      if (reply?.kind === 'found') return Promise.resolve(reply.values.map((value) => [value]));
      return Promise.reject(Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' }));
    };
    const ascii = text.map((body) => body.replace(/[^\x20-\x7e\t\r\n]/g, '?'));
    await fc.assert(
      fc.asyncProperty(ascii, form, fc.boolean(), async (body, c, changed) => {
        const message = signed({ c }, RSA, `${HEADER}\r\n\r\n${body}\r\n`) + (changed ? 'more\r\n' : '');
        const { results: theirs } = await dkimVerify(Buffer.from(message, 'latin1'), { resolver });
        const ours = await dkimOf(message);
        const passes = (result: string | undefined): boolean => result === 'pass';
        expect(ours.map(({ result }) => passes(result))).toEqual(theirs.map(({ status }) => passes(status.result)));
      }),
      runs(100),
    );
  });
});
