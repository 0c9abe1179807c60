/** Counts of limits that several gateways share. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Database, type LimitSlotCount } from '#database';
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

const PER_MS = 3_600_000;
const SLOT_MS = Math.floor(Date.now() / 360_000) * 360_000;

function counted(name: string, count: number): LimitSlotCount {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  return { key, slotMs: SLOT_MS, perMs: PER_MS, count };
}

test('each hears the sum of the others, never its own', async () => {
  expect((await one.limits.exchange([counted('a', 3)], undefined)).told).toEqual([]);
  const heard = await two.limits.exchange([counted('a', 2), counted('b', 1)], undefined);
  expect(heard.told).toEqual([counted('a', 3)]);
  const { told, at } = await one.limits.exchange([counted('a', 5)], undefined);
  expect(told).toEqual(expect.arrayContaining([counted('a', 2), counted('b', 1)]));
  expect((await two.limits.exchange([], heard.at)).told).toEqual([counted('a', 5)]);
  const three = await openDatabase({ url: database.url });
  expect((await three.limits.exchange([], undefined)).told).toContainEqual(counted('a', 7));
  await three.close();
  expect(at).toBeInstanceOf(Date);
});

test('a count that comes late or twice lowers nothing', async () => {
  await one.limits.exchange([counted('c', 9)], undefined);
  await one.limits.exchange([counted('c', 4)], undefined);
  expect((await two.limits.exchange([], undefined)).told).toContainEqual(counted('c', 9));
});

test('what no longer counts is not told', async () => {
  const old = { ...counted('old', 4), slotMs: SLOT_MS - 4 * PER_MS };
  await one.limits.exchange([old], undefined);
  expect((await two.limits.exchange([], undefined)).told).not.toContainEqual(old);
});

test('a gateway says that it counts alone', async () => {
  const node = await one.nodes.join('lonely');
  const since = new Date('2026-11-22T21:00:00Z');
  node.reportLimitsAlone(since);
  await node.heartbeat();
  await node.heartbeat();
  expect(await two.nodes.list()).toMatchObject([{ name: 'lonely', limitsAloneSince: since }]);
});
