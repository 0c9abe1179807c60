/** Limits and greylisting: two whole installations on one database, of which each knows what the other saw. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compile, createSnapshot, decideTransaction, type Facts } from '#policy';
import { startEmbeddedPostgres } from '../../scripts/lib/embedded-postgres.mjs';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('limits');
const CONTENT = Buffer.from('Subject: counted\r\n\r\nbody\r\n');
let one: RunningPostern;
let two: RunningPostern;
let stopServer: () => Promise<unknown> = () => Promise.resolve();

const limit = (name: string, more: PolicyDocument): PolicyDocument => ({
  name,
  max: 3,
  per: '1h',
  'on-exceed': 'defer',
  ...more,
});

function policyWith(limits: readonly PolicyDocument[]): PolicyDocument {
  const base = testPolicy();
  const inside = { address: '127.0.0.1', port: 0, exposure: 'internal' };
  return {
    ...base,
    listeners: {
      inside,
      doors: inside,
      submit: { ...inside, tls: { mode: 'starttls' }, auth: 'required' },
    },
    clients: [
      { name: 'people', match: { auth: 'any', listener: 'submit' }, relay: 'anywhere', senders: 'own-identities' },
      ...(base['clients'] as object[]),
    ],
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
    acl: {
      rcpt: [
        { name: 'gone', when: { 'recipient.local': ['gone'] }, reject: '550 5.1.1 Gone' },
        {
          name: 'strangers',
          // Limits by sender say nothing about the null sender.
          when: { 'sender.null': true },
          unless: { 'recipient.local': ['postmaster'] },
          greylist: { delay: '2s', remember: '1h' },
        },
      ],
    },
    limits,
  };
}

const MANY = 300;
const LIMITS = [
  limit('together', { key: ['sender.local'], count: 'recipients', max: MANY }),
  limit('per-address', { key: ['ip', 'listener', 'sender'], count: 'messages' }),
  limit('per-account', { key: ['auth'], count: 'recipients', max: 4 }),
  limit('probing', { key: ['sender'], count: 'rejects', 'on-exceed': 'reject' }),
  limit('volume', { key: ['sender.local'], count: 'bytes', max: '20kB' }),
  limit('slowly', { key: ['helo'], count: 'messages', max: 1, 'on-exceed': 'slow' }),
];

beforeAll(async () => {
  const server = await startEmbeddedPostgres({ dataDir: workspace.makeFolder('shared') });
  stopServer = () => server.stop();
  const start = (name: string): Promise<RunningPostern> =>
    RunningPostern.start({
      dataDir: workspace.path(name),
      policy: policyWith(LIMITS),
      env: { DATABASE_URL: server.url, GATEWAY_NODE_NAME: name },
    });
  one = workspace.use(await start('one'));
  two = workspace.use(await start('two'));
}, 240_000);

afterAll(async () => {
  await workspace.close();
  await stopServer();
}, 60_000);

/** A greeting of its own, so that the limit that slows does not apply. */
let greetings = 0;

async function talk(postern: RunningPostern, listener = 'inside'): Promise<SmtpDialog> {
  const dialog = await SmtpDialog.open({ port: postern.port(listener) });
  await dialog.expect(220);
  greetings += 1;
  await dialog.command(`EHLO client-${String(greetings)}.test`, 250);
  return dialog;
}

async function send(postern: RunningPostern, sender: string, content = CONTENT): Promise<string> {
  const dialog = await talk(postern);
  try {
    return (await dialog.deliver({ sender, recipients: ['ann@capture.test'] }, content)).text;
  } finally {
    dialog.destroy();
  }
}

