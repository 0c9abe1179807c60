/**
 * Policy revisions and releases. A document is opaque text with a digest; what it means is known to `policy`.
 * History only grows: going back is a new release of an old revision. Writes go through TypeORM; what a gateway
 * reads (live, revision) does not, so that it never loads it.
 */
import type { Pool } from 'pg';
import { rowsIn, writeEvents, type Querying } from './admin-events.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import type { Orm, OrmSession } from './orm.js';
import {
  awaitsConfirmation,
  IN_FORCE,
  LIVE_RELEASE,
  lockPolicy,
  MAIN,
  POLICY_CHANNEL,
  RELEASE_COLUMNS,
  releaseInForce,
  releaseOf,
  REVISION_COLUMNS,
  revisionOf,
  withoutNulls,
  type ReleaseRow,
  type RevisionRow,
} from './policy-rows.js';
import type { LivePolicy, Page, PolicyRelease, PolicyRevision, ReleaseEnd } from './types.js';

const NEWEST = 2_147_483_647;

const ONE_RELEASE = `select ${RELEASE_COLUMNS} from policy_release r where r.policy = $1 and r.id = $2`;
const LAPSED = `
  select r.id, r.policy from policy_release r where r.confirm_by <= now()
    and not exists (select from policy_release_end e where e.release = r.id)`;

type Row = Record<string, unknown>;

export interface RevisionToSave {
  readonly policy?: string;
  readonly source: string;
  readonly digest: string;
  readonly author: string;
  readonly contributors?: readonly string[];
  readonly reason?: string;
  readonly sourceCommit?: string;
}

export interface ReleaseToPublish {
  readonly policy?: string;
  readonly revision: number;
  readonly actor: string;
  readonly reason?: string;
  /** The live revision the caller saw, 0 for none; another one now answers `stale`. */
  readonly expected?: number;
  /** It lapses so long after now, unless it is confirmed. */
  readonly confirmWithinMs?: number;
}

export interface DocumentToPublish extends Omit<ReleaseToPublish, 'revision'> {
  /** Who wrote it; the actor unless given. */
  readonly author?: string;
  readonly sourceCommit?: string;
  readonly source: string;
  readonly digest: string;
}

export type PublishResult =
  | { readonly ok: true; readonly release: PolicyRelease }
  | { readonly ok: false; readonly fault: 'stale'; readonly live: number | undefined }
  | { readonly ok: false; readonly fault: 'no-such-revision' }
  /** What is live waits to be confirmed or aborted first. */
  | { readonly ok: false; readonly fault: 'awaiting-confirmation'; readonly release: PolicyRelease };

