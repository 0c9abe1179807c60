/** The queue as operators see it: figures, entries, and "try now". Never blocks the mail path. */
import type { Pool } from 'pg';
import { uuidArray } from './binary-array.js';
import { query } from './connections.js';
import type { Page, QueueEntry, QueueStatus } from './types.js';

export interface QueueQuery {
  readonly messageId?: string;
  readonly route?: string;
  readonly state?: QueueEntry['state'];
  readonly limit?: number;
  readonly after?: string;
}

interface EntryRow {
  message_id: string;
  id: string;
  address: string;
  route: string;
  state: QueueEntry['state'];
  owner: number | null;
  attempts: number;
  takeovers: number;
  next_attempt_at: Date;
  accepted_at: Date;
  last_reply: string | null;
}

interface RouteRow {
  route: string;
  recipients: number;
  leased: number;
  due: number;
  held: number;
  broken: number;
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
               count(*) filter (where state = 'held')::int as held, count(*) filter (where state = 'broken')::int as broken
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
      routes: rows.map(({ route, recipients, due }) => ({ route, recipients, due })),
      ...(oldest === undefined ? {} : { oldestAcceptedAt: oldest }),
    };
  }

  /** Oldest first. `after` is the `next` of the page before. */
  async entries(given: QueueQuery = {}): Promise<Page<QueueEntry>> {
    const limit = Math.min(given.limit ?? 50, 500);
    const [afterMessage, afterId] = given.after?.split(' ') ?? [];
    const { rows } = await query<EntryRow & Record<string, unknown>>(this.#pool, {
      text: `select * from queue where (message_id, id) > ($1::uuid, $2::uuid)
               and ($3::uuid is null or message_id = $3) and ($4::text is null or route = $4) and ($5::text is null or state = $5)
             order by message_id, id limit $6`,
      values: [
        afterMessage ?? NONE,
        afterId ?? NONE,
        given.messageId ?? null,
        given.route ?? null,
        given.state ?? null,
        limit + 1,
      ],
    });
    const data = rows.slice(0, limit).map(entryOf);
    const last = data.at(-1);
    return { data, ...(rows.length > limit && last !== undefined ? { next: `${last.messageId} ${last.id}` } : {}) };
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

  /** Makes waiting recipients of these messages due now; returns how many. Leased and held ones stay as they are. */
  async retryNow(messageIds: readonly string[]): Promise<number> {
    const { rowCount } = await query(this.#pool, {
      text: `update queue set next_attempt_at = now() where message_id = any($1::uuid[]) and owner is null and state = 'queued'`,
      values: [uuidArray(messageIds)],
    });
    return rowCount ?? 0;
  }
}

const NONE = '00000000-0000-0000-0000-000000000000';

function entryOf(row: EntryRow): QueueEntry {
  return {
    id: row.id,
    messageId: row.message_id,
    address: row.address,
    route: row.route,
    state: row.state,
    attempts: row.attempts,
    takeovers: row.takeovers,
    nextAttemptAt: row.next_attempt_at,
    acceptedAt: row.accepted_at,
    ...(row.owner === null ? {} : { owner: row.owner }),
    ...(row.last_reply === null ? {} : { lastReply: row.last_reply }),
  };
}
