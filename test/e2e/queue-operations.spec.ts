/** What operators do to the queue, to destinations and to gateways, end to end: over REST, over the CLI, and on the wire. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ForeignMx } from '../support/foreign-mx.js';
import { freePorts } from '../support/free-port.js';
import { messageIn, readMaildir } from '../support/maildir.js';
import { QueueOperator } from '../support/queue-operator.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('queue-operations');
let postern: RunningPostern;
let operator: QueueOperator;
/** Defers everybody until it is told otherwise. */
let mx: ForeignMx;
let slow: ForeignMx;
let deadPort = 0;
/** The same after a restart. */
let smtpPort = 0;
let open = false;

const LATER = '450 4.2.1 later\r\n';
/** Without PIPELINING nothing follows on the wire before the answer. */
const HANGING = { extensions: ['SIZE 52428800'], at: { rcpt: { kind: 'hang' } as const } };

function policy(more: PolicyDocument = {}): PolicyDocument {
  const base = testPolicy();
  const route = (port: number): object => ({
    hosts: [{ host: '127.0.0.1', port }],
    retry: 'patient',
    limits: { connections: 1 },
  });
  return {
    ...base,
    listeners: { inside: { address: '127.0.0.1', port: smtpPort, exposure: 'internal' } },
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
    routing: [
      { name: 'captured', when: { 'recipient.domain': 'captured-domains' }, route: 'capture' },
      { name: 'slow', when: { 'recipient.domain': ['slow.test'] }, route: 'slow' },
      { name: 'dead', when: { 'recipient.domain': ['dead.test'] }, route: 'dead' },
      { name: 'rest', route: 'elsewhere' },
    ],
    routes: {
      ...(base['routes'] as object),
      elsewhere: route(mx.port),
      slow: route(slow.port),
      dead: route(deadPort),
      other: { file: { format: 'maildir', directory: 'other' } },
    },
    retry: { patient: { first: '1h', factor: 1, longest: '1h', 'give-up': '5d' } },
    ...more,
  };
}

beforeAll(async () => {
  mx = await ForeignMx.listen({ at: { rcpt: () => (open ? undefined : LATER) } });
  slow = await ForeignMx.listen(HANGING);
  [deadPort = 0, smtpPort = 0] = await freePorts(2);
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policy() }));
  operator = new QueueOperator(postern, smtpPort);
}, 180_000);
afterAll(async () => {
  await workspace.close();
  await mx.close();
  await slow.close();
}, 60_000);

function delivered(subject: string): number {
  return mx.accepted.filter(({ content }) => content.includes(`Subject: ${subject}\r\n`)).length;
}

