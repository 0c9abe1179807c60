import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { openDatabase, type Database } from '#database';
import type { RecipientOutcome } from '#delivery';
import { freeStoppedLeases } from '../../libs/database/src/lease-takeover.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { eventually, makeMessage, outcomesOf } from './message.js';

let database: TestDatabase;
let one: Database;
let two: Database;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

beforeEach(async () => {
  one = await openDatabase({ url: database.url });
  two = await openDatabase({ url: database.url });
});

afterEach(async () => {
  await database.query('delete from queue');
  await one.close();
  await two.close();
});

async function ownersOf(messageId: string): Promise<(number | undefined)[]> {
  return (await two.queue.entries({ messageId })).data.map((entry) => entry.owner);
}

/** What a crash leaves behind: rows of an incarnation that nobody stopped. */
async function deadNode(name: string, aliveUntil: string): Promise<{ owner: number; messageId: string }> {
  const rows = await database.query<{ id: number }>(
    `insert into node (name, alive_until) values ($1, now() + $2::interval) returning id`,
    [name, aliveUntil],
  );
  const owner = rows[0]?.id ?? 0;
  const message = makeMessage();
  await two.messages.accept(message);
  await database.query(
    `update queue set owner = $2, next_attempt_at = now() + interval '1 hour' where message_id = $1`,
    [message.id, owner],
  );
  return { owner, messageId: message.id };
}

/** Waiting for the server to grow old would take half a minute. */
async function onAnOldServer(work: () => Promise<void>): Promise<void> {
  await database.query(
    `create schema if not exists old; create or replace function old.pg_postmaster_start_time() returns timestamptz language sql as $$ select timestamptz '2020-01-01' $$`,
  );
  await database.query(`alter database ${database.name} set search_path = old, pg_catalog, public`);
  await one.close();
  one = await openDatabase({ url: database.url });
  try {
    await work();
  } finally {
    await database.query(`alter database ${database.name} reset search_path`);
  }
}

test('leaving gives leases back', async () => {
  const node = await one.nodes.join('a');
  const message = makeMessage({ leased: true });
  await one.messages.accept(message);
  expect(await ownersOf(message.id)).toEqual([node.nodeId]);
  expect(await two.nodes.list()).toMatchObject([{ name: 'a', alive: true }]);
  await node.leave();
  expect(await ownersOf(message.id)).toEqual([undefined]);
  expect(await two.nodes.list()).toMatchObject([{ name: 'a', alive: false }]);
});

test('a name belongs to one live process', async () => {
  await one.nodes.join('a');
  await expect(two.nodes.join('a')).rejects.toMatchObject({
    code: 'node-name-taken',
    message: 'another live process uses the node name `a`; give each gateway its own',
  });
  await two.nodes.join('b');
});

describe('taking over', () => {
  test('a new start of the same name takes its predecessor’s mail at once', async () => {
    const dead = await deadNode('a', '20 seconds');
    const node = await one.nodes.join('a');
    expect(node.nodeId).not.toBe(dead.owner);
    expect(await ownersOf(dead.messageId)).toEqual([undefined]);
    expect((await one.queue.claim(10)).map(({ id }) => id)).toEqual([dead.messageId]);
    expect((await one.queue.entries()).data).toMatchObject([{ takeovers: 1, attempts: 1, owner: node.nodeId }]);
    await one.audit.flush();
    expect((await one.audit.events({ kinds: ['queue.taken-over'] })).data).toMatchObject([
      { data: { node: 'a', owner: dead.owner, recipients: 1, by: 'a' } },
    ]);
  });

  test('another’s only when it has been silent, and not right after a restart of the server', async () => {
    const silent = await deadNode('silent', '-1 second');
    const living = await deadNode('living', '20 seconds');
    const node = await one.nodes.join('a');
    const [facts] = await database.query<{ young: boolean }>(
      `select pg_postmaster_start_time() > now() - interval '30 seconds' as young`,
    );
    if (facts?.young === true) expect(await ownersOf(silent.messageId)).toEqual([silent.owner]);
    await onAnOldServer(async () => {
      await one.nodes.join('a');
      expect(node.alive).toBe(true);
      expect(await ownersOf(silent.messageId)).toEqual([undefined]);
      expect(await ownersOf(living.messageId)).toEqual([living.owner]);
    });
  });

  test('who was declared dead goes on under a new id; its old leases are lost', async () => {
    const node = await one.nodes.join('a');
    const message = makeMessage({ leased: true });
    await one.messages.accept(message);
    const before = node.nodeId;
    await database.query('update node set stopped_at = now() where id = $1', [before]);
    await database.query('update queue set owner = null where owner = $1', [before]);
    await two.nodes.join('b');
    const [claimed] = await two.queue.claim(10);
    await node.heartbeat();
    expect(node.nodeId).not.toBe(before);
    const outcomes = outcomesOf({
      id: message.id,
      recipients: message.recipients.map((recipient) => ({ ...recipient, attempts: 0 })),
    });
    expect(await one.queue.record(outcomes, [])).toEqual({ lost: message.recipients.map(({ id }) => id) });
    const later = claimed === undefined ? [] : outcomesOf(claimed);
    expect(await two.queue.record(later, [])).toEqual({ lost: [] });
  });

  test('what a node wrote after it was declared dead is found when it comes back', async () => {
    const node = await one.nodes.join('a');
    await database.query('update node set stopped_at = now() where id = $1', [node.nodeId]);
    const message = makeMessage({ leased: true });
    await one.messages.accept(message);
    await node.heartbeat();
    expect(await ownersOf(message.id)).toEqual([undefined]);
  });
});

