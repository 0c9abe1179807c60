/** What the stores of policies share: rows, locks, and the one rule of what is in force. */
import { rowsIn, type Querying } from './admin-events.js';
import type { PolicyRelease, PolicyRevision } from './types.js';

export const MAIN = 'main';
export const POLICY_CHANNEL = 'policy_published';

/** Of releases `r`: neither aborted nor lapsed. The newest such release of a policy is live; the time is the server's. */
export const IN_FORCE = `coalesce(
  (select e.kind = 'confirmed' from policy_release_end e where e.release = r.id),
  r.confirm_by is null or r.confirm_by > clock_timestamp())`;

export type Stored<T> = { readonly [K in keyof Required<T>]: undefined extends T[K] ? NonNullable<T[K]> | null : T[K] };

export const REVISION_COLUMNS =
  'policy, revision, source, digest, author, contributors, reason, source_commit as "sourceCommit", created_at as "createdAt"';

/** Of `policy_release r`. */
export const RELEASE_COLUMNS = `r.id, r.policy, r.revision, r.previous, r.actor, r.reason, r.released_at as "releasedAt",
  r.confirm_by as "confirmBy", (select json_build_object('kind', e.kind, 'actor', e.actor, 'reason', e.reason,
    'endedAt', e.ended_at) from policy_release_end e where e.release = r.id) as "end"`;

export type RevisionRow = Stored<PolicyRevision>;
export interface ReleaseRow extends Omit<Stored<PolicyRelease>, 'end'> {
  readonly end: {
    kind: 'confirmed' | 'aborted' | 'lapsed';
    actor: string;
    reason: string | null;
    endedAt: string;
  } | null;
}

/** Serializes writers of one policy; released at the end of the transaction. */
export async function lockPolicy(connection: Querying, policy: string): Promise<void> {
  await connection.query(`select pg_advisory_xact_lock(hashtextextended('postern.policy.' || $1, 0))`, [policy]);
}

export async function releaseInForce(connection: Querying, policy: string): Promise<PolicyRelease | undefined> {
  const found = await connection.query(LIVE_RELEASE, [policy]);
  const [row] = rowsIn(found) as readonly ReleaseRow[];
  return row === undefined ? undefined : releaseOf(row);
}

export const LIVE_RELEASE = `
  select ${RELEASE_COLUMNS} from policy_release r where r.policy = $1 and ${IN_FORCE} order by r.id desc limit 1`;

/** Rows and entities say null where our shapes leave a key out. */
export function withoutNulls<T extends object>(row: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}

export function revisionOf(row: RevisionRow): PolicyRevision {
  return withoutNulls(row);
}

export function releaseOf({ end, ...row }: ReleaseRow): PolicyRelease {
  if (end === null) return withoutNulls(row);
  return { ...withoutNulls(row), end: { ...withoutNulls(end), endedAt: new Date(end.endedAt) } };
}

/** Waits for a person: what is put on top of it would hide that it can lapse. */
export function awaitsConfirmation(release: PolicyRelease | undefined): boolean {
  return release?.confirmBy !== undefined && release.end === undefined;
}
