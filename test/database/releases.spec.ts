/** Drafts, approvals, and releases that must be confirmed. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database, type PublishResult } from '#database';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { waitFor } from '../support/wait.js';

let postgres: TestDatabase;
let db: Database;
/** A policy of its own for each test: they share the database. */
let policy = '';
let serial = 0;

beforeAll(async () => {
  postgres = await createTestDatabase();
  db = await openDatabase({ url: postgres.url });
});
afterAll(async () => {
  await db.close();
  await postgres.drop();
});
beforeEach(() => {
  serial += 1;
  policy = `p${serial}`;
});

async function publish(text: string, confirmWithinMs?: number): Promise<Extract<PublishResult, { ok: true }>> {
  const result = await db.policies.publishDocument({
    policy,
    source: text,
    digest: `d-${text}`,
    actor: 'ann',
    ...(confirmWithinMs !== undefined && { confirmWithinMs }),
  });
  if (!result.ok) throw new Error(result.fault);
  return result;
}

const live = async (): Promise<number | undefined> => (await db.policies.liveRelease(policy))?.revision;

describe('a release that must be confirmed', () => {
  test('is in force until its time is over, and then the one before it, whoever looks', async () => {
    await publish('one');
    const { release } = await publish('two', 400);
    expect(release.confirmBy?.getTime()).toBeGreaterThan(Date.now() - 1_000);
    expect(await live()).toBe(2);
    await waitFor('the release to lapse', async () => ((await live()) === 1 ? true : undefined));
    expect(await db.policies.live(policy)).toMatchObject({ revision: 1, source: 'one' });
    const late = await db.policies.endRelease(release.id, { policy, kind: 'confirmed', actor: 'ann' });
    expect(late).toMatchObject({ ok: false, fault: 'settled' });
    await Promise.all([db.policies.noteLapsed(), db.policies.noteLapsed()]);
    expect(await db.policies.release(release.id, policy)).toMatchObject({ end: { kind: 'lapsed', actor: 'system' } });
    const told = (await db.audit.events({ kinds: ['policy.release-ended'], limit: 500 })).data;
    expect(told.filter(({ data }) => 'release' in data && data.release === release.id)).toMatchObject([
      { data: { outcome: 'lapsed', revision: 2, live: 1 } },
    ]);
  });

  test('stays when it is confirmed, once', async () => {
    await publish('one');
    const { release } = await publish('two', 300);
    const both = await Promise.all(
      ['ann', 'joe'].map((actor) => db.policies.endRelease(release.id, { policy, kind: 'confirmed', actor })),
    );
    expect(both.filter(({ ok }) => ok)).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 350)); // beyond its time
    expect(await live()).toBe(2);
    await db.policies.noteLapsed();
    expect(await db.policies.release(release.id, policy)).toMatchObject({ end: { kind: 'confirmed' } });
  });

  test('is gone at once when it is aborted', async () => {
    await publish('one');
    const { release } = await publish('two', 60_000);
    const ended = await db.policies.endRelease(release.id, { policy, kind: 'aborted', actor: 'joe', reason: 'bad' });
    expect(ended).toMatchObject({
      ok: true,
      live: { revision: 1 },
      release: { end: { kind: 'aborted', actor: 'joe', reason: 'bad' } },
    });
    expect(await live()).toBe(1);
    expect((await publish('three')).release).toMatchObject({ revision: 3, previous: 1 });
  });

  test('lets nothing be put on top of it', async () => {
    await publish('one');
    const { release } = await publish('two', 60_000);
    const more = { policy, source: 'three', digest: 'd-three', actor: 'joe' };
    expect(await db.policies.publishDocument(more)).toMatchObject({ fault: 'awaiting-confirmation', release });
    expect(await db.policies.publish({ policy, revision: 1, actor: 'joe' })).toMatchObject({
      fault: 'awaiting-confirmation',
    });
    expect(await db.policies.revision(3, policy)).toBeUndefined();
  });

  test('leaves nothing in force when it was the first', async () => {
    const { release } = await publish('one', 60_000);
    await db.policies.endRelease(release.id, { policy, kind: 'aborted', actor: 'joe' });
    expect(await live()).toBeUndefined();
  });

  test('an ordinary one has nothing to confirm', async () => {
    const { release } = await publish('one');
    expect(await db.policies.endRelease(release.id, { policy, kind: 'aborted', actor: 'a' })).toMatchObject({
      fault: 'settled',
    });
    expect(await db.policies.endRelease(999_999, { policy, kind: 'aborted', actor: 'a' })).toEqual({
      ok: false,
      fault: 'no-such-release',
    });
  });
});