describe('what was under way when a gateway died', () => {
  async function crash(messageId: string): Promise<void> {
    const rows = await database.query<{ id: number }>(
      `insert into node (name, alive_until, stopped_at) values ('dead', now(), now()) returning id`,
    );
    await database.query('update queue set owner = $2 where message_id = $1', [messageId, rows[0]?.id]);
    await freeStoppedLeases(pool, 'a');
  }

  let pool: Pool;

  beforeEach(() => {
    pool = new Pool({ connectionString: database.url });
  });

  afterEach(async () => {
    await pool.end();
  });

  async function stateOf(messageId: string): Promise<unknown> {
    return (await one.audit.transaction(messageId))?.recipients.map(({ state, attempts }) => ({ state, attempts }));
  }

  test('is uncertain until the retry has its outcome', async () => {
    await one.nodes.join('a');
    const message = makeMessage({ leased: true });
    await one.messages.accept(message);
    expect(await stateOf(message.id)).toEqual([{ state: 'delivering', attempts: 0 }]);
    await crash(message.id);
    expect(await stateOf(message.id)).toEqual([{ state: 'uncertain', attempts: 1 }]);
    const [claimed] = await one.queue.claim(10);
    expect(claimed?.recipients).toMatchObject([{ attempts: 1 }]);
    expect(await stateOf(message.id)).toEqual([{ state: 'uncertain', attempts: 1 }]);
    await one.queue.record(claimed === undefined ? [] : outcomesOf(claimed), []);
    expect(await stateOf(message.id)).toEqual([{ state: 'delivered', attempts: 2 }]);
    const story = await one.audit.transaction(message.id);
    expect(story?.attempts.map(({ kind }) => kind)).toEqual(['delivery.uncertain', 'delivery.succeeded']);
  });

  test('is set aside after three crashes in a row, the rest flows', async () => {
    await one.nodes.join('a');
    const poison = makeMessage();
    const sound = makeMessage();
    await one.messages.accept(poison);
    await one.messages.accept(sound);
    for (let crashes = 1; crashes <= 3; crashes += 1) {
      expect((await one.queue.claim(10)).map(({ id }) => id)).toContain(poison.id);
      await crash(poison.id);
      expect(await stateOf(poison.id)).toEqual([{ state: crashes < 3 ? 'uncertain' : 'broken', attempts: crashes }]);
    }
    expect(await one.queue.claim(10)).toEqual([]);
    expect(await stateOf(sound.id)).toEqual([{ state: 'delivering', attempts: 0 }]);
    const { data } = await one.audit.events({ transactionId: poison.id });
    expect(data.find(({ kind }) => kind === 'queue.set-aside')).toMatchObject({
      recipient: 'bob@example.net',
      data: { reason: '3 gateways in a row died while they held it' },
    });
  });

  test('twice, is attempted one at a time; an outcome ends the suspicion', async () => {
    await one.nodes.join('a');
    const messages = [makeMessage(), makeMessage(), makeMessage()];
    for (const message of messages) await one.messages.accept(message);
    for (let crashes = 0; crashes < 2; crashes += 1) for (const { id } of messages) await crash(id);
    const fresh = makeMessage();
    await one.messages.accept(fresh);
    const first = await one.queue.claim(10);
    expect(first).toHaveLength(2);
    expect(await one.queue.claim(10)).toEqual([]);
    await one.queue.record(first.flatMap(outcomesOf), []);
    const second = await one.queue.claim(10);
    expect(second).toHaveLength(1);
    const retry = second.flatMap((message): RecipientOutcome[] =>
      outcomesOf(message).map((outcome) => ({ ...outcome, kind: 'retry', nextAttemptAtMs: 0, lastReply: '451 later' })),
    );
    await one.queue.record(retry, []);
    expect(await database.query('select takeovers from queue order by takeovers')).toEqual([
      { takeovers: 0 },
      { takeovers: 2 },
    ]);
  });
});

test('a gateway that falls silent while others run: its mail is with one of them when its time is over', async () => {
  await onAnOldServer(async () => {
    await one.nodes.join('a');
    const dead = await deadNode('silent', '1 second');
    expect(await one.queue.claim(10)).toEqual([]);
    await eventually(async () => (await one.queue.claim(10)).some(({ id }) => id === dead.messageId));
  });
});

test('a lost connection does not lose the name', async () => {
  const node = await one.nodes.join('a');
  const id = node.nodeId;
  await database.query(
    `select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and a.datname = current_database()`,
  );
  await node.heartbeat().catch(() => undefined);
  await node.heartbeat();
  expect(node.nodeId).toBe(id);
  await expect(two.nodes.join('a')).rejects.toMatchObject({ code: 'node-name-taken' });
});

test('a node tells which policy it judges by', async () => {
  const node = await one.nodes.join('a');
  node.reportPolicy(7, 'sha256:ab');
  await node.heartbeat();
  await node.heartbeat();
  expect((await two.nodes.list()).find(({ name }) => name === 'a')).toMatchObject({
    alive: true,
    revision: 7,
    digest: 'sha256:ab',
  });
});

test('a node tells which released policy it does not take, until that is over', async () => {
  const node = await one.nodes.join('a');
  const seen = async (): Promise<unknown> => (await two.nodes.list()).find(({ name }) => name === 'a')?.refused;
  node.reportPolicy(7, 'sha256:ab');
  node.reportRefusal({ revision: 8, reason: 'port 25 is taken' });
  await eventually(async () => (await seen()) !== undefined);
  expect(await seen()).toEqual({ revision: 8, reason: 'port 25 is taken' });
  node.reportRefusal(undefined);
  await eventually(async () => (await seen()) === undefined);
});
