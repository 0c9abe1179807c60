/**
 * Day partitions of `message` and `audit_event`, by the UTC day of the id. Made ahead; made on demand when a row
 * finds none; never a default partition (it would block attaching). Attaching an empty table does not stop writers.
 */
import type { ClientBase, Pool } from 'pg';
import { inTransaction } from './connections.js';
import { idFloor, idTimeMs } from './new-id.js';

const DAY_MS = 86_400_000;
const DAYS_AHEAD = 14;
/** Advisory lock key: one maker at a time, over all nodes. */
const LOCK_KEY = 0x706f7374_01;
const TABLES = ['message', 'audit_event', 'audit_block'] as const;

export class Partitions {
  readonly #pool: Pool;
  readonly #known = new Set<number>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Makes today's and the next 14 days' partitions; cheap when they exist. */
  async makeAhead(nowMs = Date.now()): Promise<void> {
    const today = Math.floor(nowMs / DAY_MS);
    // Yesterday too: ids made just before midnight may be committed just after the first start.
    await this.#make(Array.from({ length: DAYS_AHEAD + 2 }, (_, index) => today - 1 + index));
  }

  /** Makes the partitions these ids belong to. Called when an insert found none. */
  async makeFor(ids: readonly string[]): Promise<void> {
    const days = new Set(ids.map((id) => Math.floor(idTimeMs(id) / DAY_MS)));
    for (const day of days) this.#known.delete(day);
    await this.#make([...days]);
  }

  async #make(days: readonly number[]): Promise<void> {
    const missing = days.filter((day) => !this.#known.has(day));
    if (missing.length === 0) return;
    await inTransaction(this.#pool, async (client) => {
      await client.query('select pg_advisory_xact_lock($1)', [LOCK_KEY]);
      for (const table of TABLES) await makeMissing(client, table, missing);
    });
    for (const day of missing) this.#known.add(day);
  }
}

function partitionName(table: string, day: number): string {
  return `${table}_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

async function makeMissing(client: ClientBase, table: (typeof TABLES)[number], days: readonly number[]): Promise<void> {
  const names = days.map((day) => partitionName(table, day));
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = $1::regclass and c.relname = any($2)`,
    [table, names],
  );
  const present = new Set(rows.map((row) => row.name));
  for (const day of days) if (!present.has(partitionName(table, day))) await makeOne(client, table, day);
}

async function makeOne(client: ClientBase, table: (typeof TABLES)[number], day: number): Promise<void> {
  const name = partitionName(table, day);
  await client.query(`create table ${name} (like ${table} including defaults including constraints including storage)`);
  if (table !== 'message') {
    // Row triggers come with the parent; this one guards the partition itself.
    await client.query(
      `create trigger ${name}_no_truncate before truncate on ${name} for each statement execute function refuse_change()`,
    );
  }
  await client.query(
    `alter table ${table} attach partition ${name} for values from ('${idFloor(day * DAY_MS)}') to ('${idFloor((day + 1) * DAY_MS)}')`,
  );
}
