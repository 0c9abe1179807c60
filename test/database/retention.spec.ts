/** Days that are dropped: which, when, and what the audit's check says of a chain whose beginning is gone. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { newId, openDatabase, type Database } from '#database';
import { Checkpointer } from '../../apps/gateway/src/audit/checkpointer.js';
import { signingKey } from '../../apps/gateway/src/audit/signing-key.js';
import { createLogger } from '../../apps/gateway/src/log.js';
import { Partitions } from '../../libs/database/src/partitions.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { makeMessage } from './message.js';

const DAY_MS = 86_400_000;
const { privateKey } = generateKeyPairSync('ed25519');
const key = signingKey(privateKey);
const keys = new Map([[key.fingerprint, createPublicKey(privateKey)]]);
const realNow = Date.now;

let database: TestDatabase;
let db: Database;
let pool: Pool;
let directory: string;

beforeEach(async () => {
  database = await createTestDatabase();
  db = await openDatabase({ url: database.url });
  pool = new Pool({ connectionString: database.url, max: 2 });
  directory = mkdtempSync(join(tmpdir(), 'postern-retention-'));
});

afterEach(async () => {
  Date.now = realNow;
  await db.close();
  await pool.end();
  await database.drop();
  rmSync(directory, { recursive: true });
});

function dayName(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
}

function oldId(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}${newId().slice(13)}`;
}

async function partitions(): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r' order by 1`,
  );
  return rows.map(({ name }) => name);
}

test('two weeks are made ahead, also by two at once', async () => {
  const maker = new Partitions(pool);
  const names = await partitions();
  for (const table of ['message', 'content_chunk', 'audit_event', 'audit_block']) {
    for (const day of [-1, 0, 14]) expect(names).toContain(`${table}_${dayName(realNow() + day * DAY_MS)}`);
  }
  const far = realNow() + 60 * DAY_MS;
  await Promise.all([maker.makeAhead(far), new Partitions(pool).makeAhead(far)]);
  expect(await partitions()).toContain(`audit_event_${dayName(far)}`);
});

test('old days go, content only when no mail of that day waits; the audit tells', async () => {
  const [old, older] = [realNow() - 31 * DAY_MS, realNow() - 32 * DAY_MS];
  const waiting = makeMessage({ id: oldId(old) });
  await db.messages.accept(waiting);
  await database.query(`select make_days(array[$1::date])`, [new Date(older)]);
  await database.query(`select make_days(array[$1::date])`, [new Date(realNow() - 400 * DAY_MS)]);
  const maker = new Partitions(pool);
  const dropped = [...(await maker.dropExpired()), ...(await maker.dropExpired())];
  expect(dropped).toContain(`message_${dayName(older)}`);
  expect(dropped).toContain(`audit_event_${dayName(realNow() - 400 * DAY_MS)}`);
  expect(dropped).not.toContain(`message_${dayName(old)}`);
  expect(dropped).not.toContain(`audit_event_${dayName(older)}`);
  await database.query('delete from queue');
  expect(await maker.dropExpired()).toContain(`message_${dayName(old)}`);
  const { data } = await db.audit.events({ kinds: ['audit.retention'] });
  expect(data.length).toBeGreaterThanOrEqual(2);
  await maker.setRetention({ auditDays: 20, contentDays: 20 });
  expect(await maker.dropExpired()).toContain(`audit_event_${dayName(older)}`);
  await expect(maker.setRetention({ auditDays: 3, contentDays: 3 })).rejects.toMatchObject({ code: 'data-refused' });
});

test('who uses a table is not disturbed: dropping waits for another time', async () => {
  await database.query(`select make_days(array[$1::date])`, [new Date(realNow() - 40 * DAY_MS)]);
  const user = await pool.connect();
  await user.query('begin');
  await user.query('select count(*) from message');
  expect(await new Partitions(pool).dropExpired()).toEqual([]);
  await user.query('commit');
  user.release();
  expect((await new Partitions(pool).dropExpired()).length).toBeGreaterThan(0);
});

test('a chain whose first days were dropped is in order, and a hole in what is kept is found', async () => {
  await db.nodes.join('one');
  const file = join(directory, 'checkpoints.ndjson');
  const log = createLogger('silent', 'one');
  const checkpointer = new Checkpointer({
    checkpoints: db.audit.checkpoints,
    ...{ node: 'one', key, file, log },
    nowMs: () => Date.now(),
  });
  await checkpointer.start();
  for (let round = 0; round < 10; round += 1) await db.messages.accept(makeMessage());
  await checkpointer.make();
  const today = realNow();
  // The next day begins. The gateway runs on.
  Date.now = () => realNow() + DAY_MS;
  for (let round = 0; round < 10; round += 1) await db.messages.accept(makeMessage());
  await checkpointer.stop();
  expect(await db.audit.verify({ keys })).toMatchObject({ ok: true, blocks: 20, unsignedBlocks: 0 });
  for (const day of [today - DAY_MS, today]) {
    await database.query(`drop table audit_event_${dayName(day)}, audit_block_${dayName(day)}`);
  }
  expect(await db.audit.verify({ keys })).toMatchObject({ ok: true, faults: [], blocks: 10 });
  await database.query(
    `set session_replication_role = replica; delete from audit_event; delete from audit_block where sequence <= 12`,
  );
  const { faults } = await db.audit.verify({ keys });
  expect(faults.map(({ kind }) => kind)).toContain('row-removed');
});

test('a policy makes the audit stay longer, and never shorter', async () => {
  const [year, longer] = [realNow() - 370 * DAY_MS, realNow() - 410 * DAY_MS];
  await database.query(`select make_days(array[$1::date, $2::date])`, [new Date(year), new Date(longer)]);
  const audit = async (ms: number): Promise<boolean> => (await partitions()).includes(`audit_event_${dayName(ms)}`);
  const maker = new Partitions(pool);
  maker.keepAudit(400);
  await maker.dropExpired();
  expect([await audit(year), await audit(longer)]).toEqual([true, false]);
  maker.keepAudit(7);
  await maker.dropExpired();
  expect([await audit(year), await audit(realNow() - DAY_MS)]).toEqual([false, true]);
  maker.keepAudit(undefined);
  await maker.dropExpired();
  expect(await database.query('select policy_days from retention where what = $1', ['audit'])).toEqual([
    { policy_days: null },
  ]);
});
