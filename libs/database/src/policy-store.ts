/**
 * Policy revisions and releases. A document is opaque text with a digest; what it means is known to `policy`.
 * History only grows: going back is a new release of an old revision. Writes go through TypeORM; what a gateway
 * reads (live, revision) does not, so that it never loads it.
 */
import type { Pool } from 'pg';
import { writeEvents } from './admin-events.js';
import { query } from './connections.js';
import { newId } from './new-id.js';
import type { Orm, OrmSession } from './orm.js';
import type { LivePolicy, Page, PolicyRelease, PolicyRevision } from './types.js';

const POLICY_CHANNEL = 'policy_published';
const MAIN = 'main';
const NEWEST = 2_147_483_647;

export interface RevisionToSave {
  readonly policy?: string;
  readonly source: string;
  readonly digest: string;
  readonly author: string;
  readonly reason?: string;
}

export interface ReleaseToPublish {
  readonly policy?: string;
  readonly revision: number;
  readonly actor: string;
  readonly reason?: string;
  /** The live revision the caller saw, 0 for none; another one now answers `stale`. */
  readonly expected?: number;
}

export interface DocumentToPublish extends Omit<ReleaseToPublish, 'revision'> {
  /** Who wrote it; the actor unless given. */
  readonly author?: string;
  readonly source: string;
  readonly digest: string;
}

export type PublishResult =
  | { readonly ok: true; readonly release: PolicyRelease }
  | { readonly ok: false; readonly fault: 'stale'; readonly live: number | undefined }
  | { readonly ok: false; readonly fault: 'no-such-revision' };

type Stored<T> = { readonly [K in keyof Required<T>]: undefined extends T[K] ? NonNullable<T[K]> | null : T[K] };

const REVISION_COLUMNS = 'policy, revision, source, digest, author, reason, created_at as "createdAt"';
const RELEASE_COLUMNS = 'id, policy, revision, previous, actor, reason, released_at as "releasedAt"';

export class PolicyStore {
  readonly #pool: Pool;
  readonly #orm: Orm;

  constructor(pool: Pool, orm: Orm) {
    this.#pool = pool;
    this.#orm = orm;
  }

  /** Numbers and keeps a document. The same digest as the newest revision gives that one again, `saved: false`. */
  async saveRevision(given: RevisionToSave): Promise<{ readonly revision: PolicyRevision; readonly saved: boolean }> {
    return this.#orm.transaction(async (session) => {
      await lockPolicy(session, given.policy ?? MAIN);
      return save(session, given);
    });
  }

  /** Makes a revision live: release, audit event and notification commit together. */
  async publish(given: ReleaseToPublish): Promise<PublishResult> {
    return this.#orm.transaction(async (session) => {
      await lockPolicy(session, given.policy ?? MAIN);
      return release(session, given);
    });
  }

  /** saveRevision() and publish() in one transaction: a refused release leaves no revision behind. */
  async publishDocument(given: DocumentToPublish): Promise<PublishResult> {
    const { source, digest, ...change } = given;
    return this.#orm.transaction(async (session): Promise<PublishResult> => {
      await lockPolicy(session, given.policy ?? MAIN);
      const live = await liveRevision(session, given.policy ?? MAIN);
      if (isStale(given.expected, live)) return { ok: false, fault: 'stale', live };
      const { revision } = await save(session, { ...change, source, digest, author: given.author ?? given.actor });
      return release(session, { ...change, revision: revision.revision });
    });
  }

  /** What is live now, with its document; undefined before the first release. */
  async live(policy = MAIN): Promise<LivePolicy | undefined> {
    const release = await this.liveRelease(policy);
    if (release === undefined) return undefined;
    const revision = await this.revision(release.revision, policy);
    return revision === undefined ? undefined : { ...revision, release };
  }

  /** For the poll: the newest release alone; undefined before the first. */
  async liveRelease(policy = MAIN): Promise<PolicyRelease | undefined> {
    const { rows } = await query<Stored<PolicyRelease>>(this.#pool, {
      text: `select ${RELEASE_COLUMNS} from policy_release where policy = $1 order by id desc limit 1`,
      values: [policy],
    });
    return rows[0] === undefined ? undefined : releaseOf(rows[0]);
  }

  async revision(revision: number, policy = MAIN): Promise<PolicyRevision | undefined> {
    const { rows } = await query<Stored<PolicyRevision>>(this.#pool, {
      text: `select ${REVISION_COLUMNS} from policy_revision where policy = $1 and revision = $2`,
      values: [policy, revision],
    });
    return rows[0] === undefined ? undefined : revisionOf(rows[0]);
  }

  /** Revisions, newest first, without their documents. `after` is the `next` of the page before. */
  async revisions(
    given: { policy?: string; limit?: number; after?: string } = {},
  ): Promise<Page<Omit<PolicyRevision, 'source'>>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<Omit<Stored<PolicyRevision>, 'source'>>(this.#pool, {
      text: `select ${REVISION_COLUMNS.replace(' source,', '')} from policy_revision
             where policy = $1 and revision < $2 order by revision desc limit $3`,
      values: [given.policy ?? MAIN, cursor(given.after), limit + 1],
    });
    const data = rows.slice(0, limit).map(withoutNulls);
    return { data, ...(rows.length > limit ? { next: String(data.at(-1)?.revision) } : {}) };
  }

  /** Releases, newest first: the first is live. */
  async history(given: { policy?: string; limit?: number; after?: string } = {}): Promise<Page<PolicyRelease>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<Stored<PolicyRelease>>(this.#pool, {
      text: `select ${RELEASE_COLUMNS} from policy_release where policy = $1 and id < $2 order by id desc limit $3`,
      values: [given.policy ?? MAIN, cursor(given.after), limit + 1],
    });
    const data = rows.slice(0, limit).map(releaseOf);
    return { data, ...(rows.length > limit ? { next: String(data.at(-1)?.id) } : {}) };
  }
}

