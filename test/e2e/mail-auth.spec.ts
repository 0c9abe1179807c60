/**
 * Who really sent this: SPF over a name server, signatures by nodemailer, DMARC out of both, as facts that rules decide on.
 * Evidence is on record, and told by the explanation.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTransport } from 'nodemailer';
import { DnsServer } from '../support/dns-server.js';
import { rsaKey } from '../support/naive-dkim.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog, type DialogReply } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('mail-auth');
const KEY = rsaKey();
let dns: DnsServer;
let postern: RunningPostern;

function policy(): PolicyDocument {
  const base = testPolicy();
  return {
    ...base,
    listeners: {
      ...(base['listeners'] as object),
      mx: { address: '127.0.0.1', port: 0, exposure: 'internet', 'proxy-protocol': { from: 'balancers' } },
    },
    lists: { ...(base['lists'] as object), balancers: { type: 'network', entries: ['127.0.0.1'] } },
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
    acl: {
      mail: [{ name: 'no-spf', when: { spf: ['fail', 'permerror'] }, reject: '550 5.7.23 SPF does not allow {ip}' }],
      message: [
        {
          name: 'dmarc',
          when: { dmarc: 'fail', 'dmarc.policy': ['reject', 'quarantine'] },
          unless: { 'arc.sealer': 'list.example' },
          reject: '550 5.7.26 From address is not authenticated',
        },
        { name: 'one-author', when: { dmarc: 'permerror' }, reject: '550 5.7.1 Expected one author' },
        { name: 'signed', when: { 'dkim.domain': 'sender.example' }, 'set-header': { 'X-Signed': 'yes' } },
      ],
    },
    settings: { facts: ['arc', 'from.aligned'] },
  };
}

beforeAll(async () => {
  dns = await DnsServer.listen({
    'sender.example': { txt: ['v=spf1 ip4:203.0.113.7 ?all'] },
    '_dmarc.sender.example': { txt: ['v=DMARC1; p=reject'] },
    's1._domainkey.sender.example': { txt: [KEY.record] },
    'closed.example': { txt: ['v=spf1 -all'] },
    'down.example': { misdeed: 'servfail' },
    'mail.bounces.example': { txt: ['v=spf1 -all'] },
  });
  workspace.use({ stop: () => dns.close() });
  const env = { GATEWAY_DNS_SERVERS: dns.address };
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policy(), env }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

async function signedMessage(from: string, textOf = 'Hello there'): Promise<string> {
  const privateKey = KEY.key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const transport = createTransport({
    streamTransport: true,
    buffer: true,
    newline: 'windows',
    dkim: { domainName: 'sender.example', keySelector: 's1', privateKey },
  });
  const { message } = await transport.sendMail({ from, to: 'bob@capture.test', subject: 'hello', text: textOf });
  return (message as Buffer).toString('latin1');
}

interface Sent {
  readonly from: string;
  readonly message?: string;
  readonly ip?: string;
  readonly helo?: string;
}

/** The reply that decided. */
async function send({
  from,
  message = '',
  ip = '203.0.113.7',
  helo = 'mx.sender.example',
}: Sent): Promise<DialogReply> {
  const dialog = await SmtpDialog.open({ port: postern.port('mx') });
  dialog.write(`PROXY TCP4 ${ip} 192.0.2.1 4321 25\r\n`);
  await dialog.expect(220);
  await dialog.command(`EHLO ${helo}`, 250);
  await dialog.command(`MAIL FROM:<${from}>`, 250);
  const recipient = await dialog.command('RCPT TO:<bob@capture.test>');
  if (recipient.code !== 250 || message === '') {
    await dialog.quit();
    return recipient;
  }
  await dialog.command('DATA', 354);
  dialog.write(`${message}\r\n.\r\n`);
  const reply = await dialog.reply();
  await dialog.quit();
  return reply;
}

async function transactionOf(sender: string): Promise<Record<string, unknown>> {
  const found = await waitFor('the transaction', async () => (await postern.api.search({ sender }))[0]);
  return (await postern.api.transaction(found.id)) as unknown as Record<string, unknown>;
}

async function explained(id: unknown): Promise<{ same: boolean; text: readonly string[] }> {
  return (await postern.api.expectOk('GET', `/v1/transactions/${String(id)}/explain`)) as {
    same: boolean;
    text: readonly string[];
  };
}

