/**
 * What is known of a client before it sends: its address behind a balancer or a front end, its names, the lists it is on,
 * its haste. Each decides in the running gateway, and each transaction is decided again from what was recorded.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { auditEvents } from '../support/audit-events.js';
import { DnsServer } from '../support/dns-server.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog, type DialogReply } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('facts');
let dns: DnsServer;
let postern: RunningPostern;

function policy(more: PolicyDocument = {}): PolicyDocument {
  const base = testPolicy();
  const local = { address: '127.0.0.1', port: 0, exposure: 'internal' };
  return {
    ...base,
    listeners: {
      ...(base['listeners'] as object),
      balanced: { ...local, 'proxy-protocol': { from: 'balancers' } },
      elsewhere: { ...local, 'proxy-protocol': { from: '192.0.2.200' } },
      front: { ...local, xclient: { from: '127.0.0.1' } },
      patient: { ...local, exposure: 'internet', 'greeting-delay': '1s' },
    },
    lists: { ...(base['lists'] as object), balancers: { type: 'network', entries: ['127.0.0.1'] } },
    clients: [
      ...(base['clients'] as object[]),
      {
        name: 'lab',
        match: { ip: '198.51.100.64/26', rdns: '.lab.test', listener: 'balanced' },
        relay: { to: 'captured-domains' },
        senders: ['robot@client.test'],
      },
      {
        name: 'office',
        match: { ip: '198.51.100.0/24', listener: ['balanced', 'front'] },
        relay: 'anywhere',
        senders: 'all-senders',
      },
    ],
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
    acl: {
      connect: [
        { name: 'listed', when: { dnsbl: 'zen.test' }, reject: '554 5.7.1 Listed' },
        { name: 'watched', when: { dnsbl: 'watch.test' }, 'on-unknown': 'skip', tag: 'watched' },
        { name: 'hasty', when: { 'early-talker': true }, reject: '554 5.7.1 Wait for the greeting' },
        {
          name: 'crowd',
          when: { connections: { above: 3 }, listener: 'balanced' },
          defer: '421 4.7.0 Too many of you',
        },
      ],
      helo: [{ name: 'slowly', when: { helo: 'slow.test' }, delay: '1s' }],
      mail: [
        { name: 'no-way-back', when: { 'sender.has-mx': false, client: 'none' }, reject: '550 5.1.8 No way back' },
      ],
      rcpt: [{ name: 'nameless', when: { rdns: 'none', client: 'none' }, reject: '550 5.7.25 No name' }],
    },
    ...more,
  };
}

beforeAll(async () => {
  dns = await DnsServer.listen({
    'far.test': { mx: [[10, 'mx.far.test']] },
    'null.test': { mx: [[0, '.']] },
    'broken.test': { misdeed: 'servfail' },
    '7.113.0.203.in-addr.arpa': { ptr: ['mail.far.test'] },
    '8.113.0.203.in-addr.arpa': { ptr: ['mail.far.test'] },
    '9.113.0.203.in-addr.arpa': { misdeed: 'servfail' },
    '70.100.51.198.in-addr.arpa': { misdeed: 'servfail' },
    'mail.far.test': { a: ['203.0.113.7'] },
    '66.113.0.203.zen.test': { a: ['127.0.0.2'] },
    '67.113.0.203.zen.test': { misdeed: 'servfail' },
    '7.113.0.203.watch.test': { misdeed: 'servfail' },
  });
  workspace.use({ stop: () => dns.close() });
  const env = { GATEWAY_DNS_SERVERS: dns.address };
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policy(), env }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

/** Through the balancer, as the client at this address. */
async function via(address: string, port = 4321): Promise<SmtpDialog> {
  const dialog = await SmtpDialog.open({ port: postern.port('balanced') });
  dialog.write(`PROXY TCP4 ${address} 192.0.2.1 ${String(port)} 25\r\n`);
  return dialog;
}

async function greeted(address: string): Promise<SmtpDialog> {
  const dialog = await via(address);
  await dialog.expect(220);
  await dialog.command('EHLO dialog.test', 250);
  return dialog;
}

async function recipientReply(address: string, sender: string, recipient = 'bob@capture.test'): Promise<DialogReply> {
  const dialog = await greeted(address);
  const mail = await dialog.command(`MAIL FROM:<${sender}>`);
  const reply = mail.code === 250 ? await dialog.command(`RCPT TO:<${recipient}>`) : mail;
  await dialog.quit();
  return reply;
}

