/**
 * Outbound signing from its beginning: keys made and published with the CLI, a policy that names them, mail at the next hop;
 * then what was found out about mail, told in our name, and sealed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { authenticate } from 'mailauth';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { Client } from 'pg';
import { DnsServer } from '../support/dns-server.js';
import { ForeignMx, type MxTransaction } from '../support/foreign-mx.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { IMPATIENT, testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');
const workspace = new Workspace('signing');
let postern: RunningPostern;
let nextHop: ForeignMx;
let dns: DnsServer;

function policy(more: object): string {
  return JSON.stringify(
    testPolicy([{ host: '127.0.0.1', port: nextHop.port }], {
      retry: { impatient: { ...IMPATIENT, 'give-up': '1h' } },
      ...more,
    }),
  );
}

const SIGNING = {
  acl: { message: [{ name: 'mark', 'set-header': { Subject: 'as the rule says', 'X-Origin': 'inside' } }] },
  signing: [
    { domain: 'client.test', selector: 's1', key: 'secret/dkim-client.test-s1' },
    { domain: 'client.test', selector: 'ed', key: 'secret/dkim-client.test-ed', when: { client: 'this-machine' } },
  ],
};

beforeAll(async () => {
  nextHop = await ForeignMx.listen({
    extensions: ['PIPELINING', '8BITMIME', 'SIZE'],
    at: { rcpt: ({ line }) => (line.includes('refused@') ? '550 5.1.1 No such user\r\n' : undefined) },
  });
  dns = await DnsServer.listen({});
  postern = workspace.use(
    await RunningPostern.start({
      dataDir: workspace.path('data'),
      policy: JSON.parse(policy({})) as unknown,
      env: { GATEWAY_DNS_SERVERS: dns.address, GATEWAY_HOSTNAME: 'gate.client.test' },
    }),
  );
}, 180_000);

afterAll(async () => {
  await workspace.close();
  await nextHop.close();
  await dns.close();
}, 60_000);

function cli(...args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: workspace.path('data') },
    stdin: Buffer.from(''),
    cwd: workspace.folder,
  });
}

interface SignedStory {
  readonly recipients: readonly {
    readonly signatures?: readonly string[];
    readonly attempts: readonly { readonly outcome: string; readonly signed?: readonly string[] }[];
  }[];
}

/** The outcome is on record a moment after the next hop has the mail. */
function storyWithAttempt(id: string): Promise<SignedStory> {
  return waitFor('an attempt on record', async () => {
    const story = (await postern.api.expectOk('GET', `/v1/transactions/txn_${id}`)) as SignedStory;
    return story.recipients[0]?.attempts[0] === undefined ? undefined : story;
  });
}

async function apply(more: object): Promise<ProgramResult> {
  const file = workspace.path('policy.json');
  writeFileSync(file, policy(more));
  return cli('policy', 'apply', file);
}

/** Takes the record from the JSON that the command prints, as a script would. */
async function keygen(...args: readonly string[]): Promise<{ readonly name: string; readonly strings: string[] }> {
  const made = await cli('--json', 'dkim', 'keygen', '--domain', 'client.test', ...args);
  expect(made).toMatchObject({ code: 0 });
  return (JSON.parse(made.stdout) as { record: { name: string; strings: string[] } }).record;
}

async function send(content: string, sender = 'ann@client.test', recipient = 'bob@elsewhere.test'): Promise<string> {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  await dialog.command(`MAIL FROM:<${sender}>`, 250);
  await dialog.command(`RCPT TO:<${recipient}>`, 250);
  await dialog.command('DATA', 354);
  const reply = await dialog.command(`${content}\r\n.`, 250);
  await dialog.quit();
  return /([0-9A-Z]{26})/.exec(JSON.stringify(reply))?.[1] ?? '';
}

async function arrived(marker: string): Promise<MxTransaction> {
  return waitFor(`mail with ${marker}`, () => nextHop.accepted.find(({ content }) => content.includes(marker)), {
    deadlineMs: 30_000,
  });
}

function resolver(name: string): Promise<string[][]> {
  const txt = dns.zones[name]?.txt;
  if (txt === undefined) return Promise.reject(new Error('none'));
  return Promise.resolve(txt.map((text) => (typeof text === 'string' ? [text] : [...text])));
}

async function chainOf(content: Buffer): Promise<unknown> {
  const { arc } = await authenticate(content, { resolver, ip: '127.0.0.1', helo: 'x.test', sender: '' });
  return arc === false ? undefined : { result: arc.status.result, i: arc.i };
}

async function verdicts(content: Buffer): Promise<readonly string[]> {
  const { results } = await dkimVerify(content, { resolver });
  return results.map(({ signingDomain, selector, status }) => `${signingDomain}/${selector} ${status.result}`);
}