describe('one message', () => {
  test('is held, found, shown, and delivered once when it is released; all of it is on record', async () => {
    const { id, transaction } = await operator.deferred('ann@held.test', 'held mail');
    expect(await operator.change(id, 'hold')).toMatchObject({
      status: 200,
      body: { recipients: [{ outcome: 'changed', after: { state: 'held' } }] },
    });
    open = true;
    expect(await operator.change(id, 'retry')).toMatchObject({ status: 409 });
    expect((await operator.cli('queue', 'list', '--state', 'held')).stdout).toContain('ann@held.test');
    expect((await operator.cli('queue', 'show', transaction)).stdout).toContain('is held by');
    expect((await operator.cli('queue', 'release', transaction, '--reason', 'fine now')).stdout).toContain('changed');
    await waitFor('the delivery', () => delivered('held mail') === 1);
    open = false;
    const story = await waitFor('its end', async () => {
      const found = await postern.api.transaction(transaction);
      return found.recipients[0]?.state === 'delivered' && found;
    });
    const changes = story.events.filter(({ kind }) => kind.startsWith('queue.')) as unknown as readonly {
      kind: string;
      data: object;
    }[];
    expect(changes).toMatchObject([
      {
        kind: 'queue.held',
        data: {
          actor: expect.any(String),
          reason: 'ticket 4711',
          before: { state: 'deferred' },
          after: { state: 'held' },
        },
      },
      { kind: 'queue.released', data: { reason: 'fine now' } },
    ]);
    expect(await operator.change(id, 'hold')).toMatchObject({ status: 404 });
  });

  test('is tried now', async () => {
    const { transaction } = await operator.deferred('ann@retried.test', 'retried mail');
    open = true;
    expect((await operator.cli('queue', 'retry', transaction)).code).toBe(0);
    await waitFor('the delivery', () => delivered('retried mail') === 1);
    open = false;
  });

  test('gets another route: a named one, or the one that the policy in force chooses', async () => {
    const named = await operator.deferred('ann@named.test', 'named route');
    const chosen = await operator.deferred('ann@chosen.test', 'chosen route');
    const wrong = await operator.change(named.id, 'reroute', { route: 'nowhere' });
    expect(wrong).toMatchObject({ status: 422 });
    expect(wrong.text).toContain('`other`');
    expect(await operator.change(named.id, 'reroute', { route: 'other' })).toMatchObject({
      status: 200,
      body: { recipients: [{ after: { route: 'other' } }] },
    });
    await messageIn(postern.maildir('other'), (content) => content.includes('named route'));
    expect(await operator.change(chosen.id, 'reroute')).toMatchObject({
      status: 200,
      body: { recipients: [{ outcome: 'unchanged' }] },
    });
    const routing = policy()['routing'] as object[];
    await postern.api.publish(
      policy({
        routing: [{ name: 'moved', when: { 'recipient.domain': ['chosen.test'] }, route: 'other' }, ...routing],
      }),
    );
    expect(await operator.state(chosen.transaction)).toBe('deferred');
    expect((await operator.cli('queue', 'reroute', chosen.id)).code).toBe(0);
    await messageIn(postern.maildir('other'), (content) => content.includes('chosen route'));
    await postern.api.publish(policy());
  });

  test('goes to another address, within accepted domains only', async () => {
    const { id, transaction } = await operator.deferred('ann@redirected.test', 'redirected mail');
    const refused = await operator.change(id, 'redirect', { to: 'eve@elsewhere.test' });
    expect(refused).toMatchObject({ status: 422 });
    expect(refused.text).toContain('`elsewhere.test` is not an accepted domain');
    expect(await operator.change(id, 'redirect', { to: 'not an address' })).toMatchObject({ status: 422 });
    expect((await operator.cli('queue', 'redirect', id, '--to', 'bob@capture.test')).code).toBe(0);
    const mail = await messageIn(postern.maildir('capture'), (content) => content.includes('redirected mail'));
    expect(mail.toString()).toContain('Delivered-To: bob@capture.test');
    await waitFor('its end', async () => (await operator.state(transaction)) === 'delivered');
  });

  test('is given up, with one bounce; or dropped, with none', async () => {
    const given = await operator.deferred('ann@given-up.test', 'given up mail');
    const dropped = await operator.deferred('ann@dropped.test', 'dropped mail');
    expect((await postern.api.request('POST', `/v1/messages/${dropped.id}:drop`)).status).toBe(400);
    expect(await operator.change(dropped.id, 'drop')).toMatchObject({ status: 200 });
    expect(await operator.change(given.id, 'expire')).toMatchObject({
      status: 200,
      body: { recipients: [{ after: { state: 'expiring' } }] },
    });
    await waitFor(
      'their ends',
      async () =>
        (await operator.state(given.transaction)) === 'expired' &&
        (await operator.state(dropped.transaction)) === 'discarded',
    );
    const bounce = await messageIn(postern.maildir('capture'), (content) => content.includes('ann@given-up.test'));
    expect(bounce.toString()).toMatch(/Status: 4\.4\.7/u);
    const notices = readMaildir(postern.maildir('capture')).filter((content) =>
      /ann@(?:given-up|dropped)\.test/u.test(content.toString()),
    );
    expect(notices).toHaveLength(1);
    expect([delivered('given up mail'), delivered('dropped mail')]).toEqual([0, 0]);
  });

  test('in a dry run is found out and stays; a stale If-Match and a repeated key change nothing', async () => {
    const { id, transaction } = await operator.deferred('ann@tried.test', 'tried mail');
    const tried = await postern.api.request('POST', `/v1/messages/${id}:hold?dryRun=true`);
    expect(tried.body).toMatchObject({ dryRun: true, recipients: [{ outcome: 'changed', after: { state: 'held' } }] });
    const read = await postern.api.request('GET', `/v1/messages/${transaction}`);
    expect(read.body).toMatchObject({ recipients: [{ state: 'deferred' }], history: [{ kind: 'delivery.deferred' }] });
    const etag = read.headers.get('etag') ?? '';
    const request = { headers: { 'If-Match': etag, 'Idempotency-Key': 'once' } };
    expect((await postern.api.request('POST', `/v1/messages/${id}:hold`, request)).status).toBe(200);
    const again = await postern.api.request('POST', `/v1/messages/${id}:hold`, request);
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true']);
    const stale = await postern.api.request('POST', `/v1/messages/${id}:release`, { headers: { 'If-Match': etag } });
    expect(stale.status).toBe(412);
    expect(await operator.change(id, 'drop')).toMatchObject({ status: 200 });
  });
});

