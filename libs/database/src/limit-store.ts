/**
 * Counts of limits, shared between nodes. Every process writes rows of its own (a count only ever grows) and reads the
 * sums of the others; nothing is locked, and nothing here is on the way of a message.
 */
import type { Pool } from 'pg';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';

/** A commit may become visible this long after its statement's time. */
const OVERLAP = `interval '10 seconds'`;
/** Of changed counts, the highest ones: they matter. */
const MOST_TOLD = 50_000;

export interface LimitSlotCount {
  /** 16 octets. */
  readonly key: Buffer;
  /** Start of the slot of time, milliseconds since the epoch. */
  readonly slotMs: number;
  readonly perMs: number;
  readonly count: number;
}

export interface LimitStore {
  /** Stores what this process counted; returns what all others together counted, where it changed since `since`. */
  exchange(
    own: readonly LimitSlotCount[],
    since: Date | undefined,
  ): Promise<{ readonly told: readonly LimitSlotCount[]; readonly at: Date }>;
}

interface Row {
  [column: string]: unknown;
  key: Buffer;
  slot_ms: string;
  per_ms: string;
  count: string;
}

const STORE = `
  insert into limit_count (key, slot_ms, process, per_ms, count, expires_at)
  select key, slot_ms, $5, per_ms, count, to_timestamp((slot_ms + 2 * per_ms) / 1000.0)
  from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) as own (key, slot_ms, per_ms, count)
  on conflict (key, slot_ms, process) do update
    set count = greatest(limit_count.count, excluded.count), changed_at = now()`;

const HEAR = `
  select key, slot_ms, max(per_ms) as per_ms, sum(count) as count from limit_count
  where process <> $1 and (key, slot_ms) in (
    select key, slot_ms from limit_count
    where process <> $1 and changed_at >= coalesce($2::timestamptz - ${OVERLAP}, '-infinity') and expires_at > now())
  group by key, slot_ms order by sum(count) desc limit ${String(MOST_TOLD)}`;

export class PostgresLimitStore implements LimitStore {
  readonly #pool: Pool;
  /** A process that starts anew hears of what it counted before as of another's. */
  readonly #process = newId();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async exchange(
    own: readonly LimitSlotCount[],
    since: Date | undefined,
  ): Promise<{ readonly told: readonly LimitSlotCount[]; readonly at: Date }> {
    return inTransaction(this.#pool, async (client) => {
      if (own.length > 0) {
        await client.query(STORE, [
          own.map(({ key }) => key),
          own.map(({ slotMs }) => slotMs),
          own.map(({ perMs }) => perMs),
          own.map(({ count }) => count),
          this.#process,
        ]);
      }
      const { rows } = await client.query<Row>(HEAR, [this.#process, since ?? null]);
      const clock = await client.query<{ at: Date }>('select now() as at');
      const told = rows.map((row) => ({
        key: row.key,
        slotMs: Number(row.slot_ms),
        perMs: Number(row.per_ms),
        count: Number(row.count),
      }));
      return { told, at: clock.rows[0]?.at ?? new Date() };
    });
  }

  async removeExpired(): Promise<void> {
    await query(this.#pool, { text: 'delete from limit_count where expires_at <= now()' });
  }
}
