import { afterEach, describe, expect, test } from '@jest/globals';
import { newId, openDatabase } from '#database';
import { MIGRATION_NAMES } from '../../migrations/index.js';
import { openDataSource } from '../../libs/database/src/data-source.js';
import { databaseConfigSchema } from '../../libs/database/src/database-config.js';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { makeMessage } from './message.js';

const databases: TestDatabase[] = [];

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop();
});

async function empty(): Promise<TestDatabase> {
  const database = await createEmptyDatabase();
  databases.push(database);
  return database;
}

async function migrated(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  databases.push(database);
  return database;
}

describe('migrations', () => {
  test('from empty: all, in order, then none', async () => {
    const database = await empty();
    const db = await openDatabase({ url: database.url });
    expect(await db.migrate()).toEqual(MIGRATION_NAMES);
    expect(await db.migrate()).toEqual([]);
    await db.messages.accept(makeMessage());
    await db.close();
  });

  test('by two at once: each migration runs once', async () => {
    const database = await empty();
    const two = await Promise.all([openDatabase({ url: database.url }), openDatabase({ url: database.url })]);
    const ran = await Promise.all(two.map((db) => db.migrate()));
    expect(ran.flat().sort()).toEqual([...MIGRATION_NAMES].sort());
    for (const db of two) await db.close();
  });

  test('entities and schema say the same', async () => {
    const database = await migrated();
    const source = await openDataSource(databaseConfigSchema.parse({ url: database.url }), 10_000);
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    await source.destroy();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  test('every table says what it is for, every constraint and index has our name', async () => {
    const database = await migrated();
    const silent = await database.query(
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
         and obj_description(c.oid) is null and c.relname not in ('schema_migration', 'typeorm_metadata')`,
    );
    expect(silent).toEqual([]);
    const unnamed = await database.query(
      `select conname from pg_constraint where connamespace = 'public'::regnamespace and conname ~ '^(PK|FK|UQ|CHK|REL)_' and conrelid <> 'schema_migration'::regclass`,
    );
    expect(unnamed).toEqual([]);
  });
});

describe('schema guard', () => {
  test('a schema newer than the program is refused with one sentence', async () => {
    const database = await migrated();
    await database.query(
      `insert into schema_migration ("timestamp", name) values (4102444800000, 'FromTheFuture4102444800000')`,
    );
    await expect(openDatabase({ url: database.url })).rejects.toMatchObject({
      code: 'unfit-database',
      message: expect.stringContaining(
        'the schema is newer than this program: it has `FromTheFuture4102444800000`',
      ) as unknown,
    });
  });

  test('an older schema stops a gateway that joins, not one that migrates', async () => {
    const database = await empty();
    const db = await openDatabase({ url: database.url });
    await expect(db.nodes.join('one')).rejects.toMatchObject({
      code: 'unfit-database',
      message: expect.stringContaining('the schema is older than this program'),
    });
    await expect(db.messages.accept(makeMessage())).rejects.toMatchObject({ code: 'unfit-database' });
    await db.close();
  });

  test('a role that may not create tables is told the statement that lets it', async () => {
    const database = await empty();
    const role = `limited_${database.name}`;
    await database.query(`create role ${role} login`);
    const url = database.url.replace(/\/\/[^@]*@/u, `//${role}@`);
    const db = await openDatabase({ url });
    await expect(db.migrate()).rejects.toMatchObject({
      code: 'unfit-database',
      retryable: false,
      message: expect.stringContaining(
        `role \`${role}\` may not create or change tables (permission denied for schema public): the database belongs to`,
      ) as unknown,
    });
    await database.query(`alter database "${database.name}" owner to "${role}"`);
    expect(await db.migrate()).toEqual(MIGRATION_NAMES);
    await db.close();
    await database.query(`reassign owned by ${role} to current_user`);
    await database.query(`drop owned by ${role}`);
    await database.query(`drop role ${role}`);
  });

  test('unsafe settings of role or database are refused', async () => {
    const database = await migrated();
    await database.query(`alter database ${database.name} set synchronous_commit = off`);
    await expect(openDatabase({ url: database.url })).rejects.toMatchObject({
      code: 'unfit-database',
      message: expect.stringContaining('`synchronous_commit` is off'),
    });
  });

  test('an address that leads nowhere fails without waiting, as retryable', async () => {
    const startedAtMs = performance.now();
    await expect(openDatabase({ url: 'postgresql://nobody@/x?host=/nowhere&port=5432' })).rejects.toMatchObject({
      code: 'database-unavailable',
      retryable: true,
    });
    expect(performance.now() - startedAtMs).toBeLessThan(10_000);
  });

  test('an unusable URL is named without its text', async () => {
    await expect(openDatabase({ url: 'mysql://user:secret@host/x' })).rejects.toThrow(
      'must start with `postgresql://`',
    );
  });
});

describe('partitions', () => {
  test('are made ahead for two weeks, for mail and audit', async () => {
    const database = await migrated();
    const rows = await database.query<{ parent: string; n: number }>(
      `select inhparent::regclass::text as parent, count(*)::int as n from pg_inherits
       where inhparent in ('message'::regclass, 'audit_event'::regclass) group by 1 order by 1`,
    );
    expect(rows).toEqual([
      { parent: 'audit_event', n: 16 },
      { parent: 'message', n: 16 },
    ]);
  });

  test('two makers at once do not meet, and rows keep storage and guards', async () => {
    const database = await migrated();
    const two = await Promise.all([openDatabase({ url: database.url }), openDatabase({ url: database.url })]);
    const farMs = Date.now() + 90 * 86_400_000;
    const far = `${farMs
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}${newId().slice(13)}`;
    const other = `${far.slice(0, 14)}7${newId().slice(15)}`;
    await Promise.all([
      two[0].messages.accept(makeMessage({ id: far })),
      two[1].messages.accept(makeMessage({ id: other })),
    ]);
    const day = new Date(farMs).toISOString().slice(0, 10).replaceAll('-', '');
    expect(
      await database.query(
        `select attstorage from pg_attribute where attrelid = $1::regclass and attname = 'content'`,
        [`message_${day}`],
      ),
    ).toEqual([{ attstorage: 'e' }]);
    await expect(database.query(`delete from audit_event_${day}`)).resolves.toEqual([]);
    await expect(database.query(`truncate audit_event_${day}`)).rejects.toThrow('append-only');
    for (const db of two) await db.close();
  });
});