export type EndReleaseResult =
  | { readonly ok: true; readonly release: PolicyRelease; readonly live: PolicyRelease | undefined }
  /** `settled`: it waits for nobody; `release` says what it is. */
  | { readonly ok: false; readonly fault: 'settled'; readonly release: PolicyRelease }
  | { readonly ok: false; readonly fault: 'no-such-release' };

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
      await lockPolicy(session.manager, given.policy ?? MAIN);
      return save(session, given);
    });
  }

  /** Makes a revision live: release, audit event and notification commit together. */
  async publish(given: ReleaseToPublish): Promise<PublishResult> {
    return this.#orm.transaction(async (session) => {
      await lockPolicy(session.manager, given.policy ?? MAIN);
      return release(session, given);
    });
  }

  /** saveRevision() and publish() in one transaction: a refused release leaves no revision behind. */
  async publishDocument(given: DocumentToPublish): Promise<PublishResult> {
    const { source, digest, sourceCommit, ...change } = given;
    return this.#orm.transaction(async (session): Promise<PublishResult> => {
      await lockPolicy(session.manager, given.policy ?? MAIN);
      const fault = faultOf(given, await releaseInForce(session.manager, given.policy ?? MAIN));
      if (fault !== undefined) return fault;
      const author = given.author ?? given.actor;
      const { revision } = await save(session, {
        ...change,
        source,
        digest,
        author,
        ...(sourceCommit !== undefined && { sourceCommit }),
      });
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

  /** For the poll: the release in force alone; undefined before the first. */
  async liveRelease(policy = MAIN): Promise<PolicyRelease | undefined> {
    const { rows } = await query<ReleaseRow & Row>(this.#pool, { text: LIVE_RELEASE, values: [policy] });
    return rows[0] === undefined ? undefined : releaseOf(rows[0]);
  }

  async release(id: number, policy = MAIN): Promise<PolicyRelease | undefined> {
    const { rows } = await query<ReleaseRow & Row>(this.#pool, { text: ONE_RELEASE, values: [policy, id] });
    return rows[0] === undefined ? undefined : releaseOf(rows[0]);
  }

  /** Whether a release ever made this revision live, and stood. */
  async wasInForce(revision: number, policy = MAIN): Promise<boolean> {
    const { rowCount } = await query(this.#pool, {
      text: `select from policy_release r where r.policy = $1 and r.revision = $2 and ${IN_FORCE}
               and (r.confirm_by is null or exists (select from policy_release_end e where e.release = r.id)) limit 1`,
      values: [policy, revision],
    });
    return rowCount === 1;
  }

  /** Ends the wait of a release that must be confirmed: it stays, or the one before it is in force again. */
  async endRelease(
    id: number,
    given: Pick<ReleaseEnd, 'actor' | 'reason'> & { kind: 'confirmed' | 'aborted'; policy?: string },
  ): Promise<EndReleaseResult> {
    const policy = given.policy ?? MAIN;
    return inTransaction(this.#pool, async (client) => {
      await lockPolicy(client, policy);
      const { rows } = await client.query<ReleaseRow & { open: boolean }>(
        `select ${RELEASE_COLUMNS}, ${IN_FORCE} as open from policy_release r where r.policy = $1 and r.id = $2`,
        [policy, id],
      );
      const [row] = rows;
      if (row === undefined) return { ok: false, fault: 'no-such-release' };
      const { open, ...stored } = row;
      const release = releaseOf(stored);
      if (!open || !awaitsConfirmation(release)) return { ok: false, fault: 'settled', release };
      await client.query('insert into policy_release_end (release, kind, actor, reason) values ($1, $2, $3, $4)', [
        id,
        given.kind,
        given.actor,
        given.reason ?? null,
      ]);
      const ended = firstRelease(await client.query(ONE_RELEASE, [policy, id])) ?? stored;
      const live = await releaseInForce(client, policy);
      await writeEnded(client, releaseOf(ended), { ...given, live });
      await client.query('select pg_notify($1, $2)', [POLICY_CHANNEL, `${policy} ${live?.revision ?? 0}`]);
      return { ok: true, release: releaseOf(ended), live };
    });
  }

  /** Notes releases that nobody confirmed in time. They are in force no longer already; every gateway calls it each minute. */
  async noteLapsed(): Promise<void> {
    const { rows } = await query<{ id: number; policy: string }>(this.#pool, { text: LAPSED });
    for (const { id, policy } of rows) {
      await inTransaction(this.#pool, async (client) => {
        await lockPolicy(client, policy);
        const noted = await client.query(
          `insert into policy_release_end (release, kind, actor) values ($1, 'lapsed', 'system') on conflict do nothing`,
          [id],
        );
        const release = firstRelease(await client.query(ONE_RELEASE, [policy, id]));
        if (noted.rowCount === 0 || release === undefined) return;
        const live = await releaseInForce(client, policy);
        await writeEnded(client, releaseOf(release), { kind: 'lapsed', actor: 'system', live });
      });
    }
  }

  async revision(revision: number, policy = MAIN): Promise<PolicyRevision | undefined> {
    const { rows } = await query<RevisionRow & Row>(this.#pool, {
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
    const { rows } = await query<Omit<RevisionRow, 'source'> & Row>(this.#pool, {
      text: `select ${REVISION_COLUMNS.replace(' source,', '')} from policy_revision
             where policy = $1 and revision < $2 order by revision desc limit $3`,
      values: [given.policy ?? MAIN, cursor(given.after), limit + 1],
    });
    const data = rows.slice(0, limit).map(withoutNulls);
    return { data, ...(rows.length > limit ? { next: String(data.at(-1)?.revision) } : {}) };
  }

  /** Releases, newest first. */
  async history(given: { policy?: string; limit?: number; after?: string } = {}): Promise<Page<PolicyRelease>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<ReleaseRow & Row>(this.#pool, {
      text: `select ${RELEASE_COLUMNS} from policy_release r where r.policy = $1 and r.id < $2 order by r.id desc limit $3`,
      values: [given.policy ?? MAIN, cursor(given.after), limit + 1],
    });
    const data = rows.slice(0, limit).map(releaseOf);
    return { data, ...(rows.length > limit ? { next: String(data.at(-1)?.id) } : {}) };
  }
}

