import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database, type QueueChange, type RecipientChanged } from '#database';
import type { MessageToStore } from '#delivery';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { attemptEvent, eventually, makeMessage, outcomesOf, type MessageWishes } from './message.js';

let database: TestDatabase;
let db: Database;
let other: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = await openDatabase({ url: database.url });
  await db.nodes.join('one');
  other = await openDatabase({ url: database.url });
  await other.nodes.join('two');
});
afterAll(async () => {
  await db.close();
  await other.close();
  await database.drop();
});
afterEach(async () => {
  await database.query('delete from queue');
  await database.query('delete from suspended_destination');
});

const CONTEXT = { actor: 'ann', reason: 'ticket 4711' } as const;

async function queued(wishes: MessageWishes = {}): Promise<MessageToStore> {
  const message = makeMessage(wishes);
  await db.messages.accept(message);
  return message;
}

function changeAll(
  message: MessageToStore,
  change: QueueChange,
  more: object = {},
): Promise<readonly RecipientChanged[]> {
  return db.queueAdministration
    .change(
      message.recipients.map(({ id }) => ({ messageId: message.id, id, change })),
      { ...CONTEXT, ...more },
    )
    .then((result) => (result.ok ? result.recipients : Promise.reject(new Error(result.fault))));
}

const outcomes = (changed: readonly RecipientChanged[]): string[] => changed.map(({ outcome }) => outcome);
const idsOf = (messages: readonly { id: string }[]): string[] => messages.map(({ id }) => id);

async function row(message: MessageToStore): Promise<Record<string, unknown>> {
  const [found] = await database.query('select * from queue where message_id = $1 order by id limit 1', [message.id]);
  return found ?? {};
}

async function eventsOf(message: MessageToStore): Promise<readonly { kind: string; data: Record<string, unknown> }[]> {
  const story = await db.audit.transaction(message.id);
  return (story?.events ?? [])
    .filter(({ kind }) => kind.startsWith('queue.'))
    .map(({ kind, data }) => ({ kind, data: data as unknown as Record<string, unknown> }));
}

describe('a held recipient', () => {
  test('is claimed by nobody, is found, and goes on when it is released; each step is on record', async () => {
    const message = await queued({ recipients: ['bob@example.net'] });
    expect(outcomes(await changeAll(message, { kind: 'hold' }))).toEqual(['changed']);
    expect(outcomes(await changeAll(message, { kind: 'hold' }))).toEqual(['unchanged']);
    expect(await other.queue.claim(10)).toEqual([]);
    expect((await db.queueAdministration.search({ state: 'held' })).data).toMatchObject([
      { shownState: 'held', hold: { actor: 'ann', reason: 'ticket 4711' } },
    ]);
    const [refused] = await changeAll(message, { kind: 'retry' });
    expect(refused).toMatchObject({ outcome: 'refused', why: 'it is held by an operator: release it' });
    expect(outcomes(await changeAll(message, { kind: 'release' }))).toEqual(['changed']);
    expect(idsOf(await other.queue.claim(10))).toEqual([message.id]);
    const events = await eventsOf(message);
    expect(events.map(({ kind }) => kind)).toEqual(['queue.held', 'queue.released']);
    expect(events[0]?.data).toMatchObject({
      ...CONTEXT,
      before: { state: 'queued', address: 'bob@example.net', route: 'capture' },
      after: { state: 'held', address: 'bob@example.net', route: 'capture' },
    });
  });

  test('in a dry run is found out and stays as it was', async () => {
    const message = await queued();
    const [tried] = await changeAll(message, { kind: 'hold' }, { dryRun: true });
    expect(tried).toMatchObject({ outcome: 'changed', before: { state: 'queued' }, after: { state: 'held' } });
    expect(await row(message)).toMatchObject({ state: 'queued', hold: null });
    expect(await eventsOf(message)).toEqual([]);
  });
});

