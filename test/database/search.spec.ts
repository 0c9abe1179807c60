import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuditEvent } from '#audit';
import { newId, openDatabase, type Database, type TransactionQuery } from '#database';
import type { MessageToStore } from '#delivery';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { attemptEvent, makeMessage, recordOf, type MessageWishes } from './message.js';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = await openDatabase({ url: database.url });
  await db.nodes.join('one');
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

async function accept(wishes: MessageWishes): Promise<MessageToStore> {
  const message = makeMessage(wishes);
  await db.messages.accept(message);
  return message;
}

async function search(given: TransactionQuery): Promise<string[]> {
  return (await db.audit.searchTransactions(given)).data.map((found) => found.id);
}

async function refused(kind: 'transaction.refused' | 'transaction.abandoned', wishes: MessageWishes): Promise<string> {
  const message = makeMessage(wishes);
  const recipients = recordOf(message).recipients.map((recipient) => ({
    ...recipient,
    verdict: 'reject' as const,
    by: 'rcpt/leaver',
    reply: '550 5.1.1 No',
  }));
  const event: AuditEvent = {
    id: newId(),
    kind,
    sessionId: newId(),
    transactionId: message.id,
    sender: message.sender,
    clientAddress: wishes.clientAddress ?? '192.0.2.7',
    data: { ...recordOf(message, wishes.record), recipients },
  };
  db.audit.append([event]);
  await db.audit.flush();
  return message.id;
}

describe('searchTransactions', () => {
  test('by each criterion alone, newest first', async () => {
    const first = await accept({
      sender: 'Ann@Search.example',
      clientAddress: '198.51.100.1',
      recipients: ['One@target.example'],
    });
    const second = await accept({
      sender: 'joe@search.example',
      clientAddress: '2001:db8::1',
      record: {
        listener: 'submission',
        by: 'mail/special',
        message: { sizeBytes: 1, digest: '00', messageId: '<x@y>' },
      },
      recipients: ['two@target.example', 'three@target.example'],
    });
    const third = await refused('transaction.refused', {
      sender: 'ann@search.example',
      clientAddress: '198.51.100.2',
      recipients: ['gone@target.example'],
    });
    const fourth = await refused('transaction.abandoned', { sender: '', clientAddress: '203.0.113.1' });

    expect(await search({ senderDomain: 'Search.Example' })).toEqual([third, second.id, first.id]);
    expect(await search({ sender: 'ANN@search.example' })).toEqual([third, first.id]);
    expect(await search({ sender: '' })).toEqual([fourth]);
    expect(await search({ recipient: 'one@TARGET.example' })).toEqual([first.id]);
    expect(await search({ recipient: 'three@target.example' })).toEqual([second.id]);
    expect(await search({ recipient: 'gone@target.example' })).toEqual([third]);
    expect(await search({ recipient: 'nobody@target.example' })).toEqual([]);
    expect(await search({ client: '198.51.100.1' })).toEqual([first.id]);
    expect(await search({ client: '198.51.100.0/24' })).toEqual([third, first.id]);
    expect(await search({ client: '2001:DB8:0::1' })).toEqual([second.id]);
    expect(await search({ listener: 'submission' })).toEqual([second.id]);
    expect(await search({ rule: 'mail/special' })).toEqual([second.id]);
    expect(await search({ rule: 'rcpt/leaver' })).toEqual([fourth, third]);
    expect(await search({ messageId: '<x@y>' })).toEqual([second.id]);
    expect(await search({ verdict: 'refused' })).toEqual([third]);
    expect(await search({ verdict: 'abandoned' })).toEqual([fourth]);
    expect(await search({ recipient: 'three@target.example', verdict: 'refused' })).toEqual([]);
    expect(await search({ recipient: 'three@target.example', listener: 'submission', rule: 'routing/all' })).toEqual([
      second.id,
    ]);
    expect(await search({ senderDomain: 'search.example', since: new Date(Date.now() + 1000) })).toEqual([]);
    expect(await search({ senderDomain: 'search.example', until: new Date(Date.now() - 3_600_000) })).toEqual([]);
    expect(await search({ sender: `' or true --` })).toEqual([]);
  });

  test('pages are stable while mail comes in, over days, and refuse a foreign cursor', async () => {
    const days = [0, 1, 5, 30].map((ago) => Date.now() - ago * 86_400_000);
    const wanted: string[] = [];
    for (const ms of days.toReversed()) {
      for (let made = 0; made < 3; made += 1) {
        const message = withTime(makeMessage({ sender: 'pager@days.example' }), ms + made);
        await db.messages.accept(message);
        wanted.unshift(message.id);
      }
    }
    const seen: string[] = [];
    for (let after: string | undefined, page = 0; page < 10; page += 1) {
      const found = await db.audit.searchTransactions({
        senderDomain: 'days.example',
        limit: 5,
        ...(after === undefined ? {} : { after }),
      });
      seen.push(...found.data.map(({ id }) => id));
      await accept({ sender: 'late@days.example' });
      after = found.next;
      if (after === undefined) break;
    }
    expect(seen).toEqual(wanted);
    await expect(db.audit.searchTransactions({ after: 'x' })).rejects.toThrow('no cursor');
  });

  test('a recipient named twice is one transaction', async () => {
    const twice = await accept({ recipients: ['twin@target.example', 'twin@target.example'] });
    expect(await search({ recipient: 'twin@target.example' })).toEqual([twice.id]);
  });
});

