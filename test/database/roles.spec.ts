/** What each process's role may do, tried with the real roles. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, openDatabase, type Database } from '#database';
import { GRANTED_TABLES } from '../../libs/database/src/grants.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { eventually, makeMessage, outcomesOf } from './message.js';
import { Client } from 'pg';

const suffix = randomBytes(4).toString('hex');
const GATEWAY = `test_gateway_${suffix}`;
const API = `test_api_${suffix}`;

let database: TestDatabase;
let gateway: Database;
let api: Database;

function urlAs(role: string): string {
  return database.url.replace(/\/\/[^@/]*@/, `//${role}@`);
}

beforeAll(async () => {
  database = await createTestDatabase();
  const owner = await openDatabase({ url: database.url });
  await owner.grant(GATEWAY, 'gateway', { create: true });
  await owner.grant(API, 'admin-api', { create: true });
  // Every start does it again.
  await owner.grant(API, 'admin-api', { create: true });
  await owner.close();
  gateway = await openDatabase({ url: urlAs(GATEWAY) });
  api = await openDatabase({ url: urlAs(API) });
});

afterAll(async () => {
  await gateway.close();
  await api.close();
  for (const role of [GATEWAY, API]) await database.query(`drop owned by ${role}; drop role ${role}`);
  await database.drop();
});

async function refused(role: string, statements: readonly string[]): Promise<string[]> {
  const client = new Client({ connectionString: urlAs(role) });
  await client.connect();
  const allowed: string[] = [];
  for (const text of statements) {
    try {
      await client.query(text);
      allowed.push(text);
    } catch (error) {
      expect((error as { code?: string }).code).toBe('42501');
    }
  }
  await client.end();
  return allowed;
}

test('the gateway’s role does all that a gateway does', async () => {
  await gateway.nodes.join('one');
  const message = makeMessage({ leased: true });
  await gateway.messages.accept(message);
  await gateway.messages.accept(makeMessage());
  const [claimed] = await gateway.queue.claim(10);
  if (claimed === undefined) throw new Error('a message was accepted');
  await gateway.queue.record(outcomesOf(claimed), [makeMessage({ sender: '' })]);
  gateway.audit.append([{ id: newId(), kind: 'gateway.stopped', data: { node: 'one', reason: '' } }]);
  await gateway.audit.flush();
  expect(await gateway.audit.transaction(claimed.id)).toMatchObject({ verdict: 'accepted' });
  // A row of a day that nobody made: the role makes the partition through the function.
  const dayAway = `${(Date.now() + 40 * 86_400_000).toString(16).padStart(12, '0')}${newId().replaceAll('-', '').slice(12)}`;
  const id = dayAway.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  gateway.audit.append([{ id, kind: 'gateway.stopped', data: { node: 'one', reason: 'far' } }]);
  await gateway.audit.flush();
  await eventually(async () => (await database.query(`select from audit_event where id = '${id}'`)).length === 1);
});

test('the admin API’s role does all that the API does', async () => {
  const { key } = await api.apiKeys.create({ name: 'k', role: 'viewer', actor: 'ann' });
  await api.apiKeys.revoke(key.id, 'ann');
  await api.lists.add('blocked', ['x.example'], { actor: 'ann' });
  await api.lists.remove('blocked', ['x.example'], { actor: 'ann' });
  expect((await api.queue.entries()).data.length).toBeGreaterThan(0);
  expect((await api.audit.searchTransactions({})).data.length).toBeGreaterThan(0);
  expect((await api.audit.verify({ keys: new Map() })).faults).toEqual([]);
  await api.nodes.list();
});

test('operators work by the admin API’s role, and the gateway’s knows what they want', async () => {
  const ann = { actor: 'ann' };
  const message = makeMessage();
  await gateway.messages.accept(message);
  await api.destinations.suspend({ domain: 'example.net', ...ann });
  expect(await gateway.destinations.suspended()).toMatchObject([{ domain: 'example.net' }]);
  await gateway.destinations.keepHouse();
  await api.destinations.resume({ domain: 'example.net', ...ann });
  const wanted = (kind: 'hold' | 'drop') =>
    message.recipients.map(({ id }) => ({ messageId: message.id, id, change: { kind } }));
  for (const kind of ['hold', 'drop'] as const) {
    expect(await api.queueAdministration.change(wanted(kind), ann)).toMatchObject({
      recipients: [{ outcome: 'changed' }],
    });
  }
  await api.drains.drain({ name: 'one', ...ann });
  expect(await gateway.drains.isDrained('one')).toBe(true);
  await api.drains.resume({ name: 'one', ...ann });
  const asked = api.questions.ask({ kind: 'resolve', domain: 'example.net', facts: {}, routes: [] }, ['one'], 5_000);
  await eventually(async () => {
    const [question] = await database.query<{ id: string }>('select id from gateway_question');
    if (question === undefined) return false;
    await gateway.questions.answer(question.id, 'one', {});
    return true;
  });
  expect(await asked).toHaveLength(1);
});

describe('refused', () => {
  test('to the gateway: any change of the audit, retention, tables, keys', async () => {
    const allowed = await refused(GATEWAY, [
      `update audit_event set kind = 'x'`,
      'delete from audit_event',
      'truncate audit_event',
      'delete from audit_block',
      `update audit_checkpoint set body = ''`,
      'delete from audit_checkpoint',
      'drop table audit_event',
      'alter table audit_event disable trigger all',
      `set session_replication_role = replica`,
      'update retention set days = 6',
      'create table own (id int)',
      'select * from api_key',
      'insert into policy_revision default values',
      `update message set sender = ''`,
    ]);
    expect(allowed).toEqual([]);
  });

  test('to the gateway: the same in a partition, which has no rights of its own', async () => {
    const [day] = await database.query<{ name: string }>(
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'audit_event'::regclass limit 1`,
    );
    expect(await refused(GATEWAY, [`delete from ${day?.name ?? ''}`, `drop table ${day?.name ?? ''}`])).toEqual([]);
  });

  test('to the admin API: mail, and any change of the audit', async () => {
    const allowed = await refused(API, [
      'select content from message',
      'select * from message',
      'select octets from content_chunk',
      'delete from message',
      `update audit_event set kind = 'x'`,
      'delete from audit_block',
      'insert into audit_checkpoint default values',
      'delete from policy_release',
      'select drop_expired_days(1)',
    ]);
    expect(allowed).toEqual([]);
  });
});

test('every table has been thought of', async () => {
  const tables = await database.query<{ name: string }>(
    `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
     and not c.relispartition and c.relname <> 'typeorm_metadata' order by 1`,
  );
  expect(tables.map(({ name }) => name).sort()).toEqual(GRANTED_TABLES);
});