describe('mail that a gateway has', () => {
  test('is given back when it was not begun, and refused with 409 while it is on the wire', async () => {
    await operator.send('first@slow.test', 'on the wire');
    await waitFor('the recipient on the wire', () => slow.commands.some((line) => line.includes('first@slow.test')));
    await operator.send('second@slow.test', 'in memory');
    const waiting = await operator.entryWhen('second@slow.test', 'delivering');
    const wire = await operator.entryWhen('first@slow.test', 'delivering');
    const busy = await operator.change(wire.id, 'drop');
    expect(busy).toMatchObject({ status: 409 });
    expect(busy.headers.get('retry-after')).toBe('5');
    expect(await operator.change(waiting.id, 'hold')).toMatchObject({
      status: 200,
      body: { recipients: [{ outcome: 'changed' }] },
    });
    expect((await operator.change(waiting.id, 'reroute', { route: 'other' })).status).toBe(200);
    expect(await operator.entries({ recipient: 'second@slow.test' })).toMatchObject([
      { state: 'held', route: 'other' },
    ]);
    const { port } = slow;
    await slow.close();
    slow = await ForeignMx.listen({}, port);
    await operator.entryWhen('first@slow.test', 'deferred');
    expect((await operator.change(wire.id, 'retry')).status).toBe(200);
    expect((await operator.change(waiting.id, 'release')).status).toBe(200);
    await messageIn(postern.maildir('other'), (content) => content.includes('in memory'));
    await waitFor('the delivery', () => slow.accepted.length === 1);
    expect(slow.accepted[0]?.content.toString()).toContain('on the wire');
  });
});