describe('transaction', () => {
  test('the whole story: session, decision, recipients with their states, attempts', async () => {
    const sessionId = newId();
    const names = ['delivered', 'failed', 'expired', 'deferred', 'queued', 'delivering', 'held'];
    const message = await accept({ recipients: names.map((name) => `${name}@state.example`), leased: true, sessionId });
    const byName = (name: string) => {
      const recipient = message.recipients.find(({ address }) => address.startsWith(`${name}@`));
      if (recipient === undefined) throw new Error(`no recipient ${name}`);
      return { recipientId: recipient.id, messageId: message.id, address: recipient.address };
    };
    const { messageId } = byName('failed');
    const done = (name: string, kind: 'delivery.succeeded' | 'delivery.failed' | 'delivery.expired', reply: string) =>
      ({ kind: 'done', ...byName(name), event: attemptEvent(kind, messageId, byName(name).address, reply) }) as const;
    const nextAttemptAtMs = Date.now() + 60_000;
    await db.queue.record(
      [
        done('delivered', 'delivery.succeeded', '250 2.0.0 taken'),
        done('failed', 'delivery.failed', '550 5.1.1 unknown'),
        done('expired', 'delivery.expired', '451 4.4.1 too long'),
        {
          kind: 'retry',
          ...byName('deferred'),
          nextAttemptAtMs,
          lastReply: '451',
          event: attemptEvent('delivery.deferred', messageId, byName('deferred').address, '451 4.3.0 later'),
        },
      ],
      [],
    );
    await db.queue.release([{ recipientId: byName('queued').recipientId, messageId }]);
    await database.query(`update queue set state = 'held', owner = null where id = $1`, [byName('held').recipientId]);
    db.audit.append([
      {
        id: newId(),
        kind: 'session.ended',
        sessionId,
        data: {
          listener: 'local',
          clientPort: 1,
          helo: 'x',
          startedAtMs: 0,
          endReason: 'quit',
          commands: 5,
          errors: 0,
          transactions: 1,
          bytesIn: 1,
          bytesOut: 1,
        },
      },
    ]);
    await db.audit.flush();

    const story = await db.audit.transaction(message.id);
    expect(story?.recipients.map(({ address, state }) => [address, state])).toEqual(
      names.map((name) => [`${name}@state.example`, name]),
    );
    expect(story?.recipients.map(({ attempts }) => attempts)).toEqual([1, 1, 0, 1, 0, 0, 0]);
    expect(story?.recipients[1]?.lastReply).toBe('550 5.1.1 unknown');
    expect(story?.recipients[3]).toMatchObject({
      lastReply: '451 4.3.0 later',
      nextAttemptAt: new Date(nextAttemptAtMs),
    });
    expect(story?.attempts.map(({ kind }) => kind).sort()).toEqual([
      'delivery.deferred',
      'delivery.expired',
      'delivery.failed',
      'delivery.succeeded',
    ]);
    expect(story?.session).toMatchObject({ kind: 'session.ended', data: { endReason: 'quit' } });
    expect(story).toMatchObject({
      id: message.id,
      verdict: 'accepted',
      sender: 'ann@example.com',
      clientAddress: '192.0.2.7',
      record: { listener: 'local' },
    });
    const listed = await db.audit.searchTransactions({ recipient: 'held@state.example' });
    expect(listed.data[0]?.recipients).toEqual(story?.recipients);
  });

  test('read while a delivery is recorded: state and attempts never differ', async () => {
    for (let round = 0; round < 60; round += 1) {
      const message = await accept({ recipients: ['ann@race.example'], leased: true });
      const [recipient] = message.recipients;
      if (recipient === undefined) throw new Error('no recipient');
      const event = attemptEvent('delivery.succeeded', message.id, recipient.address, '250 2.0.0 taken');
      const outcome = { kind: 'done', recipientId: recipient.id, messageId: message.id, event } as const;
      const recorded = db.queue.record([outcome], []);
      const stories = await Promise.all(Array.from({ length: 6 }, () => db.audit.transaction(message.id)));
      await recorded;
      for (const story of stories) {
        const state = story?.recipients[0]?.state;
        expect(`${String(state)} ${String(story?.attempts.length)}`).toMatch(/^(delivered 1|delivering 0)$/);
      }
    }
  });

  test('a refused one has no queue and no session yet', async () => {
    const id = await refused('transaction.refused', { recipients: ['no@state.example'] });
    const story = await db.audit.transaction(id);
    expect(story?.recipients).toMatchObject([{ state: 'refused', attempts: 0, reply: '550 5.1.1 No' }]);
    expect(story).not.toHaveProperty('session');
  });

  test('none of this id: undefined', async () => {
    expect(await db.audit.transaction(newId())).toBeUndefined();
  });
});

function withTime(message: MessageToStore, ms: number): MessageToStore {
  const time = ms.toString(16).padStart(12, '0');
  const at = (id: string): string => `${time.slice(0, 8)}-${time.slice(8)}${id.slice(13)}`;
  const id = at(message.id);
  return { ...message, id, events: message.events.map((event) => ({ ...event, id: at(event.id), transactionId: id })) };
}