test('a policy that signs is refused until its keys are there', async () => {
  const refused = await apply(SIGNING);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(
    'mail of `client.test` can not be signed: secret `dkim-client.test-s1` is not there',
  );
  expect(refused.stderr).toContain('postern dkim keygen --domain client.test --selector s1');
  const unfit = await postern.api.request('PUT', '/v1/secrets/dkim-client.test-ed', {
    body: JSON.stringify({ value: 'a password' }),
    headers: { 'If-None-Match': '*' },
  });
  expect(unfit.status).toBe(201);
  expect((await apply(SIGNING)).stderr).toContain('secret `dkim-client.test-ed` is no private key');
  expect(await postern.api.request('GET', '/v1/secrets/dkim-client.test-ed/public-key')).toMatchObject({ status: 409 });
});

test('keys are made, and checked against the DNS', async () => {
  const rsa = await keygen('--selector', 's1');
  expect(rsa.name).toBe('s1._domainkey.client.test');
  expect(rsa.strings.length).toBeGreaterThan(1);
  expect(Math.max(...rsa.strings.map((text) => text.length))).toBe(255);
  const again = await cli('dkim', 'keygen', '--domain', 'client.test', '--selector', 'ed', '--type', 'ed25519');
  expect(again).toMatchObject({ code: 1 });
  expect(again.stderr).toContain('there is a secret dkim-client.test-ed already');
  const ed = await keygen('--selector', 'ed', '--type', 'ed25519', '--replace');
  expect(await apply(SIGNING)).toMatchObject({ code: 0 });

  const check = (...more: readonly string[]): Promise<ProgramResult> =>
    cli('dkim', 'check', '--dns-server', dns.address, ...more);
  const none = await check();
  expect(none.code).toBe(1);
  expect(none.stdout).toBe(`${rsa.name}: is not published\n${ed.name}: is not published\n`);
  expect(none.stderr).toContain(`${ed.name}. IN TXT "v=DKIM1; k=ed25519; p=`);
  dns.zones[rsa.name] = { txt: [['v=spf1 -all']] };
  dns.zones[ed.name] = { txt: [rsa.strings] };
  expect((await check()).stdout).toBe(
    `${rsa.name}: there is a TXT record, but it is no key\n${ed.name}: a key of another type is published (\`k=rsa\`)\n`,
  );
  dns.zones[rsa.name] = { txt: [[...rsa.strings, '; t=y']] };
  expect((await check('--domain', 'client.test', '--selector', 's1')).stdout).toContain('for trying only');
  dns.zones[rsa.name] = { txt: [rsa.strings] };
  dns.zones[ed.name] = { txt: [ed.strings] };
  expect(await check()).toMatchObject({
    code: 0,
    stdout: `${rsa.name}: is published\n${ed.name}: is published\n`,
  });
});

test('mail leaves signed as the rules have changed it, small or large', async () => {
  const id = await send('From: Ann <ann@client.test>\r\nSubject: first\r\n\r\nsmall one\r\n.. dots\r\n\r\n');
  const small = await arrived('small one');
  expect(small.content.toString()).toContain('Subject: as the rule says\r\n');
  expect(await verdicts(small.content)).toEqual(['client.test/s1 pass', 'client.test/ed pass']);
  const changed = Buffer.from(small.content.toString('latin1').replace('as the rule says', 'as somebody says'));
  expect((await verdicts(changed)).join()).not.toContain('pass');

  await send(`From: ann@client.test\r\nSubject: x\r\n\r\nlarge one\r\n${'0123456789 abcdef\r\n'.repeat(40_000)}`);
  const large = await arrived('large one');
  expect(await verdicts(large.content)).toEqual(['client.test/s1 pass', 'client.test/ed pass']);

  const story = await storyWithAttempt(id);
  expect(story.recipients[0]).toMatchObject({
    signatures: ['client.test/s1', 'client.test/ed'],
    attempts: [{ outcome: 'delivered', signed: ['client.test/s1', 'client.test/ed'] }],
  });
  expect((await cli('tx', 'show', `txn_${id}`)).stdout).toContain('signed as client.test/s1, client.test/ed');
});

test('nobody is spoken for who is not the author', async () => {
  const id = await send('From: eve@other.test\r\nSubject: x\r\n\r\nforeign author\r\n');
  expect(await verdicts((await arrived('foreign author')).content)).toEqual(['undefined/undefined none']);
  const story = JSON.stringify(await storyWithAttempt(id));
  expect(story).toContain('not signed as client.test/s1, client.test/ed: From is of other.test');
  await send('From: eve@source.test\r\nSubject: x\r\n\r\nsecond domain\r\n', 'eve@source.test');
  expect(await verdicts((await arrived('second domain')).content)).toEqual(['undefined/undefined none']);
});

