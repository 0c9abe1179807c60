import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { aboutMail, newId, openDatabase, type Database, type DueReview } from '#database';
import type { HeldForReview, MessageToStore } from '#delivery';
import type { AuditEvent } from '#audit';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { makeMessage } from './message.js';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  db = await openDatabase({ url: database.url });
  await db.nodes.join('one');
});
afterEach(async () => {
  await database.query('delete from queue');
  await db.close();
});

const DAY_MS = 86_400_000;

/** The first recipient waits, the others go on. */
async function held(
  expiresAtMs = Date.now() + DAY_MS,
  recipients = ['bob@example.net'],
  id = newId(),
  eventId: (id: string) => string = (same) => same,
): Promise<MessageToStore> {
  const message = makeMessage({ id, recipients, leased: true });
  const review: HeldForReview = {
    queue: 'review',
    rule: 'message/programs',
    heldAtMs: Date.now(),
    expiresAtMs,
    preview: { fields: [{ name: 'subject', value: 'hello\0' }], text: 'world' },
  };
  const [first, ...rest] = message.recipients;
  if (first === undefined) throw new Error('no recipient');
  const events = message.events.map((event) => ({ ...event, id: eventId(event.id), recipient: recipients[0] ?? '' }));
  const stored = { ...message, events, recipients: [{ ...first, review }, ...rest] };
  await db.messages.accept(stored);
  return stored;
}

const idOf = (message: MessageToStore): string => message.recipients[0]?.id ?? '';
const ask = { action: 'release', actor: 'ann', atMs: Date.now() } as const;

function ended(mail: DueReview, kind: 'review.discarded' | 'review.returned' = 'review.discarded'): AuditEvent {
  const data = { queue: mail.queue, rule: mail.rule, actor: 'ann', revision: 1 };
  const base = { id: newId(), ...aboutMail(mail) };
  return kind === 'review.discarded'
    ? { ...base, kind, data }
    : { ...base, kind, data: { ...data, reply: '550 5.7.1 no' } };
}

async function claimed(): Promise<DueReview> {
  const [mail] = await db.reviews.claimDue(10);
  if (mail === undefined) throw new Error('nothing is due');
  return mail;
}