describe('behind a balancer', () => {
  test('the client is the one that the header names', async () => {
    expect((await recipientReply('198.51.100.7', 'a@client.test', 'x@elsewhere.test')).code).toBe(250);
    expect((await recipientReply('203.0.113.7', 'a@far.test', 'x@elsewhere.test')).text).toMatch(
      /^550 5\.7\.1 Relaying/,
    );
    const found = await waitFor('the transaction', async () => (await postern.api.search({ ip: '198.51.100.7' }))[0]);
    expect((await postern.api.transaction(found.id)).decision.client).toBe('office');
  });

  test('nobody else gets in, and a header that is none gets nobody in', async () => {
    const stranger = await SmtpDialog.open({ port: postern.port('elsewhere') });
    stranger.write('PROXY TCP4 198.51.100.7 192.0.2.1 4321 25\r\n');
    expect((await stranger.reply()).code).toBe(0);
    const bare = await SmtpDialog.open({ port: postern.port('balanced') });
    bare.write('EHLO dialog.test\r\n');
    expect((await bare.reply()).code).toBe(0);
    const away = await auditEvents(postern, 'connections.turned-away', 2);
    expect(away.map(({ listener, reason }) => `${String(listener)} ${String(reason)}`).toSorted()).toEqual([
      'balanced bad-proxy-header',
      'elsewhere not-a-proxy',
    ]);
  });
});

describe('behind a front end', () => {
  test('XCLIENT names the client, for those who may', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('front') });
    await dialog.command('XCLIENT ADDR=198.51.100.9 NAME=[UNAVAILABLE] HELO=office.test', 220);
    await dialog.command('EHLO office.test', 250);
    await dialog.command('MAIL FROM:<a@client.test>', 250);
    await dialog.command('RCPT TO:<x@elsewhere.test>', 250);
    await dialog.quit();
    const other = await SmtpDialog.start({ port: postern.port('inside') });
    expect((await other.command('XCLIENT ADDR=198.51.100.9')).code).toBeGreaterThanOrEqual(500);
    await other.quit();
  });

  test('the name it confirms counts as the reverse name, without a look-up; where it has none, none is there', async () => {
    const replyTo = async (name: string): Promise<string> => {
      const dialog = await SmtpDialog.start({ port: postern.port('front') });
      // The name server fails for this address.
      await dialog.command(`XCLIENT ADDR=203.0.113.9 ${name}`, 220);
      await dialog.command('EHLO far.test', 250);
      await dialog.command('MAIL FROM:<a@far.test>', 250);
      const reply = await dialog.command('RCPT TO:<bob@capture.test>');
      await dialog.quit();
      return reply.text;
    };
    expect(await replyTo('NAME=Mail.Far.test')).toMatch(/^250 /);
    const isNamed = ({ facts }: Readonly<Record<string, unknown>>): boolean =>
      String((facts as { rdns?: unknown } | undefined)?.rdns) === 'mail.far.test';
    await auditEvents(postern, 'transaction.abandoned', isNamed);
    expect(await replyTo('NAME=[TEMPUNAVAIL]')).toMatch(/^451 4\.4\.3/);
    expect(await replyTo('NAME=not..a-name')).toMatch(/^451 4\.4\.3/);
  });
});

describe('look-ups', () => {
  test('a listed client is refused, one whose list fails comes back later', async () => {
    expect((await (await via('203.0.113.66')).reply()).text).toMatch(/^554 5\.7\.1 Listed/);
    expect((await (await via('203.0.113.67')).reply()).text).toMatch(/^421 4\.4\.3 Temporary lookup failure/);
  });

  test('a reverse name counts when it leads back, and defers where nobody knows', async () => {
    expect((await recipientReply('203.0.113.7', 'a@far.test')).code).toBe(250);
    expect((await recipientReply('203.0.113.8', 'a@far.test')).text).toMatch(/^550 5\.7\.25 No name/);
    expect((await recipientReply('203.0.113.9', 'a@far.test')).text).toMatch(/^451 4\.4\.3/);
  });

  test('who may be a client of less rights is not taken for one of more', async () => {
    expect((await recipientReply('198.51.100.71', 'a@client.test', 'x@elsewhere.test')).code).toBe(250);
    const refused = await recipientReply('198.51.100.70', 'a@client.test', 'x@elsewhere.test');
    expect(refused.text).toMatch(/^451 4\.4\.3 Temporary lookup failure/);
    const found = await waitFor('the transaction', async () => (await postern.api.search({ ip: '198.51.100.70' }))[0]);
    const { decision, recipients } = await postern.api.transaction(found.id);
    expect(decision.client).toBe('none');
    expect(recipients).toMatchObject([{ verdict: 'defer', by: 'clients/lab' }]);
  });

  test('a sender to whom no bounce could go is refused, an unknown one deferred, the null sender let in', async () => {
    expect((await recipientReply('203.0.113.7', 'a@null.test')).text).toMatch(/^550 5\.1\.8 No way back/);
    expect((await recipientReply('203.0.113.7', 'a@nowhere.test')).text).toMatch(/^550 5\.1\.8/);
    expect((await recipientReply('203.0.113.7', 'a@broken.test')).text).toMatch(/^451 4\.4\.3/);
    expect((await recipientReply('203.0.113.7', '')).code).toBe(250);
  });

  test('are recorded, the failed ones as unknown', async () => {
    const found = await waitFor(
      'the transaction',
      async () => (await postern.api.search({ ip: '203.0.113.7', sender: 'a@broken.test' }))[0],
    );
    const { decision } = (await postern.api.transaction(found.id)) as unknown as { decision: { facts: object } };
    expect(decision.facts).toMatchObject({
      rdns: ['mail.far.test'],
      dnsbl: { unknown: 'watch.test: name server failed', values: [], among: ['watch.test'] },
      'sender.has-mx': { unknown: 'MX of broken.test: name server failed' },
      'early-talker': false,
      tls: false,
    });
  });
});

