/**
 * Day partitions of mail and audit, by the UTC day of the id. Made ahead; made on demand when a row finds none; never a
 * default partition (it would block attaching). Dropped when retention says so: the audit tells which, in its own chain.
 * The functions in the database do the work, because the gateway's role may not (migration 0010).
 */
import type { Pool } from 'pg';
import { writeEvents } from './admin-events.js';
import { inTransaction, query } from './connections.js';
import { idTimeMs, newId } from './new-id.js';
import { sqlState } from './operational-error.js';

const DAY_MS = 86_400_000;
const DAYS_AHEAD = 14;
/** Tables dropped at once: each holds up writers for a moment. */
const DROPPED_AT_ONCE = 8;
const LOCK_NOT_AVAILABLE = '55P03';

/** Days that are kept. */
export interface Retention {
  readonly auditDays: number;
  /** Of content and envelope; longer while its mail waits. */
  readonly contentDays: number;
}

export class Partitions {
  readonly #pool: Pool;
  readonly #known = new Set<number>();
  #atLeast: { readonly auditDays: number | undefined } | undefined;

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

  /** Only the owner of the tables may; the others obey. */
  async setRetention({ auditDays, contentDays }: Retention): Promise<void> {
    await query(this.#pool, {
      text: `update retention set days = case what when 'audit' then $1::int else $2::int end
             where days <> case what when 'audit' then $1::int else $2::int end`,
      values: [auditDays, contentDays],
    });
  }

  /**
   * Days of audit that the policy in force promises. It can only make retention longer than the owner's setting, never
   * shorter: whoever may publish a policy can not make the audit forget. Holds from the next `dropExpired` on.
   */
  keepAudit(auditDays: number | undefined): void {
    this.#atLeast = { auditDays };
  }

  /** Drops what is older than retention allows; busy tables are left for the next time. Returns what was dropped. */
  async dropExpired(): Promise<readonly string[]> {
    try {
      return await inTransaction(this.#pool, async (client) => {
        if (this.#atLeast !== undefined) {
          await client.query('select keep_audit_days($1)', [this.#atLeast.auditDays ?? null]);
        }
        const found = await client.query<{ partition: string }>('select partition from expired_days() limit $1', [
          DROPPED_AT_ONCE,
        ]);
        if (found.rows.length === 0) return [];
        const dropped = found.rows.map(({ partition }) => partition);
        // First: the chain of administration then always has a block in a day that is kept.
        await writeEvents(client, [{ id: newId(), kind: 'audit.retention', data: { dropped } }]);
        await client.query('select drop_expired_days($1)', [DROPPED_AT_ONCE]);
        return dropped;
      });
    } catch (error) {
      if (sqlState(error) === LOCK_NOT_AVAILABLE) return [];
      throw error;
    }
  }

  async #make(days: readonly number[]): Promise<void> {
    const missing = days.filter((day) => !this.#known.has(day));
    if (missing.length === 0) return;
    const dates = missing.map((day) => new Date(day * DAY_MS).toISOString().slice(0, 10));
    await query(this.#pool, { text: 'select make_days($1::date[])', values: [dates] });
    for (const day of missing) this.#known.add(day);
  }
}
