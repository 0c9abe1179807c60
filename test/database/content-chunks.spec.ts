/** Content in the database: what one gateway took, another delivers; what a crash left is swept. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newId, openDatabase, type Database } from '#database';
import { ChunkBodies } from '../../apps/gateway/src/inbound/body-store.js';
import { ContentBuffer } from '../../apps/gateway/src/inbound/content-buffer.js';
import { MemoryBudget } from '../../apps/gateway/src/inbound/memory-budget.js';
import { OutgoingMail } from '../../apps/gateway/src/relay/outgoing-mail.js';
import { SigningKeys } from '../../apps/gateway/src/relay/signing-keys.js';
import { SpoolDirectory, spooledQueue } from '../../apps/gateway/src/relay/spooled-queue.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { makeMessage, outcomesOf } from './message.js';

let database: TestDatabase;
let one: Database;
let two: Database;
let directory: string;
let outgoing: OutgoingMail;

beforeAll(async () => {
  database = await createTestDatabase();
  one = await openDatabase({ url: database.url });
  two = await openDatabase({ url: database.url });
  outgoing = new OutgoingMail(new SigningKeys(two.secrets));
  directory = mkdtempSync(join(tmpdir(), 'postern-chunks-'));
  for (const name of ['one', 'two']) mkdirSync(join(directory, name));
});

afterAll(async () => {
  await one.close();
  await two.close();
  await database.drop();
  rmSync(directory, { recursive: true });
});

function bufferOf(id: string, budget = new MemoryBudget(2 ** 30)): ContentBuffer {
  const bodies = new ChunkBodies(one.contents);
  return new ContentBuffer({
    id,
    bodies,
    inlineLimitBytes: 65_536,
    budget,
    traceHeader: Buffer.from('Received: x\r\n'),
  });
}

async function chunksLeft(id: string): Promise<number> {
  return (await database.query('select from content_chunk where message_id = $1', [id])).length;
}

test('another gateway delivers it, octet for octet', async () => {
  await two.nodes.join('two');
  const message = makeMessage();
  const buffer = bufferOf(message.id);
  const bytes = randomBytes(1_500_000);
  for (let at = 0; at < bytes.length; at += 50_000) await buffer.write(bytes.subarray(at, at + 50_000));
  const content = await buffer.finish();
  const sizeBytes = bytes.length + 13;
  expect(content).toEqual({ kind: 'spool', file: `chunks:${message.id}`, sizeBytes });
  await one.messages.accept({ ...message, content, sizeBytes });
  const spool = new SpoolDirectory(join(directory, 'two'), (id) => two.contents.read(id));
  const finished: string[] = [];
  spool.onFinished((ids) => finished.push(...ids));
  const queue = spooledQueue(two.queue, spool, outgoing);
  const [claimed] = await queue.claim(10);
  if (claimed?.content.kind !== 'spool') throw new Error('a file was expected');
  expect(readFileSync(claimed.content.file).subarray(13).equals(bytes)).toBe(true);
  await queue.record(outcomesOf(claimed), []);
  expect(finished).toEqual([message.id]);
});

test('content that is gone fails its own attempt, and no other', async () => {
  const lost = makeMessage();
  await one.messages.accept({
    ...lost,
    content: { kind: 'spool', file: `chunks:${lost.id}`, sizeBytes: 5 },
    sizeBytes: 5,
  });
  const sound = makeMessage();
  await one.messages.accept(sound);
  const spool = new SpoolDirectory(join(directory, 'two'), (id) => two.contents.read(id));
  const claimed = await spooledQueue(two.queue, spool, outgoing).claim(10);
  expect(claimed.map(({ id }) => id).sort()).toEqual([lost.id, sound.id].sort());
  expect(claimed.find(({ id }) => id === lost.id)?.content).toEqual({ kind: 'spool', file: '', sizeBytes: 0 });
});

test('what is not accepted is removed; what a crash left is swept, and only that', async () => {
  const refused = bufferOf(newId());
  await refused.write(Buffer.alloc(100_000));
  refused.abort();
  const young = newId();
  const crashed = bufferOf(young);
  await crashed.write(Buffer.alloc(100_000));
  const kept = makeMessage();
  const buffer = bufferOf(kept.id);
  await buffer.write(Buffer.alloc(100_000));
  await one.messages.accept({ ...kept, content: await buffer.finish(), sizeBytes: 100_013 });
  expect(await one.contents.sweepOrphans()).toBe(0);
  expect(await chunksLeft(young)).toBe(1);
  expect(await one.contents.sweepOrphans(Date.now() + 5 * 3_600_000)).toBe(1);
  expect(await chunksLeft(young)).toBe(0);
  expect(await chunksLeft(kept.id)).toBe(1);
});

test('100 MB cost a few MB of memory', async () => {
  const id = newId();
  const budget = new MemoryBudget(2 ** 30);
  const buffer = bufferOf(id, budget);
  const hash = createHash('sha256');
  const chunk = randomBytes(65_536);
  let most = 0;
  for (let written = 0; written < 100 * 1024 * 1024; written += chunk.length) {
    hash.update(chunk);
    await buffer.write(chunk);
    most = Math.max(most, budget.usedBytes);
  }
  await buffer.finish();
  expect(most).toBeLessThan(1024 * 1024);
  const stored = createHash('sha256');
  let first = true;
  for await (const part of one.contents.read(id)) {
    stored.update(first ? part.subarray(13) : part);
    first = false;
  }
  const digest = hash.digest('hex');
  expect(stored.digest('hex')).toBe(digest);
  expect(buffer.digest()).toBe(digest);
}, 60_000);
