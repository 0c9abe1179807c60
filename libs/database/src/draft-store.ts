/**
 * Drafts of policies, and who approved which document. A draft is opaque text, like a revision; committing it makes one
 * and ends the draft. Approvals belong to the document's digest: they follow it from the draft to its revision, and no
 * other document has them.
 */
import type { Pool, PoolClient } from 'pg';
import type { AuditEvent } from '#audit';
import { writeEvents } from './admin-events.js';
import { textArray } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import {
  lockPolicy,
  MAIN,
  REVISION_COLUMNS,
  revisionOf,
  withoutNulls,
  type RevisionRow,
  type Stored,
} from './policy-rows.js';
import type { Page, PolicyApproval, PolicyDraft, PolicyRevision } from './types.js';

const DRAFT_COLUMNS = `id, policy, base, title, source, digest, version, editors, created_by as "createdBy",
  created_at as "createdAt", updated_by as "updatedBy", updated_at as "updatedAt"`;
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export interface DraftChangeContext {
  readonly actor: string;
  readonly reason?: string;
  /** Refuse with `stale` unless the draft is at this version. */
  readonly ifVersion?: number;
}

export interface DraftToCreate extends Omit<DraftChangeContext, 'ifVersion'> {
  readonly policy?: string;
  readonly title?: string;
  readonly source: string;
  readonly digest: string;
}

export interface DraftToCommit extends DraftChangeContext {
  readonly sourceCommit?: string;
}

export type DraftResult =
  | { readonly ok: true; readonly draft: PolicyDraft }
  | { readonly ok: false; readonly fault: 'no-such-draft' | 'stale' };

export type CommitResult =
  | { readonly ok: true; readonly revision: PolicyRevision }
  | { readonly ok: false; readonly fault: 'no-such-draft' | 'stale' }
  /** Revision `newest` was made since the draft was begun. */
  | { readonly ok: false; readonly fault: 'base-moved'; readonly newest: number }
  /** The draft says what the newest revision says. */
  | { readonly ok: false; readonly fault: 'no-change'; readonly newest: number };