describe('haste', () => {
  test('who waits for the greeting is served, who talks before it is not', async () => {
    const startedMs = performance.now();
    const patient = await SmtpDialog.start({ port: postern.port('patient') });
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    await patient.quit();
    const hasty = await SmtpDialog.open({ port: postern.port('patient') });
    hasty.write('EHLO hasty.test\r\n');
    expect((await hasty.reply()).text).toMatch(/^554 5\.7\.1 Wait for the greeting/);
  });

  test('a rule can make a client wait', async () => {
    const dialog = await SmtpDialog.open({ port: postern.port('inside') });
    await dialog.expect(220);
    const startedMs = performance.now();
    await dialog.command('EHLO slow.test', 250);
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    await dialog.quit();
  });

  test('too many connections of one client are counted behind the balancer', async () => {
    const open = [await greeted('203.0.113.7'), await greeted('203.0.113.7'), await greeted('203.0.113.7')];
    expect((await (await via('203.0.113.7')).reply()).text).toMatch(/^421 4\.7\.0 Too many of you/);
    for (const dialog of open) await dialog.quit();
    await waitFor('room', async () => {
      const dialog = await via('203.0.113.7');
      const { code } = await dialog.reply();
      dialog.destroy();
      return code === 220;
    });
  });
});

describe('on record', () => {
  test('what was refused before the policy was asked', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    await dialog.command('MAIL FROM:<broken', 501);
    await dialog.command('MAIL FROM:<recorded@client.test> SIZE=999999999999', 552);
    await dialog.command('MAIL FROM:<recorded@client.test>', 250);
    await dialog.command('RCPT TO:<@@>', 501);
    await dialog.command('RCPT TO:<bob@capture.test>', 250);
    await dialog.quit();
    const ended = await waitFor('the end of the session', async () => {
      const all = await auditEvents(postern, 'session.ended');
      return all.find(({ refusals }) => refusals === 3);
    });
    expect(ended['refusedCommands']).toEqual([
      { command: 'MAIL FROM:<broken', reply: expect.stringMatching(/^501 5\.1\.7/) },
      { command: 'MAIL FROM:<recorded@client.test> SIZE=999999999999', reply: expect.stringMatching(/^552 5\.3\.4/) },
    ]);
    const abandoned = await auditEvents(
      postern,
      'transaction.abandoned',
      ({ refusedCommands }) => refusedCommands !== undefined,
    );
    expect(abandoned.map(({ refusedCommands }) => refusedCommands)).toContainEqual([
      { command: 'RCPT TO:<@@>', reply: expect.stringMatching(/^501 5\.1\.3/) },
    ]);
  });

  test('what was asked about notices, and UTF-8 addresses, down to the message', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    await dialog.command('MAIL FROM:<noted@client.test> SMTPUTF8 RET=HDRS ENVID=QQ314159', 250);
    dialog.write(Buffer.from('RCPT TO:<jürgen@capture.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;j@old.test\r\n'));
    await dialog.expect(250);
    await dialog.command('DATA', 354);
    dialog.write('Subject: noted\r\n\r\n.\r\n');
    await dialog.expect(250);
    await dialog.quit();
    const accepted = await waitFor('the message', async () => {
      const all = await auditEvents(postern, 'transaction.accepted');
      return all.find(({ parameters }) => (parameters as { envelopeId?: string }).envelopeId === 'QQ314159');
    });
    expect(accepted).toMatchObject({
      protocol: 'UTF8SMTP',
      parameters: { smtpUtf8: true, ret: 'HDRS' },
      facts: { smtputf8: true },
      recipients: [
        {
          address: 'jürgen@capture.test',
          parameters: { notify: ['SUCCESS', 'DELAY'], originalRecipient: 'rfc822;j@old.test' },
        },
      ],
    });
  });
});

test('nothing is looked up that no rule asks for', async () => {
  await postern.api.publish(policy({ acl: {}, clients: testPolicy()['clients'] }));
  await waitFor('the policy to be in force', async () => {
    return (await recipientReply('203.0.113.77', 'a@unseen.test')).code === 250;
  });
  const before = dns.questions.length;
  expect((await recipientReply('203.0.113.78', 'a@unseen.test')).code).toBe(250);
  expect(dns.questions.slice(before)).toEqual([]);
});

test('every transaction is decided again, and in the same way', async () => {
  const found = await postern.api.search({ limit: '500' });
  const all = await Promise.all(found.map(({ id }) => postern.api.transaction(id)));
  expect(all.length).toBeGreaterThan(10);
  // Notices of our own making have no client: nobody asks whether they may be sent.
  for (const { id } of all.filter(({ session }) => session.ip !== undefined)) {
    const explanation = await postern.api.expectOk('GET', `/v1/transactions/${id}/explain`);
    expect(explanation).toMatchObject({ same: true, differences: [] });
  }
});
