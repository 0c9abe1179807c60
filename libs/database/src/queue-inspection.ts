/** Figures of the queue, and which messages are in it. */
import type { Pool } from 'pg';
import { uuidArray } from './binary-array.js';
import { query } from './connections.js';
import type { QueueStatus } from './types.js';

interface RouteRow {
  route: string;
  recipients: number;
  leased: number;
  due: number;
  held: number;
  broken: number;
  suspended: number;
  oldest: Date;
}

export class QueueInspection {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Walks the whole queue table: for people and for a metric now and then. */
  async status(): Promise<QueueStatus> {
    const { rows } = await query<RouteRow & Record<string, unknown>>(this.#pool, {
      text: `select route, count(*)::int as recipients, count(owner)::int as leased, min(accepted_at) as oldest,
               count(*) filter (where owner is null and state = 'queued' and next_attempt_at <= now())::int as due,
               count(*) filter (where state = 'held')::int as held, count(*) filter (where state = 'broken')::int as broken,
               count(*) filter (where state = 'suspended')::int as suspended
             from queue group by route order by route`,
    });
    const sum = (of: (row: RouteRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
    const oldest = rows.reduce<Date | undefined>(
      (least, row) => (least === undefined || row.oldest < least ? row.oldest : least),
      undefined,
    );
    return {
      recipients: sum((row) => row.recipients),
      leased: sum((row) => row.leased),
      due: sum((row) => row.due),
      held: sum((row) => row.held),
      broken: sum((row) => row.broken),
      suspended: sum((row) => row.suspended),
      routes: rows.map(({ route, recipients, due }) => ({ route, recipients, due })),
      ...(oldest === undefined ? {} : { oldestAcceptedAt: oldest }),
    };
  }

  /** Of these messages, those with a recipient still in the queue. */
  async stillQueued(messageIds: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await query<{ message_id: string }>(this.#pool, {
      text: 'select distinct message_id from queue where message_id = any($1::uuid[])',
      values: [uuidArray(messageIds)],
    });
    return new Set(rows.map((row) => row.message_id));
  }

  /** Of these ids, those of messages that were committed and are still kept. */
  async committed(messageIds: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await query<{ id: string }>(this.#pool, {
      text: 'select id from message where id = any($1::uuid[])',
      values: [uuidArray(messageIds)],
    });
    return new Set(rows.map((row) => row.id));
  }
}