describe('mail that is what it says', () => {
  test('is accepted; facts and evidence are on record, and explained', async () => {
    const reply = await send({ from: 'ann@sender.example', message: await signedMessage('ann@sender.example') });
    expect(reply.code).toBe(250);
    const story = await transactionOf('ann@sender.example');
    expect(story).toMatchObject({
      decision: {
        facts: {
          spf: 'pass',
          dmarc: 'pass',
          'dmarc.policy': 'reject',
          'dkim.domain': ['sender.example'],
          'from.aligned': ['spf', 'dkim'],
          arc: 'none',
        },
      },
      authentication: {
        spf: { result: 'pass', record: 'v=spf1 ip4:203.0.113.7 ?all', mechanism: 'ip4:203.0.113.7' },
        dkim: [{ result: 'pass', domain: 'sender.example', selector: 's1', keyBits: 2048, record: KEY.record }],
        dmarc: { result: 'pass', domain: 'sender.example', record: 'v=DMARC1; p=reject' },
        arc: { result: 'none' },
      },
    });
    const { same, text } = await explained(story['id']);
    expect(same).toBe(true);
    expect(text.join('\n')).toMatch(/^spf: pass, 203\.0\.113\.7 for ann@sender\.example, by `ip4:203\.0\.113\.7`/m);
    expect(text.join('\n')).toMatch(/^dkim: pass, domain sender\.example, selector s1, rsa-sha256, 2048 bits/m);
    expect(text.join('\n')).toMatch(/^dmarc: pass, From sender\.example, aligned spf and dkim, policy reject/m);
  });

  test('vouched for by its signature alone, wherever it comes from, and however large it is', async () => {
    const text = `${'A line of a large message. '.repeat(3)}\n`.repeat(20_000);
    const message = await signedMessage('Ann <ann@sender.example>', text);
    const reply = await send({ from: 'list@open.example', message, ip: '198.51.100.9' });
    expect(reply.code).toBe(250);
    const story = await transactionOf('list@open.example');
    expect(story).toMatchObject({ decision: { facts: { spf: 'none', dmarc: 'pass', 'from.aligned': ['dkim'] } } });
  });
});

describe('mail that is not', () => {
  test('a host that SPF does not allow', async () => {
    const reply = await send({ from: 'x@closed.example' });
    expect(reply.text).toMatch(/^550 5\.7\.23 SPF does not allow 203\.0\.113\.7/);
    const story = await transactionOf('x@closed.example');
    expect(story).toMatchObject({
      decision: { by: 'mail/no-spf', facts: { spf: 'fail' } },
      authentication: { spf: { result: 'fail', record: 'v=spf1 -all', mechanism: '-all' } },
    });
  });

  test('the null sender is checked by its HELO', async () => {
    const reply = await send({ from: '', helo: 'mail.bounces.example' });
    expect(reply.code).toBe(550);
  });

  test('nobody knows: the client is asked to come again', async () => {
    expect((await send({ from: 'x@down.example' })).code).toBe(451);
    const story = await transactionOf('x@down.example');
    expect(story).toMatchObject({
      decision: { facts: { spf: { unknown: expect.stringMatching(/name server failed/) } } },
      authentication: { spf: { result: 'temperror' } },
    });
  });

  test('a body that was changed, from a host that nobody vouches for', async () => {
    const message = (await signedMessage('ann@sender.example')).replace('Hello', 'Jello');
    const reply = await send({ from: 'mallory@open.example', message, ip: '198.51.100.9' });
    expect(reply.text).toMatch(/^550 5\.7\.26/);
    const story = await transactionOf('mallory@open.example');
    expect(story).toMatchObject({
      authentication: { dkim: [{ result: 'fail', why: expect.stringMatching(/body/) }], dmarc: { result: 'fail' } },
    });
    expect((await explained(story['id'])).same).toBe(true);
  });

  test('two From fields: one that is signed, one that people see', async () => {
    const message = `From: ceo@capture.test\r\n${await signedMessage('ann@sender.example')}`;
    const reply = await send({ from: 'ann2@sender.example', message });
    expect(reply.text).toMatch(/^550 5\.7\.1 Expected one author/);
  });
});