function cursor(after: string | undefined): number {
  return after !== undefined && /^[0-9]{1,9}$/.test(after) ? Number(after) : NEWEST;
}

/** Serializes writers of one policy; released at the end of the transaction. */
async function lockPolicy({ manager }: OrmSession, policy: string): Promise<void> {
  await manager.query(`select pg_advisory_xact_lock(hashtextextended('postern.policy.' || $1, 0))`, [policy]);
}

async function liveRevision({ manager, entities }: OrmSession, policy: string): Promise<number | undefined> {
  return (await manager.findOne(entities.policyRelease, { where: { policy }, order: { id: 'DESC' } }))?.revision;
}

function isStale(expected: number | undefined, live: number | undefined): boolean {
  return expected !== undefined && expected !== (live ?? 0);
}

/** Under the policy's lock. */
async function save(
  { manager, entities }: OrmSession,
  given: RevisionToSave,
): Promise<{ revision: PolicyRevision; saved: boolean }> {
  const policy = given.policy ?? MAIN;
  const newest = await manager.findOne(entities.policyRevision, { where: { policy }, order: { revision: 'DESC' } });
  if (newest?.digest === given.digest) return { revision: revisionOf(newest), saved: false };
  const row = {
    policy,
    revision: (newest?.revision ?? 0) + 1,
    source: given.source,
    digest: given.digest,
    author: given.author,
  };
  const inserted = await manager.insert(entities.policyRevision, { ...row, reason: given.reason ?? null });
  return {
    revision: revisionOf({
      ...row,
      reason: given.reason ?? null,
      ...(inserted.generatedMaps[0] as { createdAt: Date }),
    }),
    saved: true,
  };
}

/** Under the policy's lock. */
async function release(session: OrmSession, given: ReleaseToPublish): Promise<PublishResult> {
  const { manager, entities } = session;
  const policy = given.policy ?? MAIN;
  const live = await liveRevision(session, policy);
  if (isStale(given.expected, live)) return { ok: false, fault: 'stale', live };
  const { revision, actor } = given;
  const digest = (
    await manager.findOne(entities.policyRevision, { select: { digest: true }, where: { policy, revision } })
  )?.digest;
  if (digest === undefined) return { ok: false, fault: 'no-such-revision' };
  const row = { policy, revision, previous: live ?? null, actor, reason: given.reason ?? null };
  const inserted = await manager.insert(entities.policyRelease, row);
  await writePublished(session, given, digest, live);
  await manager.query('select pg_notify($1, $2)', [POLICY_CHANNEL, `${policy} ${revision}`]);
  return {
    ok: true,
    release: releaseOf({ ...row, ...(inserted.generatedMaps[0] as { id: number; releasedAt: Date }) }),
  };
}

async function writePublished(
  { manager }: OrmSession,
  given: ReleaseToPublish,
  digest: string,
  live: number | undefined,
): Promise<void> {
  await writeEvents(manager, [
    {
      id: newId(),
      kind: 'policy.published',
      data: {
        revision: given.revision,
        digest,
        actor: given.actor,
        ...(live === undefined ? {} : { previous: live }),
        ...(given.reason === undefined ? {} : { reason: given.reason }),
      },
    },
  ]);
}

/** Rows and entities say null where our shapes leave a key out. */
function withoutNulls<T extends object>(row: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}

function revisionOf(row: Stored<PolicyRevision>): PolicyRevision {
  return withoutNulls(row);
}

function releaseOf(row: Stored<PolicyRelease>): PolicyRelease {
  return withoutNulls(row);
}
