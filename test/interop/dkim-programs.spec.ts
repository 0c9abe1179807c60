/** What we sign, Debian's programs verify; what they sign, we verify; and one octet more or less makes them all say no. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { afterAll, expect, test } from '@jest/globals';
import {
  arcSeal,
  BodyHash,
  ContentCheck,
  dkimSignature,
  keyRecord,
  keyRecordName,
  readRawHeader,
  readSigningKey,
  type ContentToSign,
  type Signer,
} from '#mail-auth';
import {
  dkimpySigns,
  dkimpyVerifies,
  dkimpyVerifiesArc,
  mailDkimSigns,
  mailDkimVerifies,
  mailDkimVerifiesArc,
  opendkimSigns,
  opendkimVerifies,
  type DkimSigner,
  type DkimVerifier,
} from '../support/dkim-programs.js';
import { available, describeIf, type ForeignProgram } from '../support/foreign-programs.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('dkim');
afterAll(() => workspace.close());

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const LARGE = generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey;
const ED25519 = generateKeyPairSync('ed25519').privateKey;
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function signerOf(key: KeyObject, selector: string): Signer {
  const read = readSigningKey(pemOf(key));
  if (!read.ok) throw new Error(read.message);
  return { domain: 'example.com', selector, key: read.key };
}
const SIGNERS = { rsa: signerOf(RSA, 'rsa'), large: signerOf(LARGE, 'large'), ed: signerOf(ED25519, 'ed') };
const RECORDS = new Map(
  Object.values(SIGNERS).map(({ domain, selector, key }) => [keyRecordName(domain, selector), keyRecord(key)]),
);

function contentOf(message: Buffer): ContentToSign {
  const { fields, lengthBytes } = readRawHeader(message);
  const body = new BodyHash();
  body.update(message.subarray(lengthBytes));
  return { fields, bodyHash: body.digest(), atMs: Date.now() - 1000 };
}

async function signed(message: Buffer, ...signers: readonly Signer[]): Promise<Buffer> {
  const fields = await Promise.all(signers.map((signer) => dkimSignature(contentOf(message), signer)));
  return Buffer.concat([Buffer.from(fields.join(''), 'latin1'), message]);
}

async function sealed(message: Buffer, chainValidation: 'none' | 'pass'): Promise<Buffer> {
  const authenticationResults = 'mx.example.com; spf=pass smtp.mailfrom=a@example.com; dkim=none';
  const seal = await arcSeal(contentOf(message), { signer: SIGNERS.rsa, chainValidation, authenticationResults });
  if (!seal.ok) throw new Error(seal.why);
  return Buffer.concat([Buffer.from(seal.text, 'latin1'), message]);
}

const HEADER = [
  'Received: from a.example by b.example; Sun, 22 Nov 2026 10:00:00 +0000',
  'From: Ann <ann@example.com>',
  'To: bob@example.org,',
  '\tcarol@example.org',
  'Subject:  spaces \t and a',
  '  fold',
  'Date: Sun, 22 Nov 2026 10:00:00 +0000',
  'Message-ID: <1@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
].join('\r\n');
const BODIES: readonly (readonly [string, string])[] = [
  ['text', 'Hello  World \t \r\n\r\n. dots\r\n'],
  ['empty lines at the end', 'Hello World\r\n\r\n\r\n'],
  ['8-bit octets', 'Hello Gr\u00fc\u00dfe World\r\n'],
  ['nothing', ''],
  ['many lines', `Hello World\r\n${'0123456789 abcdef \r\n'.repeat(5_000)}`],
];
const messageOf = (body: string): Buffer => Buffer.from(`${HEADER}\r\n\r\n${body}`, 'utf8');

const VERIFIERS: readonly (readonly [ForeignProgram, DkimVerifier, readonly Signer[]])[] = [
  ['opendkim', opendkimVerifies, [SIGNERS.rsa, SIGNERS.large]],
  ['perl-dkim', mailDkimVerifies, [SIGNERS.rsa, SIGNERS.large]],
  ['python-dkim', dkimpyVerifies, [SIGNERS.rsa, SIGNERS.large, SIGNERS.ed]],
];

for (const [program, verify, signers] of VERIFIERS) {
  describeIf(available(program), `${program} verifies what we sign`, () => {
    test.each(BODIES)('%s', async (_name, body) => {
      for (const signer of signers) {
        const message = await signed(messageOf(body), signer);
        expect(verify(message, RECORDS, workspace)).toEqual(['pass']);
      }
    });

    test('not when an octet has changed', async () => {
      const [first = SIGNERS.rsa] = signers;
      const text = (await signed(messageOf('Hello World\r\n'), first)).toString('latin1');
      const changes = [
        ['World', 'Worle'],
        ['ann@example.com', 'eve@example.com'],
        ['Subject:  spaces', 'Subject: spades'],
        ['Received:', 'From: eve@example.net\r\nReceived:'],
        ['carol@', 'karol@'],
      ] as const;
      for (const [from, to] of changes) {
        const changed = Buffer.from(text.replace(from, to), 'latin1');
        expect({ to, results: verify(changed, RECORDS, workspace) }).not.toMatchObject({ results: ['pass'] });
      }
    });
  });
}

const ARC_VERIFIERS: readonly (readonly [ForeignProgram, DkimVerifier])[] = [
  ['perl-dkim', mailDkimVerifiesArc],
  ['python-dkim', dkimpyVerifiesArc],
];

for (const [program, verify] of ARC_VERIFIERS) {
  describeIf(available(program), `${program} verifies what we seal`, () => {
    test('one set, and a second one over a change', async () => {
      const one = await sealed(await signed(messageOf('Hello World\r\n'), SIGNERS.rsa), 'none');
      expect(verify(one, RECORDS, workspace)).toEqual(['pass']);
      const changed = Buffer.from(one.toString('latin1').replace('World', 'list'), 'latin1');
      expect(verify(changed, RECORDS, workspace)).toEqual(['fail']);
      const two = await sealed(changed, 'pass');
      expect(verify(two, RECORDS, workspace)).toEqual(['pass']);
    });
  });
}

const task = { domain: 'example.com', selector: 'rsa', key: pemOf(RSA), workspace };
/** RFC 8463 s4.2 has no form for private keys: this program wants the seed. */
const seed = ED25519.export({ type: 'pkcs8', format: 'der' }).subarray(-32).toString('base64');
const PROGRAM_SIGNERS: readonly (readonly [string, ForeignProgram, DkimSigner, typeof task])[] = [
  ['opendkim', 'opendkim', opendkimSigns, task],
  ['Mail::DKIM', 'perl-dkim', mailDkimSigns, task],
  [
    'dkimpy with RSA',
    'python-dkim',
    dkimpySigns('rsa'),
    { ...task, key: RSA.export({ type: 'pkcs1', format: 'pem' }).toString() },
  ],
  ['dkimpy with Ed25519', 'python-dkim', dkimpySigns('ed25519'), { ...task, selector: 'ed', key: seed }],
];

