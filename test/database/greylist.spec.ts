/** The memory of greylisting, shared by two that ask, and aged by hand. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { openDatabase, type Database, type GreylistQuestion } from '#database';
import { PostgresGreylistStore } from '../../libs/database/src/greylist-store.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

let database: TestDatabase;
let one: Database;
let two: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  one = await openDatabase({ url: database.url });
  two = await openDatabase({ url: database.url });
});

afterAll(async () => {
  await one.close();
  await two.close();
  await database.drop();
});

beforeEach(() => database.query('truncate greylist_entry'));

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function question(name: string, delayMs = 5 * MINUTE_MS, rememberMs = 35 * DAY_MS): GreylistQuestion {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  return { key, delayMs, rememberMs, retryWindowMs: 2 * DAY_MS };
}

/** Time passes for everybody. */
async function pass(interval: string): Promise<void> {
  await database.query(
    `update greylist_entry set first_seen_at = first_seen_at - interval '${interval}', expires_at = expires_at - interval '${interval}'`,
  );
}

async function daysLeft(): Promise<number[]> {
  const rows = await database.query(
    `select round(extract(epoch from expires_at - now()) / 86400) as days from greylist_entry order by expires_at`,
  );
  return (rows as { days: string }[]).map(({ days }) => Number(days));
}

test('first new, then waiting, then passed, whichever node is asked', async () => {
  expect(await one.greylist.recall([question('a')])).toEqual(['new']);
  expect(await two.greylist.recall([question('a')])).toEqual(['waiting']);
  await pass('4 minutes');
  expect(await one.greylist.recall([question('a'), question('b')])).toEqual(['waiting', 'new']);
  await pass('1 minute');
  expect(await two.greylist.recall([question('b'), question('a')])).toEqual(['waiting', 'passed']);
});

test('the same question twice in a batch, and rules with other delays', async () => {
  expect(await one.greylist.recall([question('a'), question('a')])).toEqual(['new', 'new']);
  await pass('10 minutes');
  expect(await one.greylist.recall([question('a'), question('a', 60 * MINUTE_MS), question('a')])).toEqual([
    'passed',
    'waiting',
    'passed',
  ]);
  expect(await one.greylist.recall([])).toEqual([]);
});

test('who does not come back is forgotten after two days, who does is known, after the last time', async () => {
  await one.greylist.recall([question('never-back'), question('back')]);
  expect(await daysLeft()).toEqual([2, 2]);
  await pass('1 day');
  expect(await one.greylist.recall([question('back')])).toEqual(['passed']);
  expect(await daysLeft()).toEqual([1, 35]);
  await pass('2 days');
  expect(await one.greylist.recall([question('never-back'), question('back')])).toEqual(['new', 'passed']);
  expect(await daysLeft()).toEqual([2, 35]);
  await pass('34 days');
  expect(await two.greylist.recall([question('back')])).toEqual(['passed']);
  await pass('36 days');
  expect(await two.greylist.recall([question('back')])).toEqual(['new']);
});

test('whoever is known and comes often does not write each time', async () => {
  const stay = async (): Promise<unknown> => database.query('select expires_at, xmin::text from greylist_entry');
  await one.greylist.recall([question('a')]);
  await pass('1 hour');
  await one.greylist.recall([question('a')]);
  const prolonged = await stay();
  await one.greylist.recall([question('a')]);
  expect(await stay()).toEqual(prolonged);
});

test('many at once, by two nodes, in any order: nobody waits for ever, each is new once', async () => {
  const names = Array.from({ length: 400 }, (_, index) => question(`n${String(index)}`));
  const batches = Array.from({ length: 8 }, (_, index) => {
    const store = index % 2 === 0 ? one.greylist : two.greylist;
    return store.recall(index % 3 === 0 ? [...names].reverse() : names);
  });
  for (const states of await Promise.all(batches)) expect(states).toHaveLength(400);
  expect(await database.query('select count(*)::int as count from greylist_entry')).toEqual([{ count: 400 }]);
  await pass('10 minutes');
  for (const states of await Promise.all([one.greylist.recall(names), two.greylist.recall([...names].reverse())])) {
    expect(new Set(states)).toEqual(new Set(['passed']));
  }
});

test('what has expired is swept', async () => {
  await one.greylist.recall([question('a'), question('b')]);
  await pass('3 days');
  await one.greylist.recall([question('c')]);
  const pool = new Pool({ connectionString: database.url, max: 1 });
  await new PostgresGreylistStore(pool).removeExpired();
  await pool.end();
  expect(await daysLeft()).toEqual([2]);
});
