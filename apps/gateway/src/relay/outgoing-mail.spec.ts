import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { authenticate } from 'mailauth';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import type { HeaderChange, QueuedMessage } from '#delivery';
import { keyRecord, readSigningKey } from '#mail-auth';
import { OutgoingMail } from './outgoing-mail.js';
import { SigningKeys } from './signing-keys.js';
import { readSpool } from './spool-content.js';

const pem = (type: 'rsa' | 'ed25519'): string => {
  const { privateKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync(type);
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
};
const SECRETS = new Map([
  ['rsa', pem('rsa')],
  ['ed', pem('ed25519')],
  ['password', 'hunter2'],
]);
const sign = (secret: string, domain = 'example.com'): HeaderChange => ({
  op: 'sign',
  domain,
  selector: secret,
  secret,
});

const outgoing = new OutgoingMail(
  new SigningKeys({
    reveal: (name) => {
      if (name === 'away') return Promise.reject(new Error('no database'));
      const value = SECRETS.get(name);
      return Promise.resolve(
        value === undefined ? { ok: false, message: `there is no secret \`${name}\`` } : { ok: true, value },
      );
    },
  }),
);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-outgoing-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const HEADER = 'Received: from a by b\r\nFrom: Ann <ann@example.com>\r\nSubject: one\r\nX-Secret: inside\r\n';

function message(text: string, headerChanges: readonly HeaderChange[] | undefined, inFile = false): QueuedMessage {
  const bytes = Buffer.from(text, 'latin1');
  const file = join(directory, 'content');
  if (inFile) writeFileSync(file, bytes);
  return {
    id: 'm',
    sender: 'ann@example.com',
    content: inFile ? { kind: 'spool', file, sizeBytes: bytes.length } : { kind: 'inline', bytes },
    sizeBytes: bytes.length,
    body8bit: false,
    policyRevision: 1,
    acceptedAtMs: Date.now(),
    recipients: [],
    ...(headerChanges === undefined ? {} : { headerChanges }),
  };
}

async function octetsOf({ content, sizeBytes }: QueuedMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  if (content.kind === 'inline') chunks.push(content.bytes);
  else for await (const chunk of readSpool(content)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  expect(bytes.length).toBe(sizeBytes);
  return bytes.toString('latin1');
}

function resolver(name: string): Promise<string[][]> {
  const read = readSigningKey(SECRETS.get(name.split('.')[0] ?? '') ?? '');
  return read.ok ? Promise.resolve([[keyRecord(read.key)]]) : Promise.reject(new Error('no key'));
}

async function verdicts(text: string): Promise<readonly (string | undefined)[]> {
  const { results } = await dkimVerify(Buffer.from(text, 'latin1'), { resolver });
  return results.map(({ status }) => status.result);
}

const CHANGES: readonly HeaderChange[] = [
  sign('rsa'),
  { op: 'set', name: 'Subject', value: 'two' },
  { op: 'remove', name: 'X-Secret' },
  { op: 'add', name: 'X-Origin', value: 'inside' },
  sign('ed'),
];

describe.each([
  ['in memory', false],
  ['in a file', true],
])('mail %s', (_where, inFile) => {
  it('leaves signed as the rules have changed it', async () => {
    const ready = await outgoing.prepared(message(`${HEADER}\r\nHello\r\n`, CHANGES, inFile));
    const text = await octetsOf(ready);
    expect(ready.signed).toEqual(['example.com/rsa', 'example.com/ed']);
    expect(text).toMatch(
      /^DKIM-Signature: [^]*DKIM-Signature: [^]*Received: [^]*Subject: two\r\n[^]*\r\n\r\nHello\r\n$/,
    );
    expect(text).not.toContain('X-Secret');
    expect(await verdicts(text)).toEqual(['pass', 'pass']);
    expect((await verdicts(text.replace('Subject: two', 'Subject: one'))).includes('pass')).toBe(false);
  });

  it.each([
    ['a header without a body', HEADER],
    ['an empty body', `${HEADER}\r\n`],
    ['a long body', `${HEADER}\r\n${'0123456789\r\n'.repeat(100_000)}`],
  ])('is signed whatever follows: %s', async (_name, text) => {
    const ready = await outgoing.prepared(message(text, [sign('rsa')], inFile));
    const octets = await octetsOf(ready);
    expect(octets.endsWith(text)).toBe(true);
    // The other program wants to see the end of the header.
    expect(await verdicts(octets.includes('\r\n\r\n') ? octets : `${octets}\r\n`)).toEqual(['pass']);
  });

  it('is the same at the next attempt', async () => {
    const given = message(`${HEADER}\r\nHello\r\n`, CHANGES, inFile);
    const [one, two] = await Promise.all([outgoing.prepared(given), outgoing.prepared(given)]);
    expect(await octetsOf(one)).toBe(await octetsOf(two));
  });

  it('that is to be left alone is', async () => {
    const given = message(`${HEADER}\r\nHello\r\n`, undefined, inFile);
    expect(await outgoing.prepared(given)).toBe(given);
  });

  it.each([
    [sign('absent'), 'not signed as example.com/absent: secret `absent`: there is no secret `absent`'],
    [sign('password'), 'not signed as example.com/password: secret `password` is no private key, expected'],
    [sign('away'), 'not signed as example.com/away: secret `away`: the secret store does not answer'],
  ])('waits where a key is not there: %j', async (change, why) => {
    const ready = await outgoing.prepared(message(`${HEADER}\r\nHello\r\n`, [sign('rsa'), change], inFile));
    expect(ready.unready).toContain(why);
    expect(ready.unready).not.toContain('hunter2');
    expect(ready).not.toHaveProperty('signed');
  });

  it.each([
    ['From: eve@other.example\r\n', 'From is of other.example'],
    ['From: ann@example.com.evil.example\r\n', 'From is of example.com.evil.example'],
    ['From: ann@example.com\r\nFrom: eve@other.example\r\n', 'From is not one field with readable addresses'],
    ['From: ann@example.com, eve@other.example\r\n', 'From is of example.com, other.example'],
    ['From: nobody\r\n', 'From is not one field with readable addresses'],
    ['Subject: x\r\n', 'From is not one field with readable addresses'],
  ])('is not signed for others, and says so: %j', async (header, why) => {
    const ready = await outgoing.prepared(message(`${header}\r\nHello\r\n`, [sign('rsa')], inFile));
    expect(ready.unsigned).toBe(`not signed as example.com/rsa: ${why}`);
    expect(await octetsOf(ready)).not.toContain('DKIM-Signature');
  });

  it('is signed by those whose domain it is of', async () => {
    const changes = [sign('rsa'), sign('ed', 'example.org')];
    const ready = await outgoing.prepared(message('From: <a@News.Example.COM>\r\n\r\nx\r\n', changes, inFile));
    expect(ready.signed).toEqual(['example.com/rsa']);
    expect(ready).not.toHaveProperty('unsigned');
  });
});

it('a header without an end in sight waits', async () => {
  const endless = `From: ann@example.com\r\n${'X-Long: x\r\n'.repeat(110_000)}\r\nHello\r\n`;
  const ready = await outgoing.prepared(message(endless, [sign('rsa')], true));
  expect(ready.unready).toBe('the header is too large to be signed');
});

describe('Authentication-Results', () => {
  const forged = [
    'Authentication-Results: mx.example.com; dkim=pass header.d=bank.example\r\n',
    'AUTHENTICATION-RESULTS: (well)\r\n "MX.example.com" 1; spf=pass\r\n',
  ];
  const foreign = 'Authentication-Results: other.example; spf=pass\r\n';
  const given = `Received: from a by b\r\n${forged[0]}From: ann@example.com\r\n${foreign}${forged[1]}Subject: x\r\n\r\nHello\r\n`;
  const kept = `Received: from a by b\r\nFrom: ann@example.com\r\n${foreign}Subject: x\r\n\r\nHello\r\n`;
  const results = (value?: string): HeaderChange => ({
    op: 'results',
    authservId: 'mx.example.com',
    ...(value !== undefined && { value }),
  });

  it.each([false, true])('are ours alone (in a file: %s)', async (inFile) => {
    const value = 'mx.example.com; spf=fail smtp.mailfrom=ann@example.com';
    const text = await octetsOf(await outgoing.prepared(message(given, [results(value)], inFile)));
    expect(text).toBe(`Authentication-Results: mx.example.com; spf=fail\r\n\tsmtp.mailfrom=ann@example.com\r\n${kept}`);
    expect(await octetsOf(await outgoing.prepared(message(given, [results()], inFile)))).toBe(kept);
  });

  it('do not touch what nobody forged, to the octet', async () => {
    const odd = 'Received: a\r\nX-Odd:\xff\xfe \r\n\t\r\nno field\r\nFrom: a@b.example\r\n\r\nx\r\n';
    expect(await octetsOf(await outgoing.prepared(message(odd, [results()])))).toBe(odd);
    const both = await octetsOf(await outgoing.prepared(message(`${forged[0]}${odd}`, [results()])));
    expect(both).toBe(odd);
  });
});

describe('seals', () => {
  const seal = (chain: 'none' | 'pass' | 'fail' | 'unknown', secret = 'rsa'): HeaderChange => ({
    op: 'seal',
    domain: 'example.com',
    selector: secret,
    secret,
    chain,
    results: 'mx.example.com; spf=pass smtp.mailfrom=x@y.example',
  });
  const given = `${HEADER}\r\nHello\r\n`;

  async function arcOf(text: string): Promise<unknown> {
    const { arc } = await authenticate(Buffer.from(text, 'latin1'), {
      resolver,
      ip: '192.0.2.1',
      helo: 'x',
      sender: '',
    });
    return arc === false ? undefined : { result: arc.status.result, i: arc.i };
  }

  it('stand over what was changed and signed, and go on with the chain', async () => {
    const changes: readonly HeaderChange[] = [
      { op: 'set', name: 'Subject', value: 'two' },
      { op: 'results', authservId: 'mx.example.com', value: 'mx.example.com; spf=pass' },
      sign('ed'),
    ];
    const one = await outgoing.prepared(message(given, [...changes, seal('none')]));
    expect(one).toMatchObject({ signed: ['example.com/ed'], sealed: 'example.com/rsa' });
    const text = await octetsOf(one);
    expect(text).toMatch(
      /^ARC-Seal: [^]*ARC-Message-Signature: [^]*ARC-Authentication-Results: i=1; mx\.example\.com; spf=pass\r\n\tsmtp\.mailfrom=x@y\.example\r\nDKIM-Signature: [^]*Authentication-Results: mx/,
    );
    expect(await arcOf(text)).toEqual({ result: 'pass', i: 1 });
    expect(await verdicts(text)).toEqual(['pass']);
    const two = await octetsOf(await outgoing.prepared(message(text, [seal('pass')], true)));
    expect(await arcOf(two)).toEqual({ result: 'pass', i: 2 });
  });

  it('are not made of a chain that nobody could check, and that is told', async () => {
    const ready = await outgoing.prepared(message(given, [seal('unknown')]));
    expect(ready.unsealed).toBe('not sealed as example.com/rsa: the chain that it came with could not be checked');
    expect(await octetsOf(ready)).toBe(given);
  });

  it('wait for their key', async () => {
    const ready = await outgoing.prepared(message(given, [seal('none', 'absent')]));
    expect(ready.unready).toContain('not sealed as example.com/absent: secret `absent`');
  });

  it('say of a failed chain that it failed, and end it', async () => {
    const broken = (await octetsOf(await outgoing.prepared(message(given, [seal('none')])))).replace(
      'spf=pass',
      'spf=fail',
    );
    const marked = await octetsOf(await outgoing.prepared(message(broken, [seal('fail')])));
    expect(marked).toContain('cv=fail');
    const again = await outgoing.prepared(message(marked, [seal('fail')]));
    expect(again.unsealed).toContain('the chain was sealed as failed before');
  });
});