describe('held mail', () => {
  test('is no mail to deliver, whoever claims', async () => {
    const message = await held(undefined, ['bob@example.net', 'eve@example.net']);
    expect(await db.queue.claim(10)).toEqual([]); // the other one is leased to this node already
    expect((await db.reviews.list()).data).toMatchObject([
      {
        id: idOf(message),
        queue: 'review',
        address: 'bob@example.net',
        preview: { fields: [{ value: 'hello\ufffd' }] },
      },
    ]);
    expect((await db.queue.entries({ state: 'held' })).data).toHaveLength(1);
    expect((await db.reviews.list({ queue: 'other' })).data).toEqual([]);
    expect([...(await db.reviews.counts())]).toEqual([['review', 1]]);
    expect(await db.reviews.claimDue(10)).toEqual([]);
  });

  test('is due when somebody asks, once, and when its time is up', async () => {
    const message = await held();
    const expired = await held(Date.now() - 1000);
    expect(await db.reviews.request(idOf(message), ask)).toBe('requested');
    expect(await db.reviews.request(idOf(message), ask)).toBe('busy');
    expect(await db.reviews.request(newId(), ask)).toBe('not-held');
    const due = await db.reviews.claimDue(10);
    expect(new Set(due.map(({ id }) => id))).toEqual(new Set([idOf(message), idOf(expired)]));
    expect(due.find(({ id }) => id === idOf(message))).toMatchObject({ request: { action: 'release', actor: 'ann' } });
    expect(await db.reviews.claimDue(10)).toEqual([]);
    const story = await db.audit.transaction(message.id);
    expect(story?.events.map(({ kind }) => kind)).toContain('review.requested');
  });

  test('released: queued with its changes, its age begins again, and what was added goes with it', async () => {
    await held(Date.now() - 1000);
    const mail = await claimed();
    const added = [{ id: newId(), address: 'auditor@example.net', route: 'archive', by: 'copies/all' }];
    const settlement = {
      kind: 'queue',
      address: 'amy@example.net',
      route: 'capture',
      headerChanges: [{ op: 'set', name: 'X-A', value: 'b' }],
      added,
    } as const;
    const data = {
      queue: 'review',
      rule: mail.rule,
      actor: 'ann',
      revision: 1,
      route: 'capture',
      address: 'amy@example.net',
      added,
    };
    const event: AuditEvent = { id: newId(), ...aboutMail(mail), kind: 'review.released', data };
    expect(await db.reviews.settle(mail, settlement, event)).toBe(true);
    const messages = await db.queue.claim(10);
    expect(
      messages.map(({ recipients, headerChanges }) => [recipients[0]?.address, recipients[0]?.notify, headerChanges]),
    ).toEqual(
      expect.arrayContaining([
        ['amy@example.net', undefined, [{ op: 'set', name: 'X-A', value: 'b' }]],
        ['auditor@example.net', ['NEVER'], [{ op: 'set', name: 'X-A', value: 'b' }]],
      ]),
    );
    expect((await db.reviews.list()).data).toEqual([]);
    expect((await db.audit.transaction(mail.messageId))?.recipients).toMatchObject([
      { id: mail.id },
      { address: 'auditor@example.net', route: 'archive', addedBy: 'copies/all', state: 'delivering' },
    ]);
  });

  test('released days later: the transaction is found by whom the release added, and by the new address', async () => {
    await database.query(`select make_days(array[(now() - interval '9 days')::date])`);
    const old = (id: string): string => {
      const hex = (Date.now() - 9 * DAY_MS).toString(16).padStart(12, '0');
      return `${hex.slice(0, 8)}-${hex.slice(8)}${id.slice(13)}`;
    };
    const message = await held(Date.now() - 1000, ['late@example.net'], old(newId()), old);
    const mail = await claimed();
    const added = [{ id: newId(), address: 'Later@example.net', route: 'archive', by: 'copies/all' }];
    const data = { queue: 'review', rule: mail.rule, actor: 'ann', revision: 1, route: 'capture', address: 'x', added };
    const event: AuditEvent = { id: newId(), ...aboutMail(mail), kind: 'review.released', data };
    const settlement = { kind: 'queue', address: 'moved@example.net', route: 'capture', added } as const;
    expect(await db.reviews.settle(mail, settlement, event)).toBe(true);
    const found = async (recipient: string, more: object = {}): Promise<unknown> =>
      (await db.audit.searchTransactions({ recipient, ...more })).data.map(({ id }) => id);
    for (const address of ['later@example.net', 'moved@example.net']) {
      expect([address, await found(address)]).toEqual([address, [message.id]]);
      expect(await found(address, { verdict: 'refused' })).toEqual([]);
    }
    expect(await found('late@example.net')).toEqual([message.id]);
    expect((await db.audit.transaction(message.id))?.recipients).toMatchObject([
      { id: mail.id },
      { address: 'Later@example.net', addedBy: 'copies/all' },
    ]);
  });

  test('returned: queued with the refusal that its sender will read', async () => {
    await held(Date.now() - 1000);
    const mail = await claimed();
    expect(
      await db.reviews.settle(mail, { kind: 'return', reply: '550 5.7.1 no' }, ended(mail, 'review.returned')),
    ).toBe(true);
    expect(await db.queue.claim(10)).toMatchObject([{ refusal: '550 5.7.1 no' }]);
  });

  test('discarded: gone, and the story says so', async () => {
    const message = await held(Date.now() - 1000);
    const mail = await claimed();
    expect(await db.reviews.settle(mail, { kind: 'discard' }, ended(mail))).toBe(true);
    expect((await db.queue.stillQueued([message.id])).size).toBe(0);
    expect((await db.audit.transaction(message.id))?.recipients).toMatchObject([{ state: 'discarded' }]);
  });

  test('kept: waits on, with why, and can be asked for again', async () => {
    const message = await held();
    await db.reviews.request(idOf(message), ask);
    const mail = await claimed();
    const expiresAtMs = Date.now() + 2 * DAY_MS;
    const data = { queue: 'review', rule: mail.rule, actor: 'ann', revision: 1, by: 'message/stop', verdict: 'reject' };
    const event: AuditEvent = { id: newId(), ...aboutMail(mail), kind: 'review.kept', data };
    expect(await db.reviews.settle(mail, { kind: 'keep', why: 'reject by message/stop', expiresAtMs }, event)).toBe(
      true,
    );
    const kept = await db.reviews.get(idOf(message));
    expect(kept).toMatchObject({ kept: 'reject by message/stop', expiresAtMs });
    expect(kept).not.toHaveProperty('request');
    expect(await db.reviews.request(idOf(message), ask)).toBe('requested');
  });

  test('a lease that is lost changes nothing and writes no event', async () => {
    const message = await held(Date.now() - 1000);
    const mail = await claimed();
    await db.reviews.giveBack(mail, Date.now() + DAY_MS);
    expect(await db.reviews.settle(mail, { kind: 'discard' }, ended(mail))).toBe(false);
    expect(await db.reviews.get(idOf(message))).toBeDefined();
    expect((await db.audit.transaction(message.id))?.events.map(({ kind }) => kind)).not.toContain('review.discarded');
  });
});
