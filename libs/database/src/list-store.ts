/**
 * Managed lists. Every change set makes one new revision of its list and is kept; the members at any revision can
 * be told again, and a gateway that knows revision n asks only for what came after.
 */
import type { Pool, PoolClient } from 'pg';
import type { AuditEvent } from '#audit';
import { writeEvents } from './admin-events.js';
import { textArray } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import type { ListChange, ListEntry, Page } from './types.js';

export const LIST_CHANNEL = 'list_changed';
/** Above this, a change set is one audit event with a count; `list_change` has every value in any case. */
const MOST_EVENTS = 20;
/** More changes than this are slower than loading the list anew. */
const MOST_CHANGES = 50_000;
/** As many as are parsed in some milliseconds. */
const MEMBERS_AT_ONCE = 2_000;
/**
 * The members after one, as one text: what the driver makes of a row costs more than the row, and its remains make the
 * garbage collector stop everything for longer than all the rest. No entry has a line feed in it.
 */
const NEXT_MEMBERS = `select string_agg(value, E'\\n') as members, max(value) as last, count(*)::integer as count from (
    select value from list_entry where list = $1 and value > $2 order by value limit ${MEMBERS_AT_ONCE}) as next`;

/** A list that has just grown looks small to the planner, which would then sort all of it for every piece. */
const IN_ORDER = 'set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off';

export interface ListChangeContext {
  readonly actor: string;
  readonly reason?: string;
  /** Refuse with `stale` unless the list is at this revision. */
  readonly ifRevision?: number;
}

export interface EntriesToAdd extends ListChangeContext {
  readonly note?: string;
  readonly owner?: string;
  readonly expiresAt?: Date;
}

export type ListChangeResult =
  /** `changed`: the values that were not there before (add), or were there (remove). None: the revision stays. */
  | { readonly ok: true; readonly revision: number; readonly changed: readonly string[] }
  | { readonly ok: false; readonly fault: 'stale'; readonly revision: number };

export type ListChanges =
  | { readonly kind: 'changes'; readonly revision: number; readonly changes: readonly ListChange[] }
  /** Too much happened, or the caller is ahead of the list: load() it. */
  | { readonly kind: 'reload'; readonly revision: number };