describe('a draft', () => {
  test('becomes a revision with everybody who wrote it, and is gone', async () => {
    await publish('one');
    const draft = await db.drafts.create({ policy, source: 'one', digest: 'd-one', actor: 'ann', title: 'new' });
    expect(draft).toMatchObject({ base: 1, version: 1, editors: ['ann'], title: 'new' });
    await db.drafts.change(draft.id, { source: 'two', digest: 'd-two' }, { actor: 'joe', ifVersion: 1 });
    const commit = { actor: 'eve', reason: 'ticket', sourceCommit: '4be1', ifVersion: 2 };
    expect(await db.drafts.commit(draft.id, commit)).toMatchObject({
      ok: true,
      revision: {
        revision: 2,
        author: 'ann',
        contributors: ['ann', 'joe'],
        reason: 'ticket',
        sourceCommit: '4be1',
        source: 'two',
      },
    });
    expect(await db.drafts.get(draft.id)).toBeUndefined();
    expect(await live()).toBe(1);
    const told = (await db.audit.events({ kinds: ['policy.drafted', 'policy.committed'], limit: 3 })).data;
    expect(told.map(({ kind }) => kind)).toEqual(['policy.committed', 'policy.drafted', 'policy.drafted']);
  });

  test('is refused when another revision came first, or nothing was changed, or somebody else was faster', async () => {
    await publish('one');
    const make = () => db.drafts.create({ policy, source: 'one', digest: 'd-one', actor: 'ann' });
    const [first, second] = [await make(), await make()];
    expect(await db.drafts.commit(first.id, { actor: 'ann' })).toEqual({ ok: false, fault: 'no-change', newest: 1 });
    await db.drafts.change(first.id, { source: 'two', digest: 'd-two' }, { actor: 'ann' });
    expect(await db.drafts.commit(first.id, { actor: 'ann', ifVersion: 1 })).toEqual({ ok: false, fault: 'stale' });
    const racing = await Promise.all([
      db.drafts.change(second.id, { source: 'x', digest: 'd-x' }, { actor: 'a', ifVersion: 1 }),
      db.drafts.change(second.id, { source: 'y', digest: 'd-y' }, { actor: 'b', ifVersion: 1 }),
    ]);
    expect(racing.filter(({ ok }) => ok)).toHaveLength(1);
    expect((await db.drafts.commit(first.id, { actor: 'ann' })).ok).toBe(true);
    expect(await db.drafts.commit(second.id, { actor: 'b' })).toEqual({ ok: false, fault: 'base-moved', newest: 2 });
    await db.drafts.change(second.id, { source: 'z', digest: 'd-z', base: 2 }, { actor: 'b' });
    expect((await db.drafts.commit(second.id, { actor: 'b' })).ok).toBe(true);
  });

  test('is listed without its text, newest first, and can be thrown away', async () => {
    const make = (title: string) => db.drafts.create({ policy, source: 's', digest: 'd-s', actor: 'ann', title });
    for (const title of ['a', 'b', 'c']) await make(title);
    const page = await db.drafts.list({ policy, limit: 2 });
    expect(page.data.map(({ title }) => title)).toEqual(['c', 'b']);
    expect(page.data[0]).not.toHaveProperty('source');
    const rest = await db.drafts.list({ policy, limit: 2, after: page.next ?? '' });
    expect(rest.data.map(({ title }) => title)).toEqual(['a']);
    expect((await db.drafts.remove(rest.data[0]?.id ?? '', { actor: 'ann' })).ok).toBe(true);
    expect((await db.drafts.list({ policy })).data).toHaveLength(2);
  });
});

test('approvals belong to a document, and one person approves once', async () => {
  for (const actor of ['joe', 'eve', 'joe']) await db.drafts.approve({ policy, digest: 'd-1', actor, reason: 'ok' });
  expect((await db.drafts.approvals('d-1', policy)).map(({ approver }) => approver)).toEqual(['joe', 'eve']);
  expect(await db.drafts.approvals('d-2', policy)).toEqual([]);
  await expect(postgres.query('delete from policy_approval')).rejects.toThrow();
});