function cursor(after: string | undefined): number {
  return after !== undefined && /^[0-9]{1,9}$/.test(after) ? Number(after) : NEWEST;
}

/** Why it cannot be published on top of what is live. */
function faultOf(
  { expected }: Pick<ReleaseToPublish, 'expected'>,
  live: PolicyRelease | undefined,
): Extract<PublishResult, { ok: false }> | undefined {
  if (expected !== undefined && expected !== (live?.revision ?? 0)) {
    return { ok: false, fault: 'stale', live: live?.revision };
  }
  return live !== undefined && awaitsConfirmation(live)
    ? { ok: false, fault: 'awaiting-confirmation', release: live }
    : undefined;
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
    contributors: [...(given.contributors ?? [])],
    reason: given.reason ?? null,
    sourceCommit: given.sourceCommit ?? null,
  };
  const inserted = await manager.insert(entities.policyRevision, row);
  const made = inserted.generatedMaps[0] as { createdAt: Date };
  return { revision: revisionOf({ ...row, ...made }), saved: true };
}

/** Under the policy's lock. */
async function release({ manager, entities }: OrmSession, given: ReleaseToPublish): Promise<PublishResult> {
  const policy = given.policy ?? MAIN;
  const live = await releaseInForce(manager, policy);
  const fault = faultOf(given, live);
  if (fault !== undefined) return fault;
  const { revision, actor, confirmWithinMs } = given;
  const digest = (
    await manager.findOne(entities.policyRevision, { select: { digest: true }, where: { policy, revision } })
  )?.digest;
  if (digest === undefined) return { ok: false, fault: 'no-such-revision' };
  const [inserted] = rowsIn(
    await manager.query(
      `insert into policy_release (policy, revision, previous, actor, reason, confirm_by)
       values ($1, $2, $3, $4, $5, clock_timestamp() + $6::bigint * interval '1 millisecond') returning id`,
      [policy, revision, live?.revision ?? null, actor, given.reason ?? null, confirmWithinMs ?? null],
    ),
  ) as readonly { readonly id: number }[];
  const made = firstRelease(await manager.query(ONE_RELEASE, [policy, inserted?.id]));
  if (made === undefined) throw new Error('a release that was just made is not there');
  const published = releaseOf(made);
  await writePublished(manager, published, digest);
  await manager.query('select pg_notify($1, $2)', [POLICY_CHANNEL, `${policy} ${revision}`]);
  return { ok: true, release: published };
}

function firstRelease(answer: unknown): ReleaseRow | undefined {
  return (rowsIn(answer) as readonly ReleaseRow[])[0];
}

async function writePublished(connection: Querying, release: PolicyRelease, digest: string): Promise<void> {
  const { revision, previous, actor, reason, confirmBy } = release;
  await writeEvents(connection, [
    {
      id: newId(),
      kind: 'policy.published',
      data: {
        revision,
        digest,
        actor,
        ...(previous !== undefined && { previous }),
        ...(confirmBy !== undefined && { confirmBy: confirmBy.toISOString() }),
        ...(reason !== undefined && { reason }),
      },
    },
  ]);
}

async function writeEnded(
  connection: Querying,
  { id, revision }: PolicyRelease,
  end: Pick<ReleaseEnd, 'kind' | 'actor' | 'reason'> & { readonly live: PolicyRelease | undefined },
): Promise<void> {
  await writeEvents(connection, [
    {
      id: newId(),
      kind: 'policy.release-ended',
      data: {
        release: id,
        revision,
        outcome: end.kind,
        actor: end.actor,
        ...(end.live !== undefined && { live: end.live.revision }),
        ...(end.reason !== undefined && { reason: end.reason }),
      },
    },
  ]);
}