describe('one gateway', () => {
  test('messages from an address', async () => {
    for (let i = 0; i < 3; i += 1) expect(await send(one, 'ann@client.test')).toMatch(/^250 /);
    expect(await send(one, 'ANN@client.test')).toMatch(
      /^451 4\.7\.1 Too many messages, try again later \[[0-9A-Z]{26}\]$/,
    );
    expect(await send(one, 'bob@client.test')).toMatch(/^250 /);
  });

  test('recipients of an account, whatever the number of its messages', async () => {
    const account = { name: 'ann', password: 'correct horse battery', identities: ['ann@capture.test'] };
    await one.api.expectOk('POST', '/v1/accounts', { body: JSON.stringify(account) });
    const dialog = await talk(one, 'submit');
    await dialog.startTls();
    const response = Buffer.from('\0ann\0correct horse battery').toString('base64');
    await dialog.command(`AUTH PLAIN ${response}`, 235);
    await dialog.command('MAIL FROM:<ann@capture.test>', 250);
    for (const name of ['a', 'b', 'c']) await dialog.command(`RCPT TO:<${name}@capture.test>`, 250);
    // What is refused uses nothing up.
    await dialog.command('RCPT TO:<gone@capture.test>', 550);
    await dialog.command('RSET', 250);
    await dialog.command('MAIL FROM:<ann@capture.test>', 250);
    await dialog.command('RCPT TO:<d@capture.test>', 250);
    const refused = await dialog.command('RCPT TO:<e@capture.test>', 450);
    expect(refused.text).toMatch(/^450 4\.7\.1 Too many recipients/);
    await dialog.quit();
  });

  test('whoever asks for too many that do not exist learns nothing more', async () => {
    const dialog = await talk(one);
    await dialog.command('MAIL FROM:<prober@client.test>', 250);
    for (let i = 0; i < 3; i += 1) await dialog.command('RCPT TO:<gone@capture.test>', 550);
    for (const recipient of ['gone', 'ann']) {
      const refused = await dialog.command(`RCPT TO:<${recipient}@capture.test>`, 550);
      expect(refused.text).toMatch(/^550 5\.7\.1 Too much was refused/);
    }
    await dialog.quit();
  });

  test('octets, declared or not', async () => {
    const big = Buffer.from(`Subject: big\r\n\r\n${'x'.repeat(70)}\r\n`.padEnd(12_000, 'y '));
    expect(await send(one, 'volume@client.test', big)).toMatch(/^250 /);
    const dialog = await talk(one);
    await dialog.command('MAIL FROM:<volume@client.test> SIZE=9000', 451);
    await dialog.command('MAIL FROM:<volume@client.test> SIZE=6000', 250);
    await dialog.command('RSET', 250);
    await dialog.command('MAIL FROM:<volume@client.test> SIZE=6000', 451);
    await dialog.quit();
  });

  test('slow: the same answer, later', async () => {
    const dialog = await SmtpDialog.start({ port: one.port('inside') });
    await dialog.command('MAIL FROM:<slow@client.test>', 250);
    await dialog.command('RSET', 250);
    const startedAt = performance.now();
    await dialog.command('MAIL FROM:<slow2@client.test>', 250);
    expect(performance.now() - startedAt).toBeGreaterThan(4_500);
    await dialog.quit();
  });
});

test('two gateways count together', async () => {
  const dialog = await talk(one);
  await dialog.command('MAIL FROM:<both@client.test>', 250);
  for (let i = 0; i < MANY; i += 1) await dialog.command('RCPT TO:<ann@capture.test>', 250);
  await dialog.command('RCPT TO:<ann@capture.test>', 450);
  await dialog.quit();
  // Until the other has heard of it, some come through: of the many that it would let in by its own count, a part.
  const other = await talk(two);
  await other.command('MAIL FROM:<both@client.test>', 250);
  let accepted = 0;
  await waitFor('the other to have heard', async () => {
    const { code } = await other.command('RCPT TO:<ann@capture.test>');
    accepted += code === 250 ? 1 : 0;
    return code === 450;
  });
  await other.quit();
  expect(accepted).toBeLessThan(MANY);
  const { data } = (await one.api.expectOk('GET', '/v1/gateways')) as { data: { limitsAloneSince?: string }[] };
  expect(data).toHaveLength(2);
  expect(data.every(({ limitsAloneSince }) => limitsAloneSince === undefined)).toBe(true);
}, 60_000);

