import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { openDatabase, type Database, type GreylistState, type GreylistStore } from '#database';
import type { UnknownFact } from '#policy';
import { createTestDatabase, type TestDatabase } from '../../../../test/support/postgres.js';
import { createLogger } from '../log.js';
import { GreylistMemory } from './greylist-memory.js';

const log = createLogger('silent', 'test');
const TERMS = { delayMs: 300_000, rememberMs: 86_400_000 };
const WHO = { ip: '203.0.113.9', sender: 'a@x.example', recipient: 'ann@example.com' };

let database: TestDatabase;
let store: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  store = await openDatabase({ url: database.url });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

/** The real store, with the sizes of the batches that it was asked. */
function counted(): { readonly batches: number[]; readonly store: GreylistStore } {
  const batches: number[] = [];
  return {
    batches,
    store: {
      recall: (questions) => {
        batches.push(questions.length);
        return store.greylist.recall(questions);
      },
    },
  };
}

test('one network, one sender, one recipient: the rest of the address does not matter, nor does case', async () => {
  const memory = new GreylistMemory({ store: store.greylist, log });
  const states: (GreylistState | UnknownFact)[] = [];
  for (const change of [
    {},
    { ip: '203.0.113.250' },
    { sender: 'A@X.example' },
    { recipient: 'Ann@example.com' },
    { ip: '203.0.114.9' },
    { sender: '' },
    { recipient: 'bob@example.com' },
    { ip: '2001:db8::1' },
    { ip: '2001:db8::2' },
  ]) {
    states.push(await memory.recall({ ...WHO, ...change }, TERMS));
  }
  expect(states).toEqual(['new', 'waiting', 'waiting', 'waiting', 'new', 'new', 'new', 'new', 'waiting']);
});

test('nobody is asked about one by one: who comes meanwhile goes with the next statement', async () => {
  const { batches, store: asked } = counted();
  const memory = new GreylistMemory({ store: asked, log });
  const many = Array.from({ length: 2_500 }, (_, index) =>
    memory.recall({ ...WHO, recipient: `n${String(index)}@example.com` }, TERMS),
  );
  expect(new Set(await Promise.all(many))).toEqual(new Set(['new']));
  expect(batches).toEqual([1, 1_000, 1_000, 499]);
});

test('a memory that is away is unknown, and answers again when it is back', async () => {
  const memory = new GreylistMemory({ store: store.greylist, log });
  await database.query('alter table greylist_entry rename to greylist_away');
  expect(await memory.recall(WHO, TERMS)).toEqual({ unknown: 'the memory can not be reached' });
  await database.query('alter table greylist_away rename to greylist_entry');
  expect(await memory.recall(WHO, TERMS)).toBe('waiting');
});

test('a memory that is slow is unknown, and nobody stays', async () => {
  const memory = new GreylistMemory({ store: store.greylist, log, deadlineMs: 500 });
  const holder = new Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('begin; lock table greylist_entry');
  const late = { unknown: 'the memory did not answer in time' };
  const asked = [memory.recall(WHO, TERMS), memory.recall({ ...WHO, sender: 'b@x.example' }, TERMS)];
  expect(await Promise.all(asked)).toEqual([late, late]);
  await holder.query('commit');
  await holder.end();
  expect(await memory.recall({ ...WHO, sender: 'c@x.example' }, { ...TERMS })).toEqual('new');
});