describe('a recipient that a gateway has', () => {
  test('is busy, whatever is asked, and stays as it is', async () => {
    const message = await queued({ leased: true });
    const changes: readonly QueueChange[] = [
      { kind: 'retry' },
      { kind: 'hold' },
      { kind: 'release' },
      { kind: 'reroute', route: 'elsewhere' },
      { kind: 'redirect', address: 'eve@example.net', route: 'capture' },
      { kind: 'expire' },
      { kind: 'drop' },
    ];
    const before = await row(message);
    for (const change of changes) expect(outcomes(await changeAll(message, change))).toEqual(['busy']);
    expect(await row(message)).toEqual(before);
    expect(await eventsOf(message)).toEqual([]);
  });

  test('is busy while its claim or its outcome commits: nobody waits', async () => {
    const message = await queued();
    const claiming = other.queue.claim(10);
    const changing = changeAll(message, { kind: 'drop' });
    const [claimed, [changed]] = await Promise.all([claiming, changing]);
    const taken = claimed.length === 1;
    expect(changed?.outcome).toBe(taken ? 'busy' : 'changed');
    expect((await db.queue.entries({ messageId: message.id })).data).toHaveLength(taken ? 1 : 0);
  });

  test('is gone when it was delivered', async () => {
    const message = await queued();
    const [claimed] = await other.queue.claim(10);
    if (claimed === undefined) throw new Error('nothing was due');
    await other.queue.record(outcomesOf(claimed), []);
    expect(outcomes(await changeAll(message, { kind: 'drop' }))).toEqual(['gone']);
  });

  test('is asked for by a recall that every gateway hears', async () => {
    const heard: string[] = [];
    await other.notifications.listen(['queue_recall'], (_channel, payload) => heard.push(payload));
    const message = await queued({ leased: true });
    await db.queueAdministration.recall([message.id, message.id]);
    await eventually(() => heard.includes(message.id));
  });
});