async function weSay(message: Buffer): Promise<{ readonly dkim: readonly string[]; readonly arc: string }> {
  const check = new ContentCheck({ nowMs: Date.now() + 2000 });
  check.write(message);
  const results = await check.end({
    txt: (name) => {
      const record = RECORDS.get(name);
      return Promise.resolve(record === undefined ? { kind: 'no-domain' } : { kind: 'found', values: [record] });
    },
  });
  if (!results.ok) throw new Error(results.why);
  return { dkim: results.dkim.map(({ result }) => result), arc: results.arc.result };
}

for (const [name, program, sign, how] of PROGRAM_SIGNERS) {
  describeIf(available(program), `we verify what ${name} signs`, () => {
    test.each(BODIES.filter(([kind]) => kind !== 'nothing'))('%s', async (_name, body) => {
      const message = sign(messageOf(body), how);
      expect((await weSay(message)).dkim).toEqual(['pass']);
      const changed = Buffer.from(message.toString('latin1').replace('World', 'Worle'), 'latin1');
      expect((await weSay(changed)).dkim).toEqual(['fail']);
    });
  });
}

describeIf(available('python-dkim'), 'chains of several programs', () => {
  test('we go on with a chain that another began, and another goes on with ours', async () => {
    const how = { ...task, key: RSA.export({ type: 'pkcs1', format: 'pem' }).toString() };
    const results = (message: Buffer): Buffer =>
      Buffer.concat([Buffer.from('Authentication-Results: mx.example.com; spf=pass\r\n'), message]);
    const theirs = dkimpySigns('arc', 'mx.example.com')(results(messageOf('Hello World\r\n')), how);
    expect((await weSay(theirs)).arc).toBe('pass');
    const ours = await sealed(theirs, 'pass');
    expect((await weSay(ours)).arc).toBe('pass');
    expect(dkimpyVerifiesArc(ours, RECORDS, workspace)).toEqual(['pass']);
    expect((await weSay(await sealed(ours, 'pass'))).arc).toBe('pass');
  });
});
