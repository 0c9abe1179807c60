/** Held mail for which nobody came in time: what its review queue says is done, and told; nothing vanishes. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '#database';
import type { MessageToStore } from '#delivery';
import { compile, createSnapshot } from '#policy';
import { createLogger } from '../../apps/gateway/src/log.js';
import type { LivePolicy } from '../../apps/gateway/src/policy/policy-holder.js';
import { ReviewRunner } from '../../apps/gateway/src/reviews/review-runner.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { eventually, makeMessage } from './message.js';

const POLICY = `
policy: main
listeners:
  inside: { address: 127.0.0.1, port: 2525, exposure: internal }
review-queues:
  back: { expire: 1h, on-expire: return-to-sender }
  on: { expire: 1h, on-expire: deliver }
  away: { expire: 1h, on-expire: discard, reason: a test }
acl:
  message:
    - { name: programs, when: { attachment.extension: [exe] }, hold: back }
    - { name: never, when: { subject: bad-words }, reject: 550 5.7.1 Never }
    - { name: other, when: { attachment.extension: [scr] }, hold: on }
    - { name: third, when: { attachment.extension: [com] }, hold: away }
lists:
  bad-words: { type: regex, entries: ['bad word'] }
routing:
  - { name: all, route: capture }
routes:
  capture: { file: { format: maildir, directory: capture } }
`;

let database: TestDatabase;
let db: Database;
let runner: ReviewRunner;

function live(): LivePolicy {
  const result = compile(POLICY);
  if (!result.ok) throw new Error(JSON.stringify(result.findings));
  const recorded = { policy: 'main', revision: 7, digest: 'sha256:00', lists: {} };
  return { snapshot: createSnapshot(result.policy, new Map()), recorded };
}

beforeAll(async () => {
  database = await createTestDatabase();
  db = await openDatabase({ url: database.url });
  await db.nodes.join('one');
  const policy = live();
  runner = new ReviewRunner({
    reviews: db.reviews,
    transaction: (id) => db.audit.transaction(id),
    currentPolicy: () => policy,
    spool: {
      readable: (content) => content,
      fetched: (content) => Promise.resolve(content),
      finished: () => undefined,
    },
    hostname: 'mx.test',
    wake: () => undefined,
    log: createLogger('silent', 'one'),
  });
  runner.start();
});
afterAll(async () => {
  await runner.stop();
  await db.close();
  await database.drop();
});

/** Its time was up a second ago. */
async function overdue(queue: string, subject = 'hello', expiresAtMs = Date.now() - 1_000): Promise<MessageToStore> {
  const made = makeMessage({ bytes: Buffer.from(`Received: here\r\nSubject: ${subject}\r\n\r\nworld\r\n`) });
  const heldAtMs = Date.now() - 3_600_000;
  const review = {
    queue,
    rule: 'message/programs',
    heldAtMs,
    expiresAtMs,
    preview: { fields: [], text: '' },
  };
  const message = { ...made, recipients: made.recipients.map((recipient) => ({ ...recipient, review })) };
  await db.messages.accept(message);
  runner.hint();
  return message;
}

async function endOf(message: MessageToStore): Promise<{ kind: string; data: object }> {
  const found: { kind: string; data: object }[] = [];
  await eventually(async () => {
    const story = await db.audit.transaction(message.id);
    found.push(...(story?.events ?? []).filter(({ kind }) => kind.startsWith('review.')));
    return found.length > 0;
  });
  return found[0] ?? { kind: '', data: {} };
}

const expired = (queue: string): object => ({
  actor: 'expiry',
  reason: `review queue ${queue} keeps mail no longer`,
  revision: 7,
});

test('what a release would come to is told, and nothing is done', async () => {
  const far = Date.now() + 3_600_000;
  for (const [subject, told] of [
    ['hello', { released: true }],
    ['a bad word', { released: false, why: 'reject by message/never' }],
  ] as const) {
    const message = await overdue('back', subject, far);
    const id = message.recipients[0]?.id ?? '';
    expect(await runner.tryRelease(id)).toEqual(told);
    expect(await db.reviews.get(id)).toMatchObject({ queue: 'back' });
  }
  expect(await runner.tryRelease(makeMessage().id)).toBeUndefined();
});

describe('mail that nobody came for', () => {
  test('is returned to its sender, where its queue says so', async () => {
    const message = await overdue('back');
    expect(await endOf(message)).toMatchObject({
      kind: 'review.returned',
      data: { ...expired('back'), queue: 'back' },
    });
    const [claimed] = await db.queue.claim(10);
    expect(claimed).toMatchObject({
      id: message.id,
      refusal: expect.stringMatching(/^550 5\.7\.0 .*not released in time$/u),
    });
    await db.queue.release([{ recipientId: message.recipients[0]?.id ?? '', messageId: message.id }]);
    await database.query('delete from queue');
  });

  test('is delivered, where its queue says so and no other rule objects; else returned', async () => {
    const message = await overdue('on');
    expect(await endOf(message)).toMatchObject({
      kind: 'review.released',
      data: { ...expired('on'), route: 'capture' },
    });
    expect((await db.queueAdministration.search({ messageId: message.id })).data).toMatchObject([
      { state: 'queued', route: 'capture' },
    ]);
    const refused = await overdue('on', 'a bad word');
    expect(await endOf(refused)).toMatchObject({ kind: 'review.returned', data: expired('on') });
  });

  test('is discarded, where its queue says so, and that is on record', async () => {
    const message = await overdue('away');
    expect(await endOf(message)).toMatchObject({ kind: 'review.discarded', data: expired('away') });
    expect((await db.audit.transaction(message.id))?.recipients).toMatchObject([{ state: 'discarded' }]);
    expect((await db.queueAdministration.search({ messageId: message.id })).data).toEqual([]);
  });

  test('is returned where its queue is gone', async () => {
    const message = await overdue('no-more');
    expect(await endOf(message)).toMatchObject({ kind: 'review.returned', data: expired('no-more') });
  });
});
