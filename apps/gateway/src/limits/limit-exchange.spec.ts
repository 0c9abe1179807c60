import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '#database';
import type { LimitKey } from '#policy';
import { createTestDatabase, type TestDatabase } from '../../../../test/support/postgres.js';
import { createLogger } from '../log.js';
import { LimitCounts } from './limit-counts.js';
import { LimitExchange } from './limit-exchange.js';

interface Node {
  readonly database: Database;
  readonly counts: LimitCounts;
  readonly exchange: LimitExchange;
  /** What it said of counting alone. */
  readonly said: (Date | undefined)[];
}

let database: TestDatabase;
let one: Node;
let two: Node;

async function start(): Promise<Node> {
  const store = await openDatabase({ url: database.url });
  const counts = new LimitCounts();
  const said: (Date | undefined)[] = [];
  const exchange = new LimitExchange({
    counts,
    store: store.limits,
    nowMs: () => Date.now(),
    log: createLogger('silent', 'test'),
    reportAlone: (since) => {
      said.push(since);
    },
  });
  return { database: store, counts, exchange, said };
}

beforeAll(async () => {
  database = await createTestDatabase();
  one = await start();
  two = await start();
});

afterAll(async () => {
  for (const node of [one, two]) await node.exchange.stop();
  for (const node of [one, two]) await node.database.close();
  await database.drop();
});

const KEY: LimitKey = {
  limit: { name: 'shared', key: ['ip'], count: 'messages', max: 5, perMs: 3_600_000, onExceed: 'defer' },
  key: '203.0.113.9',
};

function totals(): number[] {
  return [one, two].map(({ counts }) => counts.total(KEY, Date.now()));
}

async function exchangeAll(): Promise<void> {
  for (const node of [one, two, one]) await node.exchange.exchange();
}

test('counts come together', async () => {
  one.counts.add(KEY, 2, Date.now());
  two.counts.add(KEY, 3, Date.now());
  expect(totals()).toEqual([2, 3]);
  await exchangeAll();
  expect(totals()).toEqual([5, 5]);
  one.counts.add(KEY, 1, Date.now());
  await exchangeAll();
  await exchangeAll();
  expect(totals()).toEqual([6, 6]);
});

test('where they can not be shared a node counts alone, says so, and catches up', async () => {
  await database.query('alter table limit_count rename to limit_count_away');
  one.counts.add(KEY, 1, Date.now());
  await exchangeAll();
  await exchangeAll();
  expect(totals()).toEqual([7, 6]);
  expect(one.said).toEqual([expect.any(Date)]);
  await database.query('alter table limit_count_away rename to limit_count');
  await exchangeAll();
  expect(totals()).toEqual([7, 7]);
  expect(one.said).toEqual([expect.any(Date), undefined]);
});

test('what a node counted outlives it', async () => {
  const heir = await start();
  await heir.exchange.exchange();
  expect(heir.counts.total(KEY, Date.now())).toBe(7);
  await heir.database.close();
});