describe('many messages', () => {
  const BULK = 6;

  test('are changed by a filter, with counts, progress and a record of it', async () => {
    for (let at = 0; at < BULK; at += 1) await operator.send(`r${String(at)}@bulk.test`, `bulk ${String(at)}`);
    await waitFor(
      'all deferred',
      async () => (await operator.entries({ domain: 'bulk.test', state: 'deferred' })).length === BULK,
    );
    const body = (more: object): { body: string } => ({ body: JSON.stringify(more) });
    expect((await postern.api.request('POST', '/v1/messages:hold', body({}))).status).toBe(400);
    expect((await postern.api.request('POST', '/v1/messages:hold', body({ filter: { nonsense: 1 } }))).status).toBe(
      400,
    );
    const tried = await postern.api.request(
      'POST',
      '/v1/messages:hold?dryRun=true',
      body({ filter: { domain: 'bulk.test' } }),
    );
    expect(tried).toMatchObject({ status: 200, body: { matched: BULK } });
    const begun = await postern.api.request('POST', '/v1/messages:hold', body({ filter: { domain: 'bulk.test' } }));
    expect(begun.status).toBe(202);
    const { id } = begun.body as { id: string };
    expect(begun.headers.get('location')).toBe(`/v1/operations/${id}`);
    const ended = await waitFor('the end', async () => {
      const operation = (await postern.api.expectOk('GET', `/v1/operations/${id}`)) as {
        state: string;
        result: object;
        done: number;
      };
      return operation.state === 'succeeded' && operation;
    });
    expect(ended).toMatchObject({
      done: BULK,
      result: { matched: BULK, changed: BULK, unchanged: 0, refused: 0, busy: 0 },
    });
    expect(await operator.entries({ domain: 'bulk.test', state: 'held' })).toHaveLength(BULK);
    open = true;
    const released = await operator.cli('queue', 'release', '--domain', 'bulk.test', '--reason', 'all of them');
    expect(released).toMatchObject({ code: 0 });
    expect(released.stdout).toMatch(/changed: +6/u);
    await waitFor('all deliveries', async () => (await operator.entries({ domain: 'bulk.test' })).length === 0);
    open = false;
    for (let at = 0; at < BULK; at += 1) expect(delivered(`bulk ${String(at)}`)).toBe(1);
    expect(await operator.cli('queue', 'drop', '--domain', 'bulk.test')).toMatchObject({ code: 1 });
    expect(await operator.cli('queue', 'hold')).toMatchObject({ code: 2 });
  });
});

describe('a destination', () => {
  test('is suspended: accepted and queued, attempted by nobody, over a restart; resumed, it goes on', async () => {
    const before = await operator.deferred('ann@suspended.test', 'waits before');
    expect((await operator.cli('destination', 'suspend', 'Suspended.test', '--reason', 'they asked')).stdout).toContain(
      'they asked',
    );
    open = true;
    await operator.send('bob@suspended.test', 'waits after');
    await operator.entryWhen('bob@suspended.test', 'suspended');
    expect(await operator.change(before.id, 'retry')).toMatchObject({ status: 409 });
    expect(await postern.api.expectOk('GET', '/v1/destinations/suspended.test')).toMatchObject({
      recipients: 2,
      states: { suspended: 2 },
      routes: { elsewhere: 2 },
      suspended: { reason: 'they asked' },
      lastReplies: [{ reply: '450 4.2.1 later', recipients: 1 }],
    });
    const gateway = postern.processId('gateway');
    postern.signal('gateway', 'SIGKILL');
    await waitFor('another gateway', () => ![undefined, gateway].includes(postern.processId('gateway')));
    await waitFor(
      'mail to be taken',
      async () => {
        await operator.send('ann@free.test', 'not suspended');
        return true;
      },
      { deadlineMs: 30_000 },
    );
    await waitFor('the free one', () => delivered('not suspended') > 0);
    expect([delivered('waits before'), delivered('waits after')]).toEqual([0, 0]);
    expect((await operator.cli('destination', 'list')).stdout).toMatch(/suspended\.test +2 /u);
    expect((await operator.cli('destination', 'resume', 'suspended.test')).code).toBe(0);
    await waitFor('both deliveries', () => delivered('waits before') === 1 && delivered('waits after') === 1);
    open = false;
  });

  test('is resolved by the gateways: route, hosts, what rests and why', async () => {
    await operator.send('ann@dead.test', 'to a dead host');
    await operator.entryWhen('ann@dead.test', 'deferred');
    const answer = (await postern.api.expectOk('POST', '/v1/destinations/dead.test:resolve', { body: '{}' })) as {
      gateways: readonly object[];
    };
    expect(answer).toMatchObject({
      domain: 'dead.test',
      unanswered: [],
      gateways: [
        {
          suspended: false,
          decision: { route: 'dead', recipient: 'postmaster@dead.test', verdict: 'accept' },
          routes: [
            {
              route: 'dead',
              definition: { kind: 'hosts' },
              hosts: [{ host: '127.0.0.1', address: '127.0.0.1', port: deadPort, connections: 0, failures: 1 }],
            },
          ],
          missing: [],
        },
      ],
    });
    expect((await operator.cli('destination', 'resolve', 'dead.test')).stdout).toMatch(
      /route dead[^]*127\.0\.0\.1[^]*(?:resting|suspect)/u,
    );
    expect((await postern.api.request('GET', '/v1/destinations/not..a..domain')).status).toBe(400);
  });

  test('whose route is still named by queued mail keeps it: the policy without it is refused, with the count', async () => {
    const { routes, routing, ...rest } = policy() as { routes: Record<string, object>; routing: { name: string }[] };
    const { dead: _gone, ...others } = routes;
    const without = { ...rest, routes: others, routing: routing.filter(({ name }) => name !== 'dead') };
    const refused = await postern.api.putPolicy(without);
    expect(refused.status).toBe(422);
    expect(refused.text).toContain('route `dead` is still named by 1 queued recipients');
    const [entry] = await operator.entries({ recipient: 'ann@dead.test' });
    expect(await operator.change(entry?.id ?? '', 'drop')).toMatchObject({ status: 200 });
    await postern.api.publish(without);
    await postern.api.publish(policy());
  });
});