describe('changes', () => {
  test('two at the same time: each row changes once', async () => {
    const message = await queued({ recipients: Array.from({ length: 50 }, (_, index) => `r${index}@example.net`) });
    const all = await Promise.all(Array.from({ length: 8 }, () => changeAll(message, { kind: 'hold' })));
    const changed = all.flat().filter(({ outcome }) => outcome === 'changed');
    expect(new Set(idsOf(changed)).size).toBe(changed.length);
    expect(await eventsOf(message)).toHaveLength(changed.length);
    const again = await changeAll(message, { kind: 'hold' });
    expect(again.every(({ outcome }) => outcome === 'changed' || outcome === 'unchanged')).toBe(true);
    expect(await eventsOf(message)).toHaveLength(50);
  });

  test('a new route or address is attempted now; the notice will name the address as it was', async () => {
    const message = await queued({ recipients: ['bob+x@example.net'] });
    await database.query(`update queue set next_attempt_at = now() + interval '1 hour', attempts = 3`);
    expect(outcomes(await changeAll(message, { kind: 'reroute', route: 'elsewhere' }))).toEqual(['changed']);
    expect(outcomes(await changeAll(message, { kind: 'reroute', route: 'elsewhere' }))).toEqual(['unchanged']);
    await changeAll(message, { kind: 'redirect', address: 'eve@example.org', route: 'third' });
    const [claimed] = await other.queue.claim(10);
    expect(claimed?.recipients).toEqual([
      {
        id: message.recipients[0]?.id,
        address: 'eve@example.org',
        route: 'third',
        attempts: 3,
        originalRecipient: 'rfc822;bob+2Bx@example.net',
      },
    ]);
    expect((await eventsOf(message)).map(({ kind }) => kind)).toEqual(['queue.rerouted', 'queue.redirected']);
  });

  test('what is given up is claimed at once, with the reply, and nothing else may be done to it but dropping', async () => {
    const message = await queued();
    await changeAll(message, { kind: 'hold' });
    await changeAll(message, { kind: 'expire' });
    expect((await db.queueAdministration.search({})).data).toMatchObject([
      { givenUp: expect.stringMatching(/^450 4\.4\.7 /) },
    ]);
    expect(outcomes(await changeAll(message, { kind: 'hold' }))).toEqual(['refused']);
    const [claimed] = await other.queue.claim(10);
    expect(claimed?.refusal).toMatch(/^450 4\.4\.7 /);
  });

  test('what is dropped is gone, and its story says by whom', async () => {
    const message = await queued({ recipients: ['bob@example.net', 'eve@example.net'] });
    await changeAll({ ...message, recipients: message.recipients.slice(0, 1) }, { kind: 'drop' });
    const story = await db.audit.transaction(message.id);
    expect(story?.recipients.map(({ state }) => state)).toEqual(['discarded', 'queued']);
    expect((await eventsOf(message))[0]?.data).not.toHaveProperty('after');
  });

  test('what was set aside gets another chance', async () => {
    const message = await queued();
    await database.query(`update queue set state = 'broken', takeovers = 3, last_reply = 'why'`);
    expect(await other.queue.claim(10)).toEqual([]);
    expect(outcomes(await changeAll(message, { kind: 'retry' }))).toEqual(['changed']);
    expect(idsOf(await other.queue.claim(10))).toEqual([message.id]);
    expect(await row(message)).toMatchObject({ takeovers: 0 });
  });

  test('mail held for review is decided there', async () => {
    const review = {
      queue: 'review',
      rule: 'r',
      heldAtMs: 1,
      expiresAtMs: Date.now() + 1e6,
      preview: { fields: [], text: '' },
    };
    const made = makeMessage();
    const message = { ...made, recipients: made.recipients.map((recipient) => ({ ...recipient, review })) };
    await db.messages.accept(message);
    for (const kind of ['release', 'drop', 'expire', 'hold'] as const) {
      expect(await changeAll(message, { kind })).toMatchObject([
        { outcome: 'refused', why: expect.stringContaining('held for review in `review`') },
      ]);
    }
  });

  test('of a message that has moved on since it was read are refused', async () => {
    const message = await queued();
    const tag = (await db.queueAdministration.tag(message.id)) ?? '';
    await changeAll(message, { kind: 'hold' }, { ifTag: tag });
    await expect(changeAll(message, { kind: 'release' }, { ifTag: tag })).rejects.toThrow('stale');
    expect(await row(message)).toMatchObject({ state: 'held' });
    expect(await db.queueAdministration.tag(makeMessage().id)).toBeUndefined();
  });
});

describe('search', () => {
  test('by every criterion, alone and together, page by page', async () => {
    const one = await queued({ sender: 'Ann@Example.com', recipients: ['bob@example.net', 'eve@other.example'] });
    const two = await queued({ sender: '', route: 'b', recipients: ['BOB@EXAMPLE.NET'] });
    await changeAll(two, { kind: 'hold' });
    const found = async (filter: object): Promise<string[]> =>
      (await db.queueAdministration.search(filter)).data.map(({ address }) => address);
    expect(await found({})).toHaveLength(3);
    expect(await found({ sender: 'ann@example.com' })).toHaveLength(2);
    expect(await found({ sender: '' })).toEqual(['BOB@EXAMPLE.NET']);
    expect(await found({ senderDomain: 'EXAMPLE.com' })).toHaveLength(2);
    expect(await found({ domain: 'example.NET' })).toHaveLength(2);
    expect(await found({ recipient: 'bob@example.net', route: 'b' })).toEqual(['BOB@EXAMPLE.NET']);
    expect(await found({ state: 'held' })).toEqual(['BOB@EXAMPLE.NET']);
    expect(await found({ state: 'queued' })).toHaveLength(2);
    expect(await found({ messageId: one.id })).toHaveLength(2);
    expect(await found({ recipientId: one.recipients[1]?.id })).toEqual(['eve@other.example']);
    expect(await found({ acceptedUntil: new Date(Date.now() - 60_000) })).toEqual([]);
    expect(await found({ acceptedBeforeId: two.id })).toHaveLength(2);
    expect(await found({ route: "x' or '1'='1" })).toEqual([]);
    expect(await db.queueAdministration.count({ domain: 'example.net' })).toBe(2);
    const first = await db.queueAdministration.search({}, { limit: 2 });
    const second = await db.queueAdministration.search({}, { limit: 2, after: first.next ?? '' });
    expect([first.data.length, second.data.length, second.next]).toEqual([2, 1, undefined]);
  });
});

