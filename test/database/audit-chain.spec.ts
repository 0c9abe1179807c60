/**
 * Tampering with the audit as the owner of the database can do it, triggers switched off, and what the check says. The
 * chain is written by the real stores, the checkpoints by the gateway's checkpointer.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChainFaultKind, SignedCheckpoint } from '#audit';
import { Client } from 'pg';
import { newId, openDatabase, type Database } from '#database';
import { Checkpointer } from '../../apps/gateway/src/audit/checkpointer.js';
import { signingKey } from '../../apps/gateway/src/audit/signing-key.js';
import { createLogger } from '../../apps/gateway/src/log.js';
import { auditRow } from '../../libs/database/src/audit-rows.js';
import { blockAfter } from '../../libs/database/src/audit-chain.js';
import { appendStatement } from '../../libs/database/src/write-statements.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { attemptEvent, makeMessage, outcomesOf } from './message.js';

const { privateKey } = generateKeyPairSync('ed25519');
const key = signingKey(privateKey);
const keys = new Map<string, KeyObject>([[key.fingerprint, createPublicKey(privateKey)]]);

let database: TestDatabase;
let db: Database;
let directory: string;
let checkpointer: Checkpointer;
let aheadMs = 0;

beforeEach(async () => {
  aheadMs = 0;
  database = await createTestDatabase();
  directory = mkdtempSync(join(tmpdir(), 'postern-chain-'));
  await begin();
});

afterEach(async () => {
  await db.close();
  await database.drop();
  rmSync(directory, { recursive: true });
});

async function begin(): Promise<void> {
  db = await openDatabase({ url: database.url });
  await db.nodes.join('one');
  checkpointer = new Checkpointer({
    checkpoints: db.audit.checkpoints,
    node: 'one',
    key,
    file: join(directory, 'checkpoints.ndjson'),
    nowMs: () => Date.now() + aheadMs,
    log: createLogger('silent', 'one'),
  });
  await checkpointer.start();
}

/** Twelve messages one by one, their outcomes, an operation: at least 25 blocks in three chains. */
async function work(): Promise<void> {
  for (let round = 0; round < 12; round += 1) {
    const message = makeMessage({ leased: true, clientAddress: round % 2 === 0 ? '192.0.2.7' : '2001:DB8::0:1' });
    await db.messages.accept(message);
    const recipients = message.recipients.map((recipient) => ({ ...recipient, attempts: 0 }));
    await db.queue.record(outcomesOf({ id: message.id, recipients }), []);
  }
  await Promise.all(Array.from({ length: 30 }, () => db.messages.accept(makeMessage())));
  await db.lists.add('blocked', [`${newId()}.example`], { actor: 'ann' });
}

