import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, openDatabase, type Database, type JoinedNode } from '#database';
import type { QueuedMessage, RecipientOutcome } from '#delivery';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { attemptEvent, eventually, makeMessage, outcomesOf } from './message.js';

let database: TestDatabase;
let db: Database;
let node: JoinedNode;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

beforeEach(async () => {
  db = await openDatabase({ url: database.url });
  node = await db.nodes.join('one');
});

afterEach(async () => {
  await database.query('delete from queue');
  await db.close();
});

function idsOf(messages: readonly QueuedMessage[]): string[] {
  return messages.flatMap((message) => message.recipients.map((recipient) => recipient.id)).sort();
}

async function kindsOf(transactionId: string): Promise<string[]> {
  const rows = await database.query<{ kind: string }>(
    `select kind from audit_event where transaction_id = $1 and (kind like 'delivery.%' or kind like 'queue.%') order by id`,
    [transactionId],
  );
  return rows.map((row) => row.kind);
}

describe('claim', () => {
  test('gives a due message whole, once', async () => {
    const message = makeMessage({
      recipients: ['bob@example.net', 'eve@example.net'],
      bytes: Buffer.from([0, 1, 255]),
    });
    await db.messages.accept(message);
    const [claimed, ...others] = await db.queue.claim(10);
    expect(others).toEqual([]);
    expect(claimed).toMatchObject({
      id: message.id,
      sender: 'ann@example.com',
      sizeBytes: 3,
      body8bit: false,
      policyRevision: 1,
      recipients: message.recipients.map((recipient) => ({ ...recipient, attempts: 0 })),
    });
    expect(claimed?.content).toEqual({ kind: 'inline', bytes: Buffer.from([0, 1, 255]) });
    expect(Math.abs((claimed?.acceptedAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(await db.queue.claim(10)).toEqual([]);
  });

  test('brings back what the sender asked about notices, and whether it was told of a delay', async () => {
    const rcpt = { notify: ['SUCCESS', 'DELAY'], originalRecipient: 'rfc822;bob+2Bx@example.net' };
    const mail = { ret: 'HDRS', envelopeId: 'Q+2B1', smtpUtf8: true } as const;
    const message = makeMessage({ mail, rcpt });
    await db.messages.accept(message);
    const [claimed] = await db.queue.claim(10);
    expect(claimed).toMatchObject(mail);
    expect(claimed?.recipients).toEqual([{ ...message.recipients[0], attempts: 0 }]);
    const event = attemptEvent('delivery.deferred', message.id, 'bob@example.net', '451 4.3.0 Later');
    const ids = { recipientId: message.recipients[0]?.id ?? '', messageId: message.id };
    const retry = {
      kind: 'retry',
      ...ids,
      nextAttemptAtMs: Date.now(),
      lastReply: '451',
      delayNotified: true,
    } as const;
    await db.queue.record([{ ...retry, event }], []);
    const [again] = await db.queue.claim(10);
    expect(again?.recipients).toEqual([{ ...message.recipients[0], attempts: 1, delayNotified: true }]);
  });

  test('one entry per route of a message, and spooled content by name', async () => {
    const base = makeMessage({ recipients: ['a@example.net', 'b@example.net'] });
    const [first, second] = base.recipients;
    const message = {
      ...base,
      content: { kind: 'spool', file: 'f', sizeBytes: 7 } as const,
      sizeBytes: 7,
      recipients: [first, { ...second, route: 'other' }] as typeof base.recipients,
    };
    await db.messages.accept(message);
    const claimed = await db.queue.claim(10);
    expect(claimed.map(({ content, recipients }) => [content, recipients.map((recipient) => recipient.route)])).toEqual(
      [
        [{ kind: 'spool', file: 'f', sizeBytes: 7 }, ['capture']],
        [{ kind: 'spool', file: 'f', sizeBytes: 7 }, ['other']],
      ],
    );
  });

  test('not what is leased, held, or due later', async () => {
    await db.messages.accept(makeMessage({ leased: true }));
    await db.messages.accept(makeMessage({ route: 'later' }));
    await db.messages.accept(makeMessage({ route: 'held' }));
    await database.query(`update queue set next_attempt_at = now() + interval '1 hour' where route = 'later'`);
    await database.query(`update queue set state = 'held' where route = 'held'`);
    expect(await db.queue.claim(10)).toEqual([]);
  });

  test('several claims at once are disjoint and miss nothing', async () => {
    const other = await openDatabase({ url: database.url });
    await other.nodes.join('two');
    await Promise.all(Array.from({ length: 300 }, () => db.messages.accept(makeMessage())));
    const claimed: string[] = [];
    for (let round = 0; round < 20 && claimed.length < 300; round += 1) {
      const answers = await Promise.all([
        db.queue.claim(40),
        other.queue.claim(40),
        db.queue.claim(40),
        other.queue.claim(40),
      ]);
      claimed.push(...answers.flatMap(idsOf));
    }
    expect(claimed.length).toBe(300);
    expect(new Set(claimed).size).toBe(300);
    await other.close();
  });

  test('a busy route leaves room for the others', async () => {
    await Promise.all(Array.from({ length: 100 }, () => db.messages.accept(makeMessage({ route: 'busy' }))));
    await Promise.all(Array.from({ length: 5 }, () => db.messages.accept(makeMessage({ route: 'quiet' }))));
    await db.messages.accept(makeMessage({ route: 'a-first' }));
    const claimed = await db.queue.claim(12);
    const routes = claimed.map((message) => message.recipients[0]?.route);
    expect(routes.filter((route) => route === 'busy').length).toBe(4);
    expect(routes.filter((route) => route === 'quiet').length).toBe(4);
    expect(routes.filter((route) => route === 'a-first').length).toBe(1);
  });

  test('the oldest of a route first, never more than asked for', async () => {
    const messages = Array.from({ length: 8 }, () => makeMessage());
    for (const message of messages) await db.messages.accept(message);
    const claimed = await db.queue.claim(3);
    expect(claimed.map(({ id }) => id).sort()).toEqual(messages.slice(0, 3).map(({ id }) => id));
  });

  test('a row whose content is gone is set aside with an event, the rest flows', async () => {
    const broken = makeMessage();
    const sound = makeMessage();
    await db.messages.accept(broken);
    await db.messages.accept(sound);
    await database.query('delete from message where id = $1', [broken.id]);
    expect((await db.queue.claim(10)).map(({ id }) => id)).toEqual([sound.id]);
    await db.audit.flush();
    expect(await kindsOf(broken.id)).toEqual(['queue.set-aside']);
    expect((await db.queue.entries({ messageId: broken.id })).data).toMatchObject([
      { state: 'broken', lastReply: 'the content of the message is missing' },
    ]);
  });

  test('after an idle claim new rows are still seen, also retries made due', async () => {
    expect(await db.queue.claim(10)).toEqual([]);
    const message = makeMessage();
    await db.messages.accept(message);
    const [claimed] = await db.queue.claim(10);
    expect(claimed?.id).toBe(message.id);
    await db.queue.release(message.recipients.map(({ id }) => ({ recipientId: id, messageId: message.id })));
    expect((await db.queue.claim(10)).map(({ id }) => id)).toEqual([message.id]);
  });
});

describe('record', () => {
  test('finished rows go, retries wait, each with its event', async () => {
    const message = makeMessage({ recipients: ['a@example.net', 'b@example.net'], leased: true });
    await db.messages.accept(message);
    const [first, second] = message.recipients;
    if (first === undefined || second === undefined) throw new Error('two recipients were made');
    const nextAttemptAtMs = Date.now() + 60_000;
    const outcomes: RecipientOutcome[] = [
      {
        kind: 'done',
        recipientId: first.id,
        messageId: message.id,
        event: attemptEvent('delivery.succeeded', message.id, first.address),
      },
      {
        kind: 'retry',
        recipientId: second.id,
        messageId: message.id,
        nextAttemptAtMs,
        lastReply: '451 4.3.0 later\0',
        event: attemptEvent('delivery.deferred', message.id, second.address),
      },
    ];
    expect(await db.queue.record(outcomes, [])).toEqual({ lost: [] });
    expect(await kindsOf(message.id)).toEqual(['delivery.succeeded', 'delivery.deferred']);
    const { data } = await db.queue.entries({ messageId: message.id });
    expect(data).toMatchObject([
      { id: second.id, attempts: 1, nextAttemptAt: new Date(nextAttemptAtMs), lastReply: '451 4.3.0 later\ufffd' },
    ]);
    expect(data[0]).not.toHaveProperty('owner');
  });

  test('only rows of this node change; the rest is reported lost, with an event that says so', async () => {
    const mine = makeMessage({ leased: true });
    const taken = makeMessage({ leased: true });
    await db.messages.accept(mine);
    await db.messages.accept(taken);
    await database.query('update queue set owner = owner + 1000 where message_id = $1', [taken.id]);
    const { lost } = await db.queue.record([...outcomesOf(queued(mine)), ...outcomesOf(queued(taken))], []);
    expect(lost).toEqual(taken.recipients.map(({ id }) => id));
    expect(await kindsOf(mine.id)).toEqual(['delivery.succeeded']);
    expect(await kindsOf(taken.id)).toEqual(['delivery.lease-lost']);
    expect((await db.queue.entries({ messageId: taken.id })).data).toHaveLength(1);
  });

  test('notices are accepted in the same transaction, or nothing is', async () => {
    const message = makeMessage({ leased: true });
    await db.messages.accept(message);
    const notice = makeMessage({ sender: '', leased: true });
    const clash = makeMessage({ id: message.id });
    await expect(db.queue.record(outcomesOf(queued(message)), [notice, clash])).rejects.toMatchObject({
      code: 'data-refused',
    });
    expect(await kindsOf(message.id)).toEqual([]);
    expect((await db.queue.entries({ messageId: message.id })).data).toHaveLength(1);
    await db.queue.record(outcomesOf(queued(message)), [notice]);
    expect((await db.queue.entries({ messageId: notice.id })).data).toMatchObject([{ owner: node.nodeId }]);
  });

  test('outcomes given again after an unknown commit are recognized', async () => {
    const message = makeMessage({ recipients: ['a@example.net', 'b@example.net'], leased: true });
    await db.messages.accept(message);
    const outcomes = outcomesOf(queued(message));
    const locker = new Client({ connectionString: database.url });
    await locker.connect();
    await locker.query('begin');
    await locker.query('select from queue for update');
    const refused = expect(db.queue.record(outcomes, [])).rejects.toMatchObject({
      retryable: true,
      outcomeKnown: false,
    });
    await eventually(cutTheWaitingRecord);
    await refused;
    await locker.end();
    expect(await db.queue.record(outcomes, [])).toEqual({ lost: [] });
    expect(await kindsOf(message.id)).toEqual(['delivery.succeeded', 'delivery.succeeded']);
  });

  test('the same outcomes twice do not write two events', async () => {
    const message = makeMessage({ leased: true });
    await db.messages.accept(message);
    const outcomes = outcomesOf(queued(message));
    await db.queue.record(outcomes, []);
    expect(await db.queue.record(outcomes, [])).toEqual({ lost: [] });
    expect(await kindsOf(message.id)).toEqual(['delivery.succeeded']);
  });

  test('five hundred outcomes in one transaction', async () => {
    const messages = Array.from({ length: 500 }, () => makeMessage({ leased: true }));
    await Promise.all(messages.map((message) => db.messages.accept(message)));
    expect(
      await db.queue.record(
        messages.flatMap((message) => outcomesOf(queued(message))),
        [],
      ),
    ).toEqual({ lost: [] });
    expect((await db.queue.status()).recipients).toBe(0);
  });

  /** Ends the connection of a record that waits for a row. */
  async function cutTheWaitingRecord(): Promise<boolean> {
    const rows = await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where pid <> pg_backend_pid() and wait_event_type = 'Lock' and query like '%with gone as%' and datname = current_database()`,
    );
    return rows.length > 0;
  }
});

describe('inspection', () => {
  test('status and pages', async () => {
    const messages = Array.from({ length: 5 }, (_, index) => makeMessage({ route: index < 3 ? 'x' : 'y' }));
    for (const message of messages) await db.messages.accept(message);
    const id = messages[0]?.id ?? '';
    await database.query(`update queue set next_attempt_at = now() + interval '1 day' where message_id = $1`, [id]);
    expect(await db.queue.status()).toMatchObject({
      recipients: 5,
      leased: 0,
      due: 4,
      routes: [
        { route: 'x', recipients: 3, due: 2 },
        { route: 'y', recipients: 2, due: 2 },
      ],
    });
    const first = await db.queue.entries({ limit: 3 });
    const second = await db.queue.entries({ limit: 3, after: first.next ?? '' });
    expect([...first.data, ...second.data].map((entry) => entry.messageId)).toEqual(
      messages.map((message) => message.id),
    );
    expect(second.next).toBeUndefined();
    expect((await db.queue.status()).due).toBe(4);
    expect(await db.queue.stillQueued([id, newId()])).toEqual(new Set([id]));
  });
});

function queued(message: ReturnType<typeof makeMessage>): Pick<QueuedMessage, 'id' | 'recipients'> {
  return { id: message.id, recipients: message.recipients.map((recipient) => ({ ...recipient, attempts: 0 })) };
}
