/**
 * Whole lists at once. Rows are collected beside the list, piece by piece as they arrive; then one transaction brings all
 * of them into it. That is one or two revisions of the list (what goes, what comes) that become visible together.
 */
import type { Pool, PoolClient } from 'pg';
import type { AuditEvent } from '#audit';
import { writeEvents } from './admin-events.js';
import { textArray } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { LIST_CHANNEL } from './list-store.js';
import { newId } from './new-id.js';

/** Lines that one statement brings in: about a second. */
const SLICE = 50_000;

export interface ImportedEntry {
  /** In canonical form. */
  readonly value: string;
  readonly note?: string;
  readonly owner?: string;
  readonly expiresAt?: Date;
}

export interface ListImport {
  /** Under which the rows were collected. */
  readonly id: string;
  readonly list: string;
  readonly rows: number;
  /** `replace`: what was not imported goes. */
  readonly mode: 'merge' | 'replace';
  readonly actor: string;
  readonly reason?: string;
  readonly ifRevision?: number;
  /** Rolled back when it is aborted; its reason is thrown. */
  readonly signal: AbortSignal;
  progress(done: number): void;
}

export type ImportResult =
  | {
      readonly ok: true;
      readonly revision: number;
      readonly added: number;
      /** Were there, with another note, owner or expiry. */
      readonly changed: number;
      readonly removed: number;
    }
  | { readonly ok: false; readonly fault: 'stale'; readonly revision: number };

export class ListImportStore {
  readonly #pool: Pool;
  readonly #bulk: Pool;

  constructor(pool: Pool, bulk: Pool) {
    this.#pool = pool;
    this.#bulk = bulk;
  }

  /** `from`: number of the first line. A value that comes twice counts as the last line has it. */
  async collect(id: string, from: number, entries: readonly ImportedEntry[]): Promise<void> {
    await query(this.#pool, {
      name: 'collect-import',
      text: `insert into list_import (operation, line, value, note, owner, expires_at)
             select $1, $2::integer + row_number() over () - 1, v, nullif(n, ''), nullif(o, ''), nullif(e, '')::timestamptz
             from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as t (v, n, o, e)`,
      values: [
        id,
        from,
        textArray(entries.map(({ value }) => value)),
        textArray(entries.map(({ note }) => note ?? '')),
        textArray(entries.map(({ owner }) => owner ?? '')),
        textArray(entries.map(({ expiresAt }) => expiresAt?.toISOString() ?? '')),
      ],
    });
  }

  /** Forgets what was collected, and what an import that was cut off left behind. */
  async forget(id: string): Promise<void> {
    await query(this.#pool, {
      text: `delete from list_import where operation = $1 or operation < uuid7_floor(now() - interval '1 day')`,
      values: [id],
    });
  }

  async apply(given: ListImport): Promise<ImportResult> {
    return inTransaction(this.#bulk, async (client): Promise<ImportResult> => {
      await client.query('analyze list_import');
      const head = await lockHead(client, given.list);
      if (given.ifRevision !== undefined && given.ifRevision !== head) {
        return { ok: false, fault: 'stale', revision: head };
      }
      const removed = given.mode === 'replace' ? await removeOthers(client, given, head + 1) : 0;
      const afterRemoval = removed > 0 ? head + 1 : head;
      const { added, changed } = await bringIn(client, given, afterRemoval + 1);
      const revision = added > 0 ? afterRemoval + 1 : afterRemoval;
      if (revision > head) {
        await client.query('update managed_list set revision = $2 where name = $1', [given.list, revision]);
        await writeEvents(client, [
          ...told(given, 'remove', head + 1, removed),
          ...told(given, 'add', afterRemoval + 1, added),
        ]);
        await client.query('select pg_notify($1, $2)', [LIST_CHANNEL, `${given.list} ${revision}`]);
      }
      given.signal.throwIfAborted();
      return { ok: true, revision, added, changed, removed };
    });
  }
}

async function lockHead(client: PoolClient, list: string): Promise<number> {
  await client.query('insert into managed_list (name) values ($1) on conflict do nothing', [list]);
  const { rows } = await client.query<{ revision: number }>(
    'select revision from managed_list where name = $1 for update',
    [list],
  );
  return rows[0]?.revision ?? 0;
}

async function removeOthers(client: PoolClient, given: ListImport, revision: number): Promise<number> {
  const { rowCount } = await client.query(
    `with gone as (
       delete from list_entry e where e.list = $1
         and not exists (select from list_import i where i.operation = $2 and i.value = e.value) returning value)
     insert into list_change (list, revision, value, operation, actor, reason)
     select $1, $3::integer, value, 'remove', $4, $5 from gone`,
    [given.list, given.id, revision, given.actor, given.reason ?? null],
  );
  return rowCount ?? 0;
}

async function bringIn(
  client: PoolClient,
  given: ListImport,
  revision: number,
): Promise<{ added: number; changed: number }> {
  let [added, changed] = [0, 0];
  for (let from = 1; from <= given.rows; from += SLICE) {
    given.signal.throwIfAborted();
    const { rows } = await client.query<{ added: number; changed: number }>(
      `with put as (
         insert into list_entry as e (list, value, note, owner, expires_at, added_by, revision)
         select distinct on (value) $1, value, note, owner, expires_at, $4, $3::integer from list_import
         where operation = $2 and line >= $6 and line < $7 order by value, line desc
         on conflict (list, value) do update set note = excluded.note, owner = excluded.owner, expires_at = excluded.expires_at
           where (e.note, e.owner, e.expires_at) is distinct from (excluded.note, excluded.owner, excluded.expires_at)
         returning value, note, (xmax = 0) as inserted),
       noted as (
         insert into list_change (list, revision, value, operation, note, actor, reason)
         select $1, $3::integer, value, 'add', note, $4, $5 from put where inserted)
       select count(*) filter (where inserted)::integer as added, count(*) filter (where not inserted)::integer as changed from put`,
      [given.list, given.id, revision, given.actor, given.reason ?? null, from, from + SLICE],
    );
    added += rows[0]?.added ?? 0;
    changed += rows[0]?.changed ?? 0;
    given.progress(Math.min(from + SLICE - 1, given.rows));
  }
  return { added, changed };
}

function told(given: ListImport, operation: 'add' | 'remove', revision: number, count: number): AuditEvent[] {
  if (count === 0) return [];
  const { list, actor, reason } = given;
  const data = { list, revision, operation, value: '', count, actor, ...(reason !== undefined && { reason }) };
  return [{ id: newId(), kind: 'list.changed', data }];
}