describe('a suspended destination', () => {
  const suspend = (domain: string): Promise<boolean> => db.destinations.suspend({ domain, ...CONTEXT });
  const resume = (domain: string): Promise<boolean> => db.destinations.resume({ domain, ...CONTEXT });

  test('parks what waits, what comes back from gateways, and nothing else; resumed, it goes on', async () => {
    const waiting = await queued({ recipients: ['bob@example.net', 'bob@other.example'] });
    const leased = await queued({ recipients: ['eve@EXAMPLE.net'], leased: true });
    expect(await suspend('example.net')).toBe(true);
    expect(await suspend('example.net')).toBe(false);
    await db.queue.release(leased.recipients.map(({ id }) => ({ recipientId: id, messageId: leased.id })));
    const claimed = await other.queue.claim(10);
    expect(claimed.flatMap(({ recipients }) => recipients.map(({ address }) => address))).toEqual([
      'bob@other.example',
    ]);
    expect((await db.queueAdministration.search({ state: 'suspended' })).data).toHaveLength(2);
    expect(await db.destinations.queueOf('example.net')).toMatchObject({ recipients: 2, states: { suspended: 2 } });
    expect(await db.destinations.list(10)).toMatchObject([
      { domain: 'example.net', recipients: 2, suspended: { actor: 'ann', reason: 'ticket 4711' } },
      { domain: 'other.example', recipients: 1 },
    ]);
    expect((await db.audit.transaction(waiting.id))?.recipients.map(({ state }) => state)).toEqual([
      'suspended',
      'delivering',
    ]);
    expect(
      await changeAll({ ...waiting, recipients: waiting.recipients.slice(0, 1) }, { kind: 'retry' }),
    ).toMatchObject([{ outcome: 'refused', why: expect.stringContaining('suspended') }]);
    expect(await resume('example.net')).toBe(true);
    expect(await resume('example.net')).toBe(false);
    await eventually(async () => (await other.queue.claim(10)).length > 0);
    expect((await db.queueAdministration.search({ state: 'suspended' })).data).toEqual([]);
    const { data } = await db.audit.events({ kinds: ['destination.suspended', 'destination.resumed'], limit: 2 });
    expect(data.map(({ kind }) => kind)).toEqual(['destination.resumed', 'destination.suspended']);
  });

  test('shows what was just claimed and failed as suspended too, and parks it with the housekeeping', async () => {
    const message = await queued();
    await other.queue.claim(10);
    await suspend('example.net');
    const [recipient] = message.recipients;
    const event = attemptEvent('delivery.deferred', message.id, recipient?.address ?? '');
    await other.queue.record(
      [
        {
          kind: 'retry',
          recipientId: recipient?.id ?? '',
          messageId: message.id,
          nextAttemptAtMs: 0,
          lastReply: '451',
          event,
        },
      ],
      [],
    );
    expect((await db.queueAdministration.search({ state: 'suspended' })).data).toHaveLength(1);
    await db.destinations.keepHouse();
    expect(await row(message)).toMatchObject({ state: 'suspended' });
    await database.query('delete from suspended_destination');
    await other.destinations.keepHouse();
    expect(await row(message)).toMatchObject({ state: 'queued' });
  });

  test('comes back little by little', async () => {
    await queued({ recipients: Array.from({ length: 300 }, (_, index) => `r${index}@example.net`) });
    await suspend('example.net');
    await resume('example.net');
    const rows = await database.query<{ count: number }>(
      `select count(*)::int as count from queue where next_attempt_at <= now() + interval '5 seconds'
       union all select count(*)::int from queue where next_attempt_at <= now() + interval '10.1 seconds'`,
    );
    expect(rows[0]?.count).toBeGreaterThan(90);
    expect(rows[0]?.count).toBeLessThan(130);
    expect(rows[1]?.count).toBe(300);
  });

  test('whose mail is redirected lets it go, and what is given up needs no attempt', async () => {
    const message = await queued({ recipients: ['bob@example.net', 'eve@example.net'] });
    await suspend('example.net');
    const [bob, eve] = message.recipients;
    if (bob === undefined || eve === undefined) throw new Error('no recipients');
    const redirect: QueueChange = { kind: 'redirect', address: 'bob@example.org', route: 'capture' };
    await changeAll({ ...message, recipients: [bob] }, redirect);
    await changeAll({ ...message, recipients: [eve] }, { kind: 'expire' });
    const claimed = await other.queue.claim(10);
    expect(claimed.map(({ refusal, recipients }) => [recipients[0]?.address, refusal !== undefined])).toEqual(
      expect.arrayContaining([
        ['bob@example.org', false],
        ['eve@example.net', true],
      ]),
    );
  });
});

