/** What is changed over the API counts at the next sign-in; and no password is found in anything that is written. */
import { createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { auditEvents } from '../support/audit-events.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { Workspace } from '../support/workspace.js';

const PASSWORD = 'correct horse battery';
const WRONG = 'wrong donkey accumulator';

const workspace = new Workspace('accounts');
let postern: RunningPostern;

/** AUTH without TLS, on loopback: the point here is the account, not the wire. */
function policy(): PolicyDocument {
  const base = testPolicy();
  const submit = {
    address: '127.0.0.1',
    port: 0,
    exposure: 'internal',
    auth: { mode: 'required', 'without-tls': 'allowed' },
  };
  return { ...base, listeners: { ...(base['listeners'] as object), submit } };
}

beforeAll(async () => {
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policy() }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

const make = (name: string, more: object = {}): Promise<unknown> =>
  postern.api.expectOk('POST', '/v1/accounts', { body: JSON.stringify({ name, password: PASSWORD, ...more }) });

const change = (name: string, patch: object): Promise<unknown> =>
  postern.api.expectOk('PATCH', `/v1/accounts/${name}`, { body: JSON.stringify(patch), headers: { 'If-Match': '*' } });

async function plain(name: string, password: string): Promise<number> {
  const dialog = await SmtpDialog.start({ port: postern.port('submit') });
  const answer = await dialog.command(`AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}`);
  dialog.destroy();
  return answer.code;
}

/** RFC 5802 by hand: the code at the end, and what the server showed of the account. */
async function scram(name: string, password: string): Promise<{ code: number; salt: string; iterations: number }> {
  const dialog = await SmtpDialog.start({ port: postern.port('submit') });
  const nonce = randomBytes(12).toString('hex');
  const bare = `n=${name},r=${nonce}`;
  const first = await dialog.command(`AUTH SCRAM-SHA-256 ${Buffer.from(`n,,${bare}`).toString('base64')}`, 334);
  const challenge = Buffer.from(first.text.slice(4), 'base64').toString();
  const [, whole = '', salt = '', iterations = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/u.exec(challenge) ?? [];
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = await crypto.subtle.digest('SHA-256', clientKey);
  const withoutProof = `c=biws,r=${whole}`;
  const signature = createHmac('sha256', Buffer.from(storedKey))
    .update(`${bare},${challenge},${withoutProof}`)
    .digest();
  const proof = Buffer.from(clientKey.map((octet, index) => octet ^ (signature[index] ?? 0))).toString('base64');
  let answer = await dialog.command(Buffer.from(`${withoutProof},p=${proof}`).toString('base64'));
  if (answer.code === 334) answer = await dialog.command('');
  dialog.destroy();
  return { code: answer.code, salt, iterations: Number(iterations) };
}

describe('the next sign-in', () => {
  test('knows that an account was disabled, enabled, expired, and removed', async () => {
    await make('ann');
    expect([await plain('ann', PASSWORD), (await scram('ann', PASSWORD)).code]).toEqual([235, 235]);
    await change('ann', { disabled: true });
    expect([await plain('ann', PASSWORD), (await scram('ann', PASSWORD)).code]).toEqual([535, 535]);
    await change('ann', { disabled: false, expires: new Date(Date.now() + 3_600_000).toISOString() });
    expect([await plain('ann', PASSWORD), (await scram('ann', PASSWORD)).code]).toEqual([235, 235]);
    await postern.api.expectOk('DELETE', '/v1/accounts/ann', { headers: { 'If-Match': '*' } });
    expect([await plain('ann', PASSWORD), (await scram('ann', PASSWORD)).code]).toEqual([535, 535]);
  }, 60_000);

  test('knows another password, and the old one no longer, although it was used a moment ago', async () => {
    await make('joe');
    expect(await plain('joe', PASSWORD)).toBe(235);
    const { password } = (await postern.api.expectOk('POST', '/v1/accounts/joe:password', {
      body: '{}',
      headers: { 'If-Match': '*' },
    })) as { password: string };
    expect([await plain('joe', PASSWORD), await plain('joe', password)]).toEqual([535, 235]);
    expect((await scram('joe', password)).code).toBe(235);
  }, 60_000);
});

test('a name that does not exist looks like one that does', async () => {
  await make('eve');
  const known = await scram('eve', WRONG);
  const unknown = await scram('nobody-at-all', WRONG);
  const again = await scram('nobody-at-all', WRONG);
  expect([known.code, unknown.code]).toEqual([535, 535]);
  expect([unknown.iterations, unknown.salt.length]).toEqual([known.iterations, known.salt.length]);
  expect(again.salt).toBe(unknown.salt);
  expect(await plain('nobody-at-all', WRONG)).toBe(535);
}, 60_000);

test('neither passwords nor verifiers are in the logs, the audit, or any file of the data directory', async () => {
  const kinds = ['account.changed', 'session.authenticated', 'session.auth-failed'];
  const said = JSON.stringify(await Promise.all(kinds.map((kind) => auditEvents(postern, kind))));
  const verifiers = /\$argon2id\$|scram_stored_key/u;
  expect(said).not.toContain(PASSWORD);
  expect(said).not.toContain(WRONG);
  expect(said).not.toMatch(verifiers);
  for (const file of filesBelow(workspace.path('data'))) {
    const text = readFileSync(file, 'latin1');
    for (const secret of [PASSWORD, WRONG, Buffer.from(`\0ann\0${PASSWORD}`).toString('base64')]) {
      expect({ file, found: text.includes(secret) }).toEqual({ file, found: false });
    }
  }
}, 60_000);

/** The database keeps the verifiers, and must keep nothing else: its files are looked through as well. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}