export class DraftStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Its base is the newest revision, whatever revision its text is taken from. */
  async create(given: DraftToCreate): Promise<PolicyDraft> {
    const policy = given.policy ?? MAIN;
    return inTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<Stored<PolicyDraft>>(
        `insert into policy_draft (id, policy, base, title, source, digest, editors, created_by, updated_by)
         select $1, $2, coalesce(max(revision), 0), $3, $4, $5, array[$6::text], $6, $6 from policy_revision where policy = $2
         returning ${DRAFT_COLUMNS}`,
        [newId(), policy, given.title ?? null, given.source, given.digest, given.actor],
      );
      return told(client, 'create', draftOf(rows[0]), given);
    });
  }

  async get(id: string): Promise<PolicyDraft | undefined> {
    const { rows } = await query<Stored<PolicyDraft> & Record<string, unknown>>(this.#pool, {
      text: `select ${DRAFT_COLUMNS} from policy_draft where id = $1`,
      values: [id],
    });
    return rows[0] === undefined ? undefined : draftOf(rows[0]);
  }

  /** Newest first, without their text; `after` is the `next` of the page before. */
  async list(
    given: { policy?: string; limit?: number; after?: string } = {},
  ): Promise<Page<Omit<PolicyDraft, 'source'>>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<Omit<Stored<PolicyDraft>, 'source'> & Record<string, unknown>>(this.#pool, {
      text: `select ${DRAFT_COLUMNS.replace(' source,', '')} from policy_draft
             where policy = $1 and id < $2 order by id desc limit $3`,
      values: [given.policy ?? MAIN, given.after ?? LAST_ID, limit + 1],
    });
    const data = rows.slice(0, limit).map(withoutNulls);
    return { data, ...(rows.length > limit ? { next: data.at(-1)?.id ?? '' } : {}) };
  }

  /** `base`: the newest revision that its text was brought up to. */
  async change(
    id: string,
    changes: { readonly source: string; readonly digest: string; readonly base?: number },
    given: DraftChangeContext,
  ): Promise<DraftResult> {
    return inTransaction(this.#pool, async (client) => {
      const found = await lockDraft(client, id, given.ifVersion);
      if (!found.ok) return found;
      const editors = [...new Set([...found.draft.editors, given.actor])];
      const { rows } = await client.query<Stored<PolicyDraft>>(
        `update policy_draft set source = $2, digest = $3, base = $4, version = version + 1, editors = $5::text[],
           updated_by = $6, updated_at = now() where id = $1 returning ${DRAFT_COLUMNS}`,
        [id, changes.source, changes.digest, changes.base ?? found.draft.base, textArray(editors), given.actor],
      );
      return { ok: true, draft: await told(client, 'change', draftOf(rows[0]), given) };
    });
  }

  async remove(id: string, given: DraftChangeContext): Promise<DraftResult> {
    return inTransaction(this.#pool, async (client) => {
      const found = await lockDraft(client, id, given.ifVersion);
      if (!found.ok) return found;
      await client.query('delete from policy_draft where id = $1', [id]);
      return { ok: true, draft: await told(client, 'remove', found.draft, given) };
    });
  }

  /** The draft becomes the next revision, and is a draft no longer. Refused when another revision came first. */
  async commit(id: string, given: DraftToCommit): Promise<CommitResult> {
    return inTransaction(this.#pool, async (client) => {
      const found = await lockDraft(client, id, given.ifVersion);
      if (!found.ok) return found;
      const { draft } = found;
      await lockPolicy(client, draft.policy);
      const newest = await client.query<{ revision: number; digest: string }>(
        'select revision, digest from policy_revision where policy = $1 order by revision desc limit 1',
        [draft.policy],
      );
      const { revision = 0, digest = '' } = newest.rows[0] ?? {};
      if (revision !== draft.base) return { ok: false, fault: 'base-moved', newest: revision };
      if (digest === draft.digest) return { ok: false, fault: 'no-change', newest: revision };
      const { rows } = await client.query<RevisionRow>(
        `insert into policy_revision (policy, revision, source, digest, author, contributors, reason, source_commit)
         values ($1, $2, $3, $4, $5, $6::text[], $7, $8) returning ${REVISION_COLUMNS}`,
        [
          draft.policy,
          revision + 1,
          draft.source,
          draft.digest,
          draft.createdBy,
          textArray(draft.editors),
          given.reason ?? null,
          given.sourceCommit ?? null,
        ],
      );
      await client.query('delete from policy_draft where id = $1', [id]);
      const [row] = rows;
      if (row === undefined) throw new Error('a revision that was just made is not there');
      await writeEvents(client, [committed(draft, row.revision, given)]);
      return { ok: true, revision: revisionOf(row) };
    });
  }

  /** Again by the same person changes nothing. */
  async approve(given: { policy?: string; digest: string; actor: string; reason?: string }): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(
        `insert into policy_approval (policy, digest, approver, reason) values ($1, $2, $3, $4) on conflict do nothing`,
        [given.policy ?? MAIN, given.digest, given.actor, given.reason ?? null],
      );
      if (rowCount === 0) return;
      const { digest, actor, reason } = given;
      const data = { digest, actor, ...(reason !== undefined && { reason }) };
      await writeEvents(client, [{ id: newId(), kind: 'policy.approved', data }]);
    });
  }

  /** Of the document with this digest, oldest first. */
  async approvals(digest: string, policy = MAIN): Promise<readonly PolicyApproval[]> {
    const { rows } = await query<Stored<PolicyApproval> & Record<string, unknown>>(this.#pool, {
      text: `select digest, approver, reason, approved_at as "approvedAt" from policy_approval
             where policy = $1 and digest = $2 order by approved_at, approver`,
      values: [policy, digest],
    });
    return rows.map(withoutNulls);
  }
}

async function lockDraft(client: PoolClient, id: string, ifVersion: number | undefined): Promise<DraftResult> {
  const { rows } = await client.query<Stored<PolicyDraft>>(
    `select ${DRAFT_COLUMNS} from policy_draft where id = $1 for update`,
    [id],
  );
  if (rows[0] === undefined) return { ok: false, fault: 'no-such-draft' };
  const draft = draftOf(rows[0]);
  if (ifVersion !== undefined && ifVersion !== draft.version) return { ok: false, fault: 'stale' };
  return { ok: true, draft };
}

async function told(
  client: PoolClient,
  operation: 'create' | 'change' | 'remove',
  draft: PolicyDraft,
  { actor, reason }: DraftChangeContext,
): Promise<PolicyDraft> {
  const { id, base, digest } = draft;
  const data = { draft: id, operation, base, digest, actor, ...(reason !== undefined && { reason }) };
  await writeEvents(client, [{ id: newId(), kind: 'policy.drafted', data }]);
  return draft;
}

function committed(draft: PolicyDraft, revision: number, given: DraftToCommit): AuditEvent {
  return {
    id: newId(),
    kind: 'policy.committed',
    data: {
      revision,
      digest: draft.digest,
      draft: draft.id,
      author: draft.createdBy,
      actor: given.actor,
      ...(given.reason !== undefined && { reason: given.reason }),
      ...(given.sourceCommit !== undefined && { sourceCommit: given.sourceCommit }),
    },
  };
}

function draftOf(row: Stored<PolicyDraft> | undefined): PolicyDraft {
  if (row === undefined) throw new Error('a draft that was just written is not there');
  return withoutNulls(row);
}