test('notices of the gateway are signed by keys that ask for no client', async () => {
  await send('From: ann@client.test\r\nSubject: x\r\n\r\nto nobody\r\n', 'ann@client.test', 'refused@elsewhere.test');
  const notice = await arrived('multipart/report');
  expect(notice).toMatchObject({ sender: '', recipients: ['ann@client.test'] });
  expect(await verdicts(notice.content)).toEqual(['client.test/s1 pass']);
});

test('a key that is in use stays, and is replaced by nothing but a key', async () => {
  const name = '/v1/secrets/dkim-client.test-s1';
  const etag = (await postern.api.request('GET', name)).headers.get('etag') ?? '';
  const removed = await postern.api.request('DELETE', name, { headers: { 'If-Match': etag } });
  expect(removed.status).toBe(409);
  expect(removed.text).toContain('signs mail of `client.test` with it');
  const set = await postern.api.request('PUT', name, {
    body: JSON.stringify({ value: 'a password' }),
    headers: { 'If-Match': etag },
  });
  expect(set.status).toBe(422);
});

test('what was found out is told in our name alone, and sealed on top of the chain that came', async () => {
  dns.zones['source.test'] = { txt: [['v=spf1 ip4:127.0.0.1 -all']] };
  dns.zones['_dmarc.source.test'] = { txt: [['v=DMARC1; p=reject']] };
  const sealing = [{ domain: 'client.test', selector: 's1', key: 'secret/dkim-client.test-s1' }];
  expect(await apply({ ...SIGNING, sealing, settings: { 'authserv-id': 'mx.client.test' } })).toMatchObject({
    code: 0,
  });
  const forged = 'Authentication-Results: (trust me) MX.client.test;\r\n dkim=pass header.d=bank.test\r\n';
  await send(`${forged}From: eve@source.test\r\nSubject: x\r\n\r\nfirst hop\r\n`, 'eve@source.test');
  const one = (await arrived('first hop')).content;
  const text = one.toString('latin1').replace(/\r\n[ \t]+/g, ' ');
  expect(text).not.toContain('bank.test');
  expect(text).toContain(
    'Authentication-Results: mx.client.test; spf=pass smtp.mailfrom=eve@source.test; dkim=none; ' +
      'dmarc=pass (p=reject) header.from=source.test; arc=none\r\n',
  );
  expect(text).toContain('ARC-Authentication-Results: i=1; mx.client.test; spf=pass');
  expect(await chainOf(one)).toEqual({ result: 'pass', i: 1 });
  const again = one.toString('latin1').replace('first hop', 'second hop').replace(/\r\n$/, '');
  await send(again, 'eve@source.test');
  const broken = (await arrived('second hop')).content;
  expect(broken.toString('latin1')).toMatch(/ARC-Seal: i=2; [^;]+; [^;]+; cv=fail;/);
  await send(
    one.toString('latin1').replace('X-Origin: inside', 'X-Unsigned: third hop').replace(/\r\n$/, ''),
    'eve@source.test',
  );
  const two = (await arrived('third hop')).content;
  expect(two.toString('latin1').replace(/\r\n[ \t]+/g, ' ')).toMatch(/ARC-Seal: i=2; [^;]+; [^;]+; cv=pass;/);
  expect(await chainOf(two)).toEqual({ result: 'pass', i: 2 });
}, 60_000);

test('a key that vanished all the same keeps its mail waiting, and says so', async () => {
  const environment = readFileSync(`/proc/${String(postern.processId('admin-api'))}/environ`, 'utf8').split('\0');
  const url = environment.find((line) => line.startsWith('DATABASE_URL='))?.slice('DATABASE_URL='.length);
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const kept = await client.query<Record<string, unknown>>(
      `delete from secret where name = 'dkim-client.test-ed' returning *`,
    );
    await waitFor('the key to be forgotten', async () => {
      const id = await send('From: ann@client.test\r\nSubject: x\r\n\r\nwithout a key\r\n');
      return waitFor('an outcome', async () => {
        const text = JSON.stringify(await postern.api.transaction(`txn_${id}`));
        if (text.includes('"delivered"')) return 'delivered';
        return text.includes('not signed as client.test/ed: secret `dkim-client.test-ed`') ? 'waits' : undefined;
      }).then((outcome) => (outcome === 'waits' ? true : undefined));
    });
    const before = nextHop.accepted.length;
    const row = kept.rows[0] ?? {};
    const columns = Object.keys(row);
    await client.query(
      `insert into secret (${columns.join()}) values (${columns.map((_, at) => `$${String(at + 1)}`).join()})`,
      Object.values(row),
    );
    await waitFor('the mail that waited', () => nextHop.accepted.length > before || undefined, { deadlineMs: 30_000 });
    expect(await verdicts(nextHop.accepted.at(-1)?.content ?? Buffer.alloc(0))).toEqual([
      'client.test/s1 pass',
      'client.test/ed pass',
    ]);
  } finally {
    await client.end();
  }
}, 90_000);