describe('greylisting', () => {
  const rcpt = async (postern: RunningPostern, recipients: readonly string[]): Promise<readonly string[]> => {
    const dialog = await talk(postern);
    await dialog.command('MAIL FROM:<>', 250);
    const replies: string[] = [];
    for (const recipient of recipients)
      replies.push((await dialog.command(`RCPT TO:<${recipient}@capture.test>`)).text);
    await dialog.quit();
    return replies;
  };
  const NEW = /^451 4\.7\.1 Greylisted, try again in 2 seconds \[[0-9A-Z]{26}\]$/;
  const WAITING = /^451 4\.7\.1 Greylisted, try again later, 2 seconds after the first attempt \[[0-9A-Z]{26}\]$/;

  test('a stranger has to come back, to either gateway; others are not asked about', async () => {
    expect(await rcpt(one, ['eve', 'postmaster', 'gone'])).toEqual([
      expect.stringMatching(NEW),
      expect.stringMatching(/^250 /),
      expect.stringMatching(/^550 5\.1\.1 /),
    ]);
    const [again] = await rcpt(two, ['eve']);
    expect(again).toMatch(WAITING);
    await waitFor('the wait to be over', async () => (await rcpt(two, ['eve']))[0]?.startsWith('250 '), {
      everyMs: 300,
    });
    expect(await rcpt(one, ['eve', 'adam'])).toEqual([expect.stringMatching(/^250 /), expect.stringMatching(NEW)]);
  });

  test('what was remembered is on record, and explained', async () => {
    const found = await waitFor('the stranger in the audit', async () => {
      const all = await one.api.search({ recipient: 'eve@capture.test' });
      return all.length >= 4 ? all : undefined;
    });
    const states = new Set<unknown>();
    for (const { id } of found) {
      const { recipients } = (await one.api.transaction(id)) as unknown as { recipients: { facts: Facts }[] };
      for (const { facts } of recipients) states.add(facts['greylist']);
    }
    expect([...states]).toEqual(expect.arrayContaining(['new', 'waiting', 'passed']));
    const first = found.at(-1)?.id ?? '';
    const { text } = await one.api.request('GET', `/v1/transactions/${first}/explain`);
    expect(text).toContain('when greylist: { not: passed }: yes (it is new)');
    expect(text).toContain('defer until 2 seconds after the first attempt (greylist)');
  });
});

test('every decision is made again by its facts', async () => {
  interface Story {
    readonly decision: { readonly revision: number; readonly facts: Facts };
    readonly recipients: readonly { readonly verdict: string; readonly by: string; readonly facts: Facts }[];
  }
  const compiled = compile(policyWith(LIMITS));
  if (!compiled.ok) throw new Error('the policy does not compile');
  const snapshot = createSnapshot(compiled.policy);
  const stories = await waitFor('transactions in the audit', async () => {
    const found = await one.api.search({ limit: '500' });
    return found.length >= 12 ? found : undefined;
  });
  const seen = new Set<string>();
  for (const { id } of stories) {
    const story = (await one.api.transaction(id)) as unknown as Story;
    const again = decideTransaction(
      snapshot,
      story.decision.facts,
      story.recipients.map(({ facts }) => facts),
    );
    expect(again.recipients.map(({ verdict, by }) => ({ verdict, by }))).toEqual(
      story.recipients.map(({ verdict, by }) => ({ verdict, by })),
    );
    expect(await one.api.expectOk('GET', `/v1/transactions/${id}/explain`)).toMatchObject({ same: true });
    seen.add(again.mail.by);
    for (const { by } of story.recipients) seen.add(by);
  }
  expect([...seen]).toEqual(
    expect.arrayContaining([
      'builtin/limit-per-account',
      'builtin/limit-per-address',
      'builtin/limit-probing',
      'builtin/limit-volume',
    ]),
  );
}, 60_000);

test('connections and failed sign-ins, at the door', async () => {
  const limits = [
    limit('doors', { key: ['ip', 'listener'], count: 'connections', max: 4, 'on-exceed': 'reject' }),
    limit('guessing', { key: ['ip', 'early-talker', 'listener'], count: 'auth-failures', max: 1 }),
  ];
  await one.api.publish(policyWith(limits));
  const greeting = async (listener: string): Promise<string> => {
    const dialog = await SmtpDialog.open({ port: one.port(listener) });
    const { text } = await dialog.reply();
    dialog.destroy();
    return text;
  };
  await waitFor('the limit on connections', async () =>
    (await greeting('doors')).startsWith('554 5.7.1 Too many connections'),
  );
  await waitFor('the limit on sign-ins', async () => {
    const dialog = await SmtpDialog.open({ port: one.port('submit') });
    const { text } = await dialog.reply();
    if (text.startsWith('220')) {
      await dialog.command('EHLO guess.test');
      await dialog.startTls();
      await dialog.command(`AUTH PLAIN ${Buffer.from('\0nobody\0wrong').toString('base64')}`);
    }
    dialog.destroy();
    return text.startsWith('421 4.7.1 Too many failed sign-ins');
  });
}, 60_000);
