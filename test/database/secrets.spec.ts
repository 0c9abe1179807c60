/** Secrets: sealed under keys that are not in the database, bound to their names, revealed to who asks by name. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSecretKeys, newSecretKeyLine, openDatabase, type Database } from '#database';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

const VALUE = 'pass wörd of the provider';

let postgres: TestDatabase;
let db: Database;
let directory: string;
let file: string;

beforeAll(async () => {
  postgres = await createTestDatabase();
  directory = await mkdtemp(join(tmpdir(), 'postern-secrets-'));
  file = join(directory, 'secret-key');
  db = await openDatabase({ url: postgres.url, secretKeys: fileSecretKeys(file, { readFile, stat }) });
});
beforeEach(async () => {
  await rm(file, { recursive: true, force: true });
  await keys(newSecretKeyLine());
});
afterAll(async () => {
  await db.close();
  await postgres.drop();
  await rm(directory, { recursive: true });
});

async function keys(...lines: string[]): Promise<void> {
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}

const set = (name: string, value = VALUE, more: object = {}): ReturnType<Database['secrets']['set']> =>
  db.secrets.set({ name, value, actor: 'ann', ...more });

async function revealed(name: string): Promise<string> {
  const found = await db.secrets.reveal(name);
  return found.ok ? found.value : found.fault;
}

describe('a secret', () => {
  test('is sealed in the table, and comes back only from reveal', async () => {
    expect(await set('provider', VALUE, { note: 'relay.example' })).toMatchObject({
      ok: true,
      secret: { name: 'provider', note: 'relay.example', readable: true, createdBy: 'ann' },
    });
    expect(await revealed('provider')).toBe(VALUE);
    const rows = await postgres.query('select s::text as row, encode(sealed, $1) as sealed from secret s', ['escape']);
    expect(JSON.stringify(rows)).not.toContain('provider of');
    for (const text of [
      JSON.stringify(rows),
      JSON.stringify(await db.secrets.list()),
      JSON.stringify(await db.secrets.get('provider')),
    ]) {
      expect(text).not.toContain('pass w');
    }
  });

  test('is sealed differently each time', async () => {
    await set('same-a');
    await set('same-b');
    const rows = await postgres.query<{ sealed: Buffer; nonce: Buffer }>(
      `select sealed, nonce from secret where name like 'same-%'`,
    );
    expect(rows[0]?.sealed.equals(rows[1]?.sealed ?? Buffer.alloc(0))).toBe(false);
    expect(rows[0]?.nonce.equals(rows[1]?.nonce ?? Buffer.alloc(0))).toBe(false);
  });

  test('is bound to its name: rows that were swapped or changed do not open', async () => {
    await set('mine', 'mine');
    await set('yours', 'yours');
    await postgres.query(
      `update secret s set sealed = o.sealed, nonce = o.nonce from secret o where s.name = 'mine' and o.name = 'yours'`,
    );
    expect([await revealed('mine'), await revealed('yours')]).toEqual(['unreadable', 'yours']);
    await postgres.query(
      `update secret set sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1) where name = 'yours'`,
    );
    expect(await revealed('yours')).toBe('unreadable');
  });

  test('is replaced whole, by who knows what is there', async () => {
    const made = await set('versioned', 'one', { ifRevision: 0, note: 'first' });
    const revision = made.ok ? made.secret.revision : 0;
    expect(await set('versioned', 'two', { ifRevision: 0 })).toEqual({ ok: false, fault: 'stale' });
    expect(await set('versioned', 'two', { ifRevision: revision })).toMatchObject({ ok: true });
    expect((await db.secrets.get('versioned'))?.note).toBeUndefined();
    expect(await db.secrets.remove('versioned', { actor: 'x', ifRevision: revision })).toEqual({
      ok: false,
      fault: 'stale',
    });
    expect(await revealed('versioned')).toBe('two');
    expect(await db.secrets.remove('versioned', { actor: 'x' })).toMatchObject({ ok: true });
    expect(await revealed('versioned')).toBe('no-such-secret');
    expect(await db.secrets.remove('versioned', { actor: 'x' })).toEqual({ ok: false, fault: 'no-such-secret' });
  });

  test('made by two at once, based on nothing, is made by one', async () => {
    const both = await Promise.all(['a', 'b'].map((value) => set('raced', value, { ifRevision: 0 })));
    expect(both.map(({ ok }) => ok).sort()).toEqual([false, true]);
  });

  test('is in the audit by name only', async () => {
    await set('told', VALUE, { reason: 'ticket' });
    await db.secrets.remove('told', { actor: 'joe' });
    const { data } = await db.audit.events({ kinds: ['secret.changed'], limit: 2 });
    expect(data.map((event) => event.data)).toMatchObject([
      { secret: 'told', operation: 'remove', actor: 'joe' },
      { secret: 'told', operation: 'set', actor: 'ann', reason: 'ticket' },
    ]);
    expect(JSON.stringify(data)).not.toContain('pass w');
  });
});

describe('keys', () => {
  test('a new one in front seals, the old one still opens, until everything is sealed anew', async () => {
    const [first, second] = [newSecretKeyLine(), newSecretKeyLine()];
    await keys(first);
    await postgres.query('delete from secret');
    await set('old-one', 'one');
    await keys(second, first);
    await set('new-one', 'two');
    expect([await revealed('old-one'), await revealed('new-one')]).toEqual(['one', 'two']);
    const before = (await db.secrets.get('old-one'))?.revision;
    const result = await db.secrets.reseal({ actor: 'ann' });
    expect(result).toMatchObject({ ok: true, resealed: 1, unreadable: [] });
    expect((await db.secrets.get('old-one'))?.revision).toBe(before);
    await keys(second);
    expect([await revealed('old-one'), await revealed('new-one')]).toEqual(['one', 'two']);
    expect(await db.secrets.reseal({ actor: 'ann' })).toMatchObject({ resealed: 0 });
  });

  test('without the right one, secrets are listed as unreadable, told so, and can be set anew', async () => {
    await postgres.query('delete from secret');
    await set('lost');
    await keys(newSecretKeyLine());
    expect((await db.secrets.list()).data).toMatchObject([{ name: 'lost', readable: false }]);
    expect(await db.secrets.reveal('lost')).toMatchObject({
      fault: 'unreadable',
      message: expect.stringContaining('another key'),
    });
    expect(await db.secrets.reseal({ actor: 'x' })).toMatchObject({ ok: true, resealed: 0, unreadable: ['lost'] });
    await set('lost', 'found');
    expect(await revealed('lost')).toBe('found');
  });

  test.each([
    ['none', () => rm(file), 'there is no `'],
    ['one that others may read', () => chmod(file, 0o644), 'chmod 600'],
    ['an empty file', () => writeFile(file, '\n'), 'is empty'],
    ['a short one', () => writeFile(file, 'c2hvcnQ=\n'), 'expected 32 octets'],
    ['a directory', () => rm(file).then(() => mkdir(file, { mode: 0o700 })), 'cannot be read (EISDIR)'],
  ])('%s: a sentence, and no value is taken', async (_what, spoil, sentence) => {
    await set('kept');
    await spoil();
    expect(await set('other')).toMatchObject({
      ok: false,
      fault: 'no-key',
      message: expect.stringContaining(sentence),
    });
    expect(await db.secrets.reveal('kept')).toMatchObject({
      fault: 'unreadable',
      message: expect.stringContaining(sentence),
    });
    expect(await db.secrets.get('other')).toBeUndefined();
    expect(await db.secrets.remove('kept', { actor: 'x' })).toMatchObject({ ok: true });
  });

  test('the text of a key is in no sentence', async () => {
    await writeFile(file, `${newSecretKeyLine()}\nnot-quite-a-key\n`);
    const result = await set('x');
    expect(JSON.stringify(result)).not.toContain('not-quite');
  });
});
