import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, openDatabase, type Database } from '#database';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { eventually } from './message.js';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = await openDatabase({ url: database.url });
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

async function eventsOf(
  kind: 'policy.published' | 'list.changed' | 'api-key.created' | 'api-key.revoked',
): Promise<unknown[]> {
  return (await db.audit.events({ kinds: [kind], limit: 100 })).data.map((event) => event.data);
}

describe('policies', () => {
  const policy = 'history';

  test('revisions are numbered and immutable, releases are the history', async () => {
    expect(await db.policies.live(policy)).toBeUndefined();
    const first = await db.policies.saveRevision({
      policy,
      source: 'a: 1',
      digest: 'd1',
      author: 'ann',
      reason: 'start',
    });
    expect(first).toMatchObject({
      saved: true,
      revision: { revision: 1, source: 'a: 1', digest: 'd1', author: 'ann', reason: 'start' },
    });
    expect(first.revision.createdAt).toBeInstanceOf(Date);
    expect(await db.policies.saveRevision({ policy, source: 'a: 1', digest: 'd1', author: 'joe' })).toMatchObject({
      saved: false,
      revision: { revision: 1, author: 'ann' },
    });
    const published = await db.policies.publish({ policy, revision: 1, actor: 'ann', expected: 0 });
    expect(published).toMatchObject({ ok: true, release: { revision: 1, actor: 'ann' } });
    await db.policies.publishDocument({ policy, source: 'a: 2', digest: 'd2', actor: 'joe', expected: 1 });
    expect(await db.policies.live(policy)).toMatchObject({
      revision: 2,
      source: 'a: 2',
      author: 'joe',
      release: { revision: 2, previous: 1, actor: 'joe' },
    });
    expect(await db.policies.publish({ policy, revision: 1, actor: 'ann', reason: 'back' })).toMatchObject({
      ok: true,
      release: { revision: 1, previous: 2, reason: 'back' },
    });
    expect(await db.policies.live(policy)).toMatchObject({ revision: 1, source: 'a: 1' });
    expect((await db.policies.history({ policy })).data.map(({ revision }) => revision)).toEqual([1, 2, 1]);
    const page = await db.policies.revisions({ policy, limit: 1 });
    expect(page).toMatchObject({ data: [{ revision: 2 }], next: '2' });
    expect(await db.policies.revisions({ policy, limit: 1, after: '2' })).toMatchObject({ data: [{ revision: 1 }] });
    expect(await eventsOf('policy.published')).toMatchObject([
      { revision: 1, previous: 2, digest: 'd1', actor: 'ann', reason: 'back' },
      { revision: 2, previous: 1, digest: 'd2', actor: 'joe' },
      { revision: 1, digest: 'd1', actor: 'ann' },
    ]);
  });

  test('a release based on an old state or on nothing is a fault, and leaves nothing behind', async () => {
    expect(await db.policies.publish({ policy, revision: 2, actor: 'x', expected: 2 })).toEqual({
      ok: false,
      fault: 'stale',
      live: 1,
    });
    expect(await db.policies.publish({ policy, revision: 9, actor: 'x' })).toEqual({
      ok: false,
      fault: 'no-such-revision',
    });
    expect(
      await db.policies.publishDocument({ policy, source: 'b', digest: 'd3', actor: 'x', expected: 9 }),
    ).toMatchObject({ fault: 'stale' });
    expect(await db.policies.revision(3, policy)).toBeUndefined();
  });

  test('of two publications at once, based on the same state, one wins', async () => {
    const publish = (digest: string) =>
      db.policies.publishDocument({ policy: 'race', source: digest, digest, actor: 'x', expected: 0 });
    const results = await Promise.all([publish('r1'), publish('r2'), publish('r3')]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
  });

  test('neither revision nor release can be changed', async () => {
    for (const table of ['policy_revision', 'policy_release']) {
      for (const text of [`update ${table} set reason = 'x'`, `delete from ${table}`, `truncate ${table} cascade`]) {
        await expect(database.query(text)).rejects.toThrow('append-only');
      }
    }
  });

  test('a release is heard at once', async () => {
    const heard: [string, string][] = [];
    const stop = await db.notifications.listen(['policy_published', 'list_changed'], (...told) => heard.push(told));
    await db.policies.publishDocument({ policy: 'heard', source: 'x', digest: 'x', actor: 'x' });
    await db.lists.add('heard', ['a'], { actor: 'x' });
    await eventually(() => heard.length === 2);
    expect(heard).toEqual([
      ['policy_published', 'heard 1'],
      ['list_changed', 'heard 1'],
    ]);
    stop();
  });
});

describe('lists', () => {
  test('every change set is one revision; state and history agree', async () => {
    expect(await db.lists.load('staff')).toEqual({ revision: 0, values: [] });
    expect(await db.lists.add('staff', ['ann@x', 'joe@x', 'ann@x'], { actor: 'ann', note: 'n' })).toMatchObject({
      ok: true,
      revision: 1,
    });
    expect(await db.lists.add('staff', ['joe@x', 'eve@x'], { actor: 'ann', owner: 'it' })).toEqual({
      ok: true,
      revision: 2,
      changed: ['eve@x'],
    });
    expect(await db.lists.remove('staff', ['ann@x', 'nobody@x'], { actor: 'joe', reason: 'left' })).toEqual({
      ok: true,
      revision: 3,
      changed: ['ann@x'],
    });
    expect(await db.lists.remove('staff', ['ann@x'], { actor: 'joe' })).toEqual({ ok: true, revision: 3, changed: [] });
    expect(await db.lists.add('staff', ['x@x'], { actor: 'ann', ifRevision: 2 })).toEqual({
      ok: false,
      fault: 'stale',
      revision: 3,
    });
    const { revision, values } = await db.lists.load('staff');
    expect([revision, values.toSorted()]).toEqual([3, ['eve@x', 'joe@x']]);
    expect(await db.lists.valuesAt('staff', 1)).toEqual(['ann@x', 'joe@x']);
    expect(await db.lists.valuesAt('staff', 2)).toEqual(['ann@x', 'eve@x', 'joe@x']);
    expect(await db.lists.valuesAt('staff', 3)).toEqual(['eve@x', 'joe@x']);
    expect(await db.lists.changesSince('staff', 1)).toEqual({
      kind: 'changes',
      revision: 3,
      changes: [
        { revision: 2, operation: 'add', value: 'eve@x' },
        { revision: 3, operation: 'remove', value: 'ann@x' },
      ],
    });
    expect(await db.lists.changesSince('staff', 3)).toEqual({ kind: 'changes', revision: 3, changes: [] });
    expect(await db.lists.changesSince('staff', 4)).toEqual({ kind: 'reload', revision: 3 });
    expect(await db.lists.entry('staff', 'joe@x')).toMatchObject({
      value: 'joe@x',
      owner: 'it',
      addedBy: 'ann',
      revision: 1,
    });
    expect(await db.lists.heads()).toContainEqual({ list: 'staff', revision: 3 });
    expect(await eventsOf('list.changed')).toContainEqual({
      list: 'staff',
      revision: 3,
      operation: 'remove',
      value: 'ann@x',
      actor: 'joe',
      reason: 'left',
    });
    await expect(database.query(`update list_change set actor = 'x'`)).rejects.toThrow('append-only');
  });

  test('entries come in pages', async () => {
    await db.lists.add('pages', ['b', 'a', 'B', 'ab'], { actor: 'x' });
    const first = await db.lists.entries('pages', { limit: 3 });
    expect(first.data.map(({ value }) => value)).toEqual(['B', 'a', 'ab']);
    expect(
      (await db.lists.entries('pages', { limit: 3, after: first.next ?? '' })).data.map(({ value }) => value),
    ).toEqual(['b']);
    expect((await db.lists.entries('pages', { prefix: 'a' })).data.map(({ value }) => value)).toEqual(['a', 'ab']);
  });

  test('an import of many is one revision and one event with a count', async () => {
    const values = Array.from({ length: 20_000 }, (_, index) => `user${index}@import.example`);
    expect(await db.lists.add('import', values, { actor: 'x' })).toMatchObject({ ok: true, revision: 1 });
    expect((await db.lists.load('import')).values).toHaveLength(20_000);
    const sizes: number[] = [];
    const { revision } = await db.lists.read('import', async (some) => {
      sizes.push(some.length);
      if (sizes.length === 1) await db.lists.add('import', ['late@example.com'], { actor: 'x' });
    });
    expect({ revision, slices: sizes.length, members: sizes.reduce((a, b) => a + b, 0) }).toEqual({
      revision: 1,
      slices: 10,
      members: 20_000,
    });
    expect(await eventsOf('list.changed')).toContainEqual({
      list: 'import',
      revision: 1,
      operation: 'add',
      value: '',
      count: 20_000,
      actor: 'x',
    });
  });

  test('changes at once by several are all kept, each with its revision', async () => {
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, index) => db.lists.add('race', [`v${index}`], { actor: 'x' })),
    );
    expect(results.map(({ revision }) => revision).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect((await db.lists.load('race')).values).toHaveLength(10);
  });

  test('entries end when their time is over, as a change', async () => {
    await db.lists.add('brief', ['gone'], { actor: 'x', expiresAt: new Date(Date.now() - 1000) });
    await db.lists.add('brief', ['stays'], { actor: 'x', expiresAt: new Date(Date.now() + 100_000) });
    await db.lists.removeExpired();
    expect(await db.lists.load('brief')).toEqual({ revision: 3, values: ['stays'] });
    expect(await eventsOf('list.changed')).toContainEqual({
      list: 'brief',
      revision: 3,
      operation: 'remove',
      value: 'gone',
      actor: 'system',
      reason: 'expired',
    });
  });
});