export class ListStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Values are taken as given: who calls has brought them into the form the policy compares. Atomic. */
  async add(list: string, values: readonly string[], given: EntriesToAdd): Promise<ListChangeResult> {
    return this.#change(list, 'add', values, given);
  }

  async remove(list: string, values: readonly string[], given: ListChangeContext): Promise<ListChangeResult> {
    return this.#change(list, 'remove', values, given);
  }

  /** Names and newest revisions of all lists that ever had an entry. */
  async heads(): Promise<readonly { readonly list: string; readonly revision: number }[]> {
    const { rows } = await query<{ list: string; revision: number }>(this.#pool, {
      text: 'select name as list, revision from managed_list order by name',
    });
    return rows;
  }

  /** All members and the revision they belong to, from one snapshot. A list nobody touched has revision 0. */
  async load(list: string): Promise<{ readonly revision: number; readonly values: readonly string[] }> {
    const values: string[] = [];
    const { revision } = await this.read(list, (some) => {
      for (const value of some) values.push(value);
    });
    return { revision, values };
  }

  /**
   * `load`, a few thousand members at a time: a list of millions is never in memory twice, and whoever takes them may do
   * other work in between. The transaction is open until the last were taken.
   */
  async read(
    list: string,
    take: (values: readonly string[]) => void | Promise<void>,
  ): Promise<{ readonly revision: number }> {
    return inTransaction(this.#pool, async (client) => {
      await client.query('set transaction isolation level repeatable read, read only');
      const heads = await client.query<{ revision: number }>('select revision from managed_list where name = $1', [
        list,
      ]);
      const revision = heads.rows[0]?.revision ?? 0;
      if (revision === 0) return { revision };
      await client.query(IN_ORDER);
      for (let after = ''; ;) {
        const { rows } = await client.query<NextMembers>({
          name: 'next-members',
          text: NEXT_MEMBERS,
          values: [list, after],
        });
        const { members, last, count } = rows[0] ?? NO_MEMBERS;
        if (members === null || last === null) return { revision };
        const values = members.split('\n');
        if (values.length !== count) throw new Error(`an entry of list \`${list}\` has a line feed in it`);
        await take(values);
        after = last;
      }
    });
  }

  /** Changes after `revision`, oldest first. */
  async changesSince(list: string, revision: number): Promise<ListChanges> {
    const { rows } = await query<{ head: number; revision: number | null; operation: 'add' | 'remove'; value: string }>(
      this.#pool,
      {
        text: `select m.revision as head, c.revision, c.operation, c.value from managed_list m
             left join list_change c on c.list = m.name and c.revision > $2
             where m.name = $1 order by c.revision, c.value limit $3`,
        values: [list, revision, MOST_CHANGES + 1],
      },
    );
    const head = rows[0]?.head ?? 0;
    if (rows.length > MOST_CHANGES || revision > head) return { kind: 'reload', revision: head };
    const changes = rows.flatMap((row) =>
      row.revision === null ? [] : [{ revision: row.revision, operation: row.operation, value: row.value }],
    );
    return { kind: 'changes', revision: head, changes };
  }

  /** The members as they were at `revision`: for judging a recorded transaction again. */
  async valuesAt(list: string, revision: number): Promise<readonly string[]> {
    const { rows } = await query<{ value: string }>(this.#pool, {
      text: `select value from (
               select distinct on (value) value, operation from list_change
               where list = $1 and revision <= $2 order by value, revision desc) newest
             where operation = 'add' order by value`,
      values: [list, revision],
    });
    return rows.map((row) => row.value);
  }

  /** Entries by value; `after` is the `next` of the page before. `prefix` narrows. */
  async entries(
    list: string,
    given: { limit?: number; after?: string; prefix?: string } = {},
  ): Promise<Page<ListEntry>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<EntryRow>(this.#pool, {
      text: `select value, note, owner, expires_at, added_at, added_by, revision from list_entry
             where list = $1 and value collate "C" > $2 and starts_with(value, $3) order by value collate "C" limit $4`,
      values: [list, given.after ?? '', given.prefix ?? '', limit + 1],
    });
    const data = rows.slice(0, limit).map(entryOf);
    return { data, ...(rows.length > limit ? { next: data.at(-1)?.value ?? '' } : {}) };
  }

  async entry(list: string, value: string): Promise<ListEntry | undefined> {
    const { rows } = await query<EntryRow>(this.#pool, {
      text: 'select value, note, owner, expires_at, added_at, added_by, revision from list_entry where list = $1 and value = $2',
      values: [list, value],
    });
    return rows[0] === undefined ? undefined : entryOf(rows[0]);
  }

  /** Which of the values the list has, and its revision then. */
  async among(
    list: string,
    values: readonly string[],
  ): Promise<{ readonly entries: readonly ListEntry[]; readonly revision: number }> {
    const { rows } = await query<Partial<EntryRow> & { head: number }>(this.#pool, {
      text: `select m.revision as head, e.value, e.note, e.owner, e.expires_at, e.added_at, e.added_by, e.revision
             from managed_list m left join list_entry e on e.list = m.name and e.value = any($2::text[])
             where m.name = $1`,
      values: [list, textArray(values)],
    });
    const entries = rows.flatMap((row) => (typeof row.value === 'string' ? [entryOf(row as EntryRow)] : []));
    return { entries, revision: rows[0]?.head ?? 0 };
  }

  /** Removes entries whose time is over, as a change like any other. Every live gateway calls it each minute. */
  async removeExpired(): Promise<void> {
    const { rows } = await query<{ list: string; values: string[] }>(this.#pool, {
      text: 'select list, array_agg(value) as values from list_entry where expires_at <= now() group by list',
    });
    for (const { list, values } of rows) await this.remove(list, values, { actor: 'system', reason: 'expired' });
  }

  async #change(
    list: string,
    operation: 'add' | 'remove',
    values: readonly string[],
    given: EntriesToAdd,
  ): Promise<ListChangeResult> {
    return inTransaction(this.#pool, async (client) => {
      await client.query('insert into managed_list (name) values ($1) on conflict do nothing', [list]);
      const heads = await client.query<{ revision: number }>(
        'select revision from managed_list where name = $1 for update',
        [list],
      );
      const head = heads.rows[0]?.revision ?? 0;
      if (given.ifRevision !== undefined && given.ifRevision !== head)
        return { ok: false, fault: 'stale', revision: head };
      const revision = head + 1;
      const changed =
        operation === 'add'
          ? await insert(client, { list, values, revision }, given)
          : await erase(client, list, values);
      if (changed.length === 0) return { ok: true, revision: head, changed };
      await client.query('update managed_list set revision = $2 where name = $1', [list, revision]);
      await client.query(
        `insert into list_change (list, revision, value, operation, note, actor, reason)
         select $1, $2, v, $4, $5, $6, $7 from unnest($3::text[]) as v`,
        [list, revision, textArray(changed), operation, given.note ?? null, given.actor, given.reason ?? null],
      );
      await writeEvents(client, changeEvents({ list, revision, operation, changed }, given));
      await client.query('select pg_notify($1, $2)', [LIST_CHANNEL, `${list} ${revision}`]);
      return { ok: true, revision, changed };
    });
  }
}