describe('gateways', () => {
  test('are drained by name, and tell how far they are', async () => {
    const node = other.nodes.current;
    node?.reportFigures(() => ({
      draining: true,
      sessions: 3,
      jobs: 4,
      lastError: { message: 'disk', at: new Date(0) },
    }));
    for (const _beat of ['under way', 'next']) await node?.heartbeat();
    expect(await db.drains.drain({ name: 'two', ...CONTEXT })).toBe(true);
    expect(await db.drains.drain({ name: 'two', ...CONTEXT })).toBe(false);
    expect(await other.drains.isDrained('two')).toBe(true);
    expect(await db.nodes.list()).toMatchObject([
      { name: 'one' },
      {
        name: 'two',
        drain: { actor: 'ann' },
        figures: { draining: true, sessions: 3, jobs: 4, lastError: { message: 'disk' } },
      },
    ]);
    expect(await db.drains.resume({ name: 'two', ...CONTEXT })).toBe(true);
    expect(await other.drains.isDrained('two')).toBe(false);
    const { data } = await db.audit.events({ kinds: ['gateway.drained', 'gateway.resumed'], limit: 2 });
    expect(data.map(({ kind }) => kind)).toEqual(['gateway.resumed', 'gateway.drained']);
  });

  test('are asked, answer once each, and nothing of it stays', async () => {
    const question = { kind: 'resolve', domain: 'example.net', facts: {}, routes: [] } as const;
    for (const [gateway, name] of [
      [db, 'one'],
      [other, 'two'],
    ] as const) {
      await gateway.notifications.listen(['gateway_question'], (_channel, id) => {
        void gateway.questions.read(id).then(async (asked) => {
          await gateway.questions.answer(id, name, { asked, name });
          await gateway.questions.answer(id, name, { twice: true });
        });
      });
    }
    const answers = await db.questions.ask(question, ['one', 'two'], 5_000);
    expect(answers).toEqual([
      { node: 'one', answer: { asked: question, name: 'one' } },
      { node: 'two', answer: { asked: question, name: 'two' } },
    ]);
    const late = await db.questions.ask(question, ['three'], 200);
    expect(late.map(({ node }) => node)).toEqual(['one', 'two']);
    await eventually(
      async () =>
        (await database.query('select from gateway_answer union all select from gateway_question')).length === 0,
    );
  });
});