describe('API keys', () => {
  test('are shown once, stored as a hash, and open until they end', async () => {
    const { key, secret } = await db.apiKeys.create({ name: 'ci', role: 'admin', actor: 'ann' });
    expect(secret).toMatch(/^pst_[0-9A-Za-z]{8}_[0-9A-Za-z_-]{43}$/);
    expect(secret.startsWith(`${key.prefix}_`)).toBe(true);
    expect(await db.apiKeys.verify(secret)).toMatchObject({ id: key.id, name: 'ci', role: 'admin' });
    expect((await db.apiKeys.list()).find(({ id }) => id === key.id)?.lastUsedAt).toBeInstanceOf(Date);
    for (const wrong of [
      '',
      'pst_x',
      `${secret}x`,
      secret.slice(0, -1) + (secret.endsWith('A') ? 'B' : 'A'),
      `' or true --`,
    ]) {
      expect(await db.apiKeys.verify(wrong)).toBeUndefined();
    }
    expect(JSON.stringify(await database.query('select * from api_key'))).not.toContain(secret.slice(13));
    expect(await db.apiKeys.revoke(key.id, 'ann')).toBe(true);
    expect(await db.apiKeys.revoke(key.id, 'ann')).toBe(true);
    expect(await db.apiKeys.revoke(newId(), 'ann')).toBe(false);
    expect(await db.apiKeys.verify(secret)).toBeUndefined();
    const expired = await db.apiKeys.create({
      name: 'old',
      role: 'viewer',
      actor: 'ann',
      expiresAt: new Date(Date.now() - 1),
    });
    expect(await db.apiKeys.verify(expired.secret)).toBeUndefined();
    expect(await eventsOf('api-key.created')).toContainEqual({ keyId: key.id, name: 'ci', actor: 'ann' });
    expect(await eventsOf('api-key.revoked')).toEqual([{ keyId: key.id, name: 'ci', actor: 'ann' }]);
  });
});