interface NextMembers {
  members: string | null;
  last: string | null;
  count: number;
}

const NO_MEMBERS: NextMembers = { members: null, last: null, count: 0 };

interface EntryRow {
  value: string;
  note: string | null;
  owner: string | null;
  expires_at: Date | null;
  added_at: Date;
  added_by: string;
  revision: number;
}

/** Values already there keep their place; their note, owner and expiry become the new ones. Returns the new values. */
async function insert(
  client: PoolClient,
  what: { list: string; values: readonly string[]; revision: number },
  given: EntriesToAdd,
): Promise<string[]> {
  const { rows } = await client.query<{ value: string; inserted: boolean }>(
    `insert into list_entry (list, value, note, owner, expires_at, added_by, revision)
     select distinct on (v) $1, v, $3, $4, $5::timestamptz, $6, $7::integer from unnest($2::text[]) as v
     on conflict (list, value) do update set note = excluded.note, owner = excluded.owner, expires_at = excluded.expires_at
     returning value, (xmax = 0) as inserted`,
    [
      what.list,
      textArray(what.values),
      given.note ?? null,
      given.owner ?? null,
      given.expiresAt ?? null,
      given.actor,
      what.revision,
    ],
  );
  return rows.flatMap((row) => (row.inserted ? [row.value] : []));
}

async function erase(client: PoolClient, list: string, values: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ value: string }>(
    'delete from list_entry where list = $1 and value = any($2::text[]) returning value',
    [list, textArray(values)],
  );
  return rows.map((row) => row.value);
}

function changeEvents(
  what: { list: string; revision: number; operation: 'add' | 'remove'; changed: readonly string[] },
  given: ListChangeContext,
): AuditEvent[] {
  const base = {
    list: what.list,
    revision: what.revision,
    operation: what.operation,
    actor: given.actor,
    ...(given.reason === undefined ? {} : { reason: given.reason }),
  };
  if (what.changed.length > MOST_EVENTS) {
    return [{ id: newId(), kind: 'list.changed', data: { ...base, value: '', count: what.changed.length } }];
  }
  return what.changed.map((value) => ({ id: newId(), kind: 'list.changed', data: { ...base, value } }));
}

function entryOf(row: EntryRow): ListEntry {
  return {
    value: row.value,
    addedAt: row.added_at,
    addedBy: row.added_by,
    revision: row.revision,
    ...(row.note === null ? {} : { note: row.note }),
    ...(row.owner === null ? {} : { owner: row.owner }),
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
  };
}
