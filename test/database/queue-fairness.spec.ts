/** Claims where one destination has far more than the others, and where some want less than their share. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openDatabase } from '#database';
import type { Database } from '#database';
import type { ClaimWishes, MessageToStore, QueuedMessage } from '#delivery';
import { makeMessage } from './message.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';

let database: TestDatabase;
let db: Database;
let message: MessageToStore;

beforeAll(async () => {
  database = await createTestDatabase();
});

/** Each test has a store that knows nothing yet. */
beforeEach(async () => {
  db = await openDatabase({ url: database.url });
  await db.nodes.join('one');
  message = makeMessage();
  await db.messages.accept(message);
  await database.query('delete from queue');
});

afterEach(() => db.close());

afterAll(() => database.drop());

/** Rows due for so many seconds, all of one message: where they come from counts here, not what they say. */
async function fill(domain: string, rows: number, dueForSeconds: number, route = 'world'): Promise<void> {
  await database.query(
    `insert into queue (message_id, id, address, route, next_attempt_at, accepted_at)
     select $5::uuid, gen_random_uuid(), 'u' || i || '@' || $1::text, $2::text,
       now() - make_interval(secs => $4::float8), now()
     from generate_series(1, $3::int) i`,
    [domain, route, rows, dueForSeconds, message.id],
  );
}

/** Recipients by domain. */
function shares(claimed: readonly QueuedMessage[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { address } of claimed.flatMap(({ recipients }) => recipients)) {
    const domain = address.slice(address.indexOf('@') + 1);
    counts[domain] = (counts[domain] ?? 0) + 1;
  }
  return counts;
}

const BY_DOMAIN: ClaimWishes = { byDomain: ['world'], limited: [] };

test('one domain with thousands of rows delays others by a claim, not by its queue', async () => {
  await fill('crowd.test', 5000, 60);
  await fill('Quiet.test', 3, 5);
  await fill('other.test', 2, 1);
  await fill('later.test', 2, -60);
  expect(shares(await db.queue.claim(100, BY_DOMAIN))).toEqual({ 'crowd.test': 100 });
  // It came back full: from now on every domain has its share, and the crowd what the others leave.
  const second = shares(await db.queue.claim(100, BY_DOMAIN));
  expect(second).toMatchObject({ 'Quiet.test': 3, 'other.test': 2 });
  expect(second['crowd.test']).toBeGreaterThanOrEqual(33);
  expect(second['later.test']).toBeUndefined();
  const third = shares(await db.queue.claim(100, BY_DOMAIN));
  expect(third).toEqual({ 'crowd.test': 100 });
});

test('what wants less gets less, and what wants nothing is left where it is, however old', async () => {
  await fill('full.test', 3000, 60);
  await fill('slow.test', 50, 50);
  await fill('quick.test', 20, 1);
  await fill('hop.test', 30, 70, 'smarthost');
  const limited = [
    { route: 'world', domain: 'full.test', room: 0 },
    { route: 'world', domain: 'slow.test', room: 4 },
    { route: 'smarthost', room: 7 },
  ];
  expect(shares(await db.queue.claim(100, { byDomain: ['world'], limited }))).toEqual({
    'slow.test': 4,
    'quick.test': 20,
    'hop.test': 7,
  });
  const nothing = {
    byDomain: ['world'],
    limited: [
      { route: 'world', domain: 'full.test', room: 0 },
      { route: 'smarthost', room: 0 },
    ],
  };
  expect(Object.keys(shares(await db.queue.claim(100, nothing)))).toEqual(['slow.test']);
  expect(await db.queue.claim(100, nothing)).toEqual([]);
  // Nothing was claimable; that must not make it be taken for drained.
  expect(shares(await db.queue.claim(100, BY_DOMAIN))).toMatchObject({ 'full.test': expect.any(Number) });
});

test('thousands of domains all get their turn while one is crowded', async () => {
  await fill('m-crowd.test', 3000, 60);
  await database.query(
    `insert into queue (message_id, id, address, route, next_attempt_at, accepted_at)
     select $1::uuid, gen_random_uuid(), 'u@d' || lpad(i::text, 5, '0') || '.test', 'world', now() - interval '1 second', now()
     from generate_series(1, 2000) i`,
    [message.id],
  );
  await db.queue.claim(500, BY_DOMAIN);
  const seen = new Set<string>();
  for (let claims = 0; claims < 12 && seen.size < 2001; claims += 1) {
    for (const domain of Object.keys(shares(await db.queue.claim(500, BY_DOMAIN)))) seen.add(domain);
  }
  expect(seen.size).toBe(2001);
});

test('domains are found by their index, in a queue of a hundred thousand rows', async () => {
  await fill('crowd.test', 20_000, 60);
  await database.query('analyze queue');
  const rows = await database.query<{ plan: string }>(
    `select coalesce((select indexdef from pg_indexes where indexname = 'queue_domain_idx'), '') as plan`,
  );
  expect(rows[0]?.plan).toContain('address_domain(address), next_attempt_at');
  const startedAt = process.cpuUsage();
  for (let claims = 0; claims < 5; claims += 1) {
    const limited = [{ route: 'world', domain: 'crowd.test', room: 0 }];
    expect(await db.queue.claim(500, { byDomain: ['world'], limited })).toEqual([]);
  }
  expect(process.cpuUsage(startedAt).user).toBeLessThan(1_000_000);
});