describe('a gateway', () => {
  test('is drained: no new sessions, no new transactions, what is in flight ends; then it is resumed', async () => {
    const [gateway] = (
      (await postern.api.expectOk('GET', '/v1/gateways')) as { data: { name: string; state: string }[] }
    ).data;
    expect(gateway).toMatchObject({ state: 'active' });
    const name = gateway?.name ?? '';
    const dialog = await SmtpDialog.start({ port: smtpPort });
    await dialog.command('MAIL FROM:<ann@capture.test>', 250);
    expect((await operator.cli('gateways', 'drain', name, '--reason', 'a new kernel')).stdout).toContain('draining');
    const refused = await SmtpDialog.open({ port: smtpPort });
    await refused.expect(421);
    refused.destroy();
    await dialog.command('RCPT TO:<bob@capture.test>', 250);
    await dialog.command('DATA', 354);
    dialog.write('Subject: in flight\r\n\r\nbody\r\n.\r\n');
    await dialog.expect(250);
    await messageIn(postern.maildir('capture'), (content) => content.includes('in flight'));
    await dialog.command('MAIL FROM:<ann@capture.test>', 421);
    dialog.destroy();
    await waitFor('the gateway to be empty', async () => (await operator.cli('gateways')).stdout.includes('drained'), {
      deadlineMs: 20_000,
      everyMs: 200,
    });
    expect((await operator.cli('gateways')).stdout).toContain('a new kernel');
    expect(await postern.api.expectOk('POST', `/v1/gateways/${name}:resume`)).toMatchObject({ state: 'active' });
    await operator.send('bob@capture.test', 'after the drain');
    await messageIn(postern.maildir('capture'), (content) => content.includes('after the drain'));
    expect((await postern.api.request('POST', '/v1/gateways/nobody:drain')).status).toBe(404);
  });
});

test('roles: a queue operator changes the queue, a viewer looks at it', async () => {
  const ask = async (key: string, method: string, path: string): Promise<number> =>
    (await fetch(new URL(path, postern.api.url), { method, headers: { Authorization: `Bearer ${key}` } })).status;
  const [ofOperator, viewer] = [await operator.key('queue-operator'), await operator.key('viewer')];
  const id = 'rcp_01JD0000000000000000000000';
  expect(await ask(ofOperator, 'POST', `/v1/messages/${id}:hold`)).toBe(404);
  expect(await ask(viewer, 'POST', `/v1/messages/${id}:hold`)).toBe(403);
  expect(await ask(viewer, 'GET', '/v1/messages')).toBe(200);
  expect(await ask(ofOperator, 'PUT', '/v1/policies/main')).toBe(403);
  expect(await ask(viewer, 'POST', '/v1/destinations/example.net:suspend')).toBe(403);
});