function kept(): SignedCheckpoint[] {
  return readFileSync(join(directory, 'checkpoints.ndjson'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SignedCheckpoint);
}

async function kinds(withFile = false): Promise<ChainFaultKind[]> {
  const { faults, ok } = await db.audit.verify({ keys, ...(withFile && { kept: kept() }) });
  expect(ok).toBe(faults.length === 0);
  return [...new Set(faults.map((fault) => fault.kind))];
}

/** As the owner of the database, in spite of every trigger. */
async function tamper(text: string): Promise<void> {
  await database.query(`set session_replication_role = replica; ${text}`);
}

/** One statement on the two blocks in the middle of the longest chain. */
const MIDDLE = `(select id from audit_block where (chain, sequence) =
  (select chain, max(sequence) / 2 from audit_block group by chain order by max(sequence) desc limit 1))`;
const NEXT = `(select id from audit_block where (chain, sequence) =
  (select chain, max(sequence) / 2 + 1 from audit_block group by chain order by max(sequence) desc limit 1))`;
const LAST = `(select id from audit_block where (chain, sequence) =
  (select chain, max(sequence) from audit_block group by chain order by max(sequence) desc limit 1))`;

test('an honest audit is in order, before and after checkpoints, stops and starts', async () => {
  await work();
  const before = await db.audit.verify({ keys });
  expect(before).toMatchObject({ ok: true, faults: [], unchainedRows: 0 });
  expect(before.unsignedBlocks).toBeGreaterThan(20);
  await checkpointer.make();
  expect(await db.audit.verify({ keys, kept: kept() })).toMatchObject({ ok: true, unsignedBlocks: 0 });
  await checkpointer.stop();
  await db.close();
  await begin();
  await work();
  await checkpointer.stop();
  const after = await db.audit.verify({ keys, kept: kept() });
  expect(after).toMatchObject({ ok: true, faults: [], unsignedBlocks: 0, unknownKeys: [] });
  expect(after.checkpoints).toBe(kept().length);
  expect(after.rows).toBe(Number((await database.query('select count(*) as n from audit_event'))[0]?.['n']));
});

test('outcomes of lost leases are chained as they are stored', async () => {
  const mine = makeMessage({ leased: true });
  const taken = makeMessage({ leased: true });
  await db.messages.accept(mine);
  await db.messages.accept(taken);
  await database.query('update queue set owner = owner + 1000 where message_id = $1', [taken.id]);
  const outcomes = [mine, taken].flatMap(({ id, recipients }) =>
    outcomesOf({ id, recipients: recipients.map((recipient) => ({ ...recipient, attempts: 0 })) }),
  );
  expect((await db.queue.record(outcomes, [])).lost).toHaveLength(1);
  expect(await kinds()).toEqual([]);
});

test('what two processes and many writers write at once is in order', async () => {
  const other = await openDatabase({ url: database.url });
  await other.nodes.join('two');
  await Promise.all([
    ...Array.from({ length: 200 }, () => db.messages.accept(makeMessage())),
    ...Array.from({ length: 200 }, () => other.messages.accept(makeMessage())),
  ]);
  other.audit.append([attemptEvent('delivery.deferred', newId(), 'x@example.net')]);
  await other.audit.flush();
  await other.close();
  expect(await kinds()).toEqual([]);
});

describe('found:', () => {
  beforeEach(async () => {
    await work();
    await checkpointer.make();
    expect(await kinds(true)).toEqual([]);
  });

  test('a changed field of a row', async () => {
    await tamper(
      `update audit_event set recipient = 'eve@example.net' where id = (select row_ids[1] from audit_block where id = ${MIDDLE})`,
    );
    const { faults } = await db.audit.verify({ keys });
    const [named] = await database.query(`select id, chain, sequence::int from audit_block where id = ${MIDDLE}`);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({
      kind: 'altered',
      blockId: named?.['id'],
      chain: named?.['chain'],
      sequence: named?.['sequence'],
    });
  });

  test('one octet of the recorded facts', async () => {
    await tamper(
      `update audit_event set data = replace(data::text, 'capture', 'capturE')::json where id = (select row_ids[1] from audit_block where id = ${MIDDLE})`,
    );
    expect(await kinds()).toEqual(['altered']);
  });

  test('a removed row', async () => {
    await tamper(`delete from audit_event where id = (select row_ids[1] from audit_block where id = ${MIDDLE})`);
    expect(await kinds()).toEqual(['row-removed']);
  });

  test('a row that was added', async () => {
    await tamper(
      `insert into audit_event (id, kind, data) values ('${newId()}', 'gateway.stopped', '{"node":"x","reason":""}')`,
    );
    expect(await kinds()).toEqual(['row-inserted']);
  });

  test('two rows that changed places', async () => {
    await tamper(`with pair as (select row_ids[1] as id, lead(row_ids[1]) over (order by id) as other from audit_block),
      p as (select a.*, b.data as other_data from pair p join audit_event a on a.id = p.id join audit_event b on b.id = p.other limit 1)
      update audit_event e set data = p.other_data from p where e.id = p.id`);
    expect(await kinds()).toEqual(['altered']);
  });

  test('two blocks that changed places', async () => {
    await tamper(
      `update audit_block b set sequence = b.sequence + case when b.id = ${MIDDLE} then 1 else -1 end where b.id in (${MIDDLE}, ${NEXT})`,
    );
    expect(await kinds()).toContain('reordered');
  });

  test('a removed block, with and without its rows', async () => {
    await tamper(
      `delete from audit_event where id = any((select row_ids from audit_block where id = ${MIDDLE})::uuid[])`,
    );
    await tamper(`delete from audit_block where id = ${MIDDLE}`);
    expect(await kinds()).toEqual(['removed']);
  });

  test('an end cut off behind a checkpoint', async () => {
    await tamper(
      `delete from audit_event where id = any((select row_ids from audit_block where id = ${LAST})::uuid[])`,
    );
    await tamper(`delete from audit_block where id = ${LAST}`);
    expect(await kinds()).toEqual(['truncated']);
  });

  test('a whole chain that is gone', async () => {
    await tamper(
      `delete from audit_event where id in (select unnest(row_ids) from audit_block where chain = (select chain from audit_block where id = ${MIDDLE}))`,
    );
    await tamper(`delete from audit_block where chain = (select chain from audit_block where id = ${MIDDLE})`);
    expect(await kinds()).toEqual(['truncated']);
  });

  test('an end cut off together with the checkpoints, by the file', async () => {
    const before = kept().length;
    await work();
    await checkpointer.make();
    expect(kept().length).toBe(before + 1);
    await tamper(`delete from audit_checkpoint where sequence > ${before}`);
    await tamper(
      `delete from audit_event where id = any((select row_ids from audit_block where id = ${LAST})::uuid[])`,
    );
    await tamper(`delete from audit_block where id = ${LAST}`);
    expect(await kinds()).toEqual([]);
    expect(await kinds(true)).toEqual(expect.arrayContaining(['checkpoint-removed', 'truncated']));
  });

  test('a checkpoint that was changed, or taken out', async () => {
    await work();
    await checkpointer.make();
    await tamper(`update audit_checkpoint set body = replace(body, '"sequence":1', '"sequence":2') where sequence = 1`);
    expect(await kinds()).toContain('checkpoint-altered');
    await tamper(`delete from audit_checkpoint where sequence = 1`);
    expect(await kinds()).toContain('checkpoint-removed');
  });

  test('blocks that the gateway does not remember', async () => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const row = auditRow(attemptEvent('delivery.succeeded', newId(), 'x@example.net'));
    const block = blockAfter({ chain: newId(), node: 'one' }, undefined, [row]);
    await client.query(appendStatement([row], block));
    await client.end();
    expect(await kinds()).toEqual([]);
    aheadMs = 600_000;
    await work();
    await checkpointer.make();
    expect(await kinds()).toEqual(['unsigned']);
  });
});

test('triggers refuse update, delete and truncate', async () => {
  await work();
  for (const table of ['audit_event', 'audit_block', 'audit_checkpoint']) {
    await checkpointer.make();
    await expect(database.query(`delete from ${table}`)).rejects.toThrow('append-only');
    await expect(database.query(`truncate ${table}`)).rejects.toThrow('append-only');
  }
  await expect(database.query(`update audit_block set node = ''`)).rejects.toThrow('append-only');
});
