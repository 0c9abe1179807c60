/**
 * Operators' changes of the queue: each in one transaction with its events.
 *
 * INVARIANT (leases first): only rows that nobody leases are changed, under a row lock; rows that somebody works on, or
 * is just claiming, are `busy` and stay as they are. So a change never meets a delivery, and never makes two of one.
 */
import type { Pool, PoolClient } from 'pg';
import type { AuditEvent, RecordedPlace } from '#audit';
import { writeEvents } from './admin-events.js';
import { textArray, timestamptzArray, uuidArray, int4Array } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import {
  CHANGE_EVENTS,
  changedRow,
  placeOf,
  type ChangeableRow,
  type ChangeSituation,
  type QueueChange,
} from './queue-change.js';
import { entryOf, filterConditions, ROW_COLUMNS, type QueueRow } from './queue-rows.js';
import type { Page, QueueEntry, QueueFilter } from './types.js';

/** Tells gateways to look into the queue. */
export const QUEUE_CHANNEL = 'queue_changed';
/** Asks gateways for what they hold in memory of some messages and have not begun. */
export const RECALL_CHANNEL = 'queue_recall';
/** A notification carries at most 8000 octets. */
const RECALLED_AT_ONCE = 200;

export interface RecipientChange {
  readonly messageId: string;
  readonly id: string;
  readonly change: QueueChange;
}

export interface QueueChangeContext {
  readonly actor: string;
  readonly reason?: string;
  /** Public id of the operation that changes many. */
  readonly operation?: string;
  /** All is found out, nothing is kept. */
  readonly dryRun?: boolean;
  /** The message must be in this state (`tag`). */
  readonly ifTag?: string;
}

export interface RecipientChanged {
  readonly id: string;
  readonly messageId: string;
  readonly outcome: 'changed' | 'unchanged' | 'refused' | 'busy' | 'gone';
  readonly before?: RecordedPlace;
  /** Absent: it is not in the queue any more. */
  readonly after?: RecordedPlace;
  /** Why it was refused. */
  readonly why?: string;
}

export type QueueChangeResult =
  | { readonly ok: true; readonly recipients: readonly RecipientChanged[] }
  | { readonly ok: false; readonly fault: 'stale' };

interface Changed {
  readonly before: QueueRow;
  readonly row: ChangeableRow | undefined;
  readonly kind: QueueChange['kind'];
}

const NONE = '00000000-0000-0000-0000-000000000000';
const TAG = `md5(string_agg(q.id::text || q.xmin::text, ',' order by q.id))`;

export class QueueAdministration {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** In the order of acceptance. `after` is the `next` of the page before. */
  async search(filter: QueueFilter, page: { limit?: number; after?: string } = {}): Promise<Page<QueueEntry>> {
    const limit = Math.min(page.limit ?? 50, 500);
    const [afterMessage = NONE, afterId = NONE] = page.after?.split(' ') ?? [];
    const conditions = filterConditions(filter, 4);
    const { rows } = await query<QueueRow>(this.#pool, {
      text: `select ${ROW_COLUMNS}, m.sender from queue q left join message m on m.id = q.message_id
             where (q.message_id, q.id) > ($1::uuid, $2::uuid)${conditions.text} order by q.message_id, q.id limit $3`,
      values: [afterMessage, afterId, limit + 1, ...conditions.values],
    });
    const data = rows.slice(0, limit).map(entryOf);
    const last = data.at(-1);
    return { data, ...(rows.length > limit && last !== undefined ? { next: `${last.messageId} ${last.id}` } : {}) };
  }

  async count(filter: QueueFilter): Promise<number> {
    const conditions = filterConditions(filter, 1);
    const { rows } = await query<{ count: number }>(this.#pool, {
      text: `select count(*)::int as count from queue q left join message m on m.id = q.message_id where true${conditions.text}`,
      values: [...conditions.values],
    });
    return rows[0]?.count ?? 0;
  }

  /** Changes whenever one of the message's rows does; undefined when none is in the queue. */
  async tag(messageId: string): Promise<string | undefined> {
    const { rows } = await query<{ tag: string | null }>(this.#pool, {
      text: `select ${TAG} as tag from queue q where q.message_id = $1`,
      values: [messageId],
    });
    return rows[0]?.tag ?? undefined;
  }

  async change(wanted: readonly RecipientChange[], context: QueueChangeContext): Promise<QueueChangeResult> {
    return inTransaction(this.#pool, (client) => this.#change(client, wanted, context));
  }

  /** Gateways give back what they hold of these messages and have not begun: rows that are busy may be free soon. */
  async recall(messageIds: readonly string[]): Promise<void> {
    const ids = [...new Set(messageIds)];
    for (let from = 0; from < ids.length; from += RECALLED_AT_ONCE) {
      const some = ids.slice(from, from + RECALLED_AT_ONCE);
      await query(this.#pool, { text: `select pg_notify('${RECALL_CHANNEL}', $1)`, values: [some.join(',')] });
    }
  }

  async note(events: readonly AuditEvent[]): Promise<void> {
    await inTransaction(this.#pool, (client) => writeEvents(client, events));
  }

  async #change(
    client: PoolClient,
    wanted: readonly RecipientChange[],
    context: QueueChangeContext,
  ): Promise<QueueChangeResult> {
    const locked = await lockFree(client, wanted);
    if (context.ifTag !== undefined && !(await hasTag(client, wanted, context.ifTag)))
      return { ok: false, fault: 'stale' };
    const there = await stillThere(client, wanted);
    const situation = await situationOf(client, context);
    const changes: Changed[] = [];
    const recipients = wanted.map(({ messageId, id, change }): RecipientChanged => {
      const before = locked.get(id);
      if (before === undefined) return { id, messageId, outcome: there.has(id) ? 'busy' : 'gone' };
      const result = changedRow(before, change, situation);
      const about = { id, messageId, before: placeOf(before) };
      if (result.kind === 'refused') return { ...about, outcome: 'refused', why: result.why };
      if (result.kind === 'unchanged') return { ...about, outcome: 'unchanged', after: about.before };
      changes.push({ before, row: result.row, kind: change.kind });
      return { ...about, outcome: 'changed', ...(result.row === undefined ? {} : { after: placeOf(result.row) }) };
    });
    if (context.dryRun !== true && changes.length > 0) await this.#store(client, changes, context);
    return { ok: true, recipients };
  }

  async #store(client: PoolClient, changes: readonly Changed[], context: QueueChangeContext): Promise<void> {
    await remove(
      client,
      changes.filter(({ row }) => row === undefined).map(({ before }) => before),
    );
    await update(
      client,
      changes.flatMap(({ before, row }) => (row === undefined ? [] : [{ ...before, ...row }])),
    );
    await writeEvents(
      client,
      changes.map((change) => eventOf(change, context)),
    );
    await client.query(`select pg_notify('${QUEUE_CHANNEL}', '')`);
  }
}

/** Rows that nobody leases or is claiming, locked until the transaction ends. Never waits for the mail path. */
async function lockFree(
  client: PoolClient,
  wanted: readonly RecipientChange[],
): Promise<ReadonlyMap<string, QueueRow>> {
  const { rows } = await client.query<QueueRow>(
    `select ${ROW_COLUMNS}, m.sender from queue q
       join unnest($1::uuid[], $2::uuid[]) as i (message_id, id) on q.message_id = i.message_id and q.id = i.id
       left join message m on m.id = q.message_id
     where q.owner is null order by q.message_id, q.id for update of q skip locked`,
    [uuidArray(wanted.map(({ messageId }) => messageId)), uuidArray(wanted.map(({ id }) => id))],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

async function stillThere(client: PoolClient, wanted: readonly RecipientChange[]): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ id: string }>(
    `select q.id from queue q join unnest($1::uuid[], $2::uuid[]) as i (message_id, id)
       on q.message_id = i.message_id and q.id = i.id`,
    [uuidArray(wanted.map(({ messageId }) => messageId)), uuidArray(wanted.map(({ id }) => id))],
  );
  return new Set(rows.map(({ id }) => id));
}

async function hasTag(client: PoolClient, [first]: readonly RecipientChange[], tag: string): Promise<boolean> {
  const { rows } = await client.query<{ tag: string | null }>(
    `select ${TAG} as tag from queue q where q.message_id = $1`,
    [first?.messageId ?? NONE],
  );
  return rows[0]?.tag === tag;
}

async function situationOf(client: PoolClient, { actor, reason }: QueueChangeContext): Promise<ChangeSituation> {
  const suspended = await client.query<{ domain: string }>('select domain from suspended_destination');
  const domains = new Set(suspended.rows.map(({ domain }) => domain));
  const { rows } = await client.query<{ now: Date }>('select now() as now');
  return {
    now: rows[0]?.now ?? new Date(),
    actor,
    ...(reason === undefined ? {} : { reason }),
    isSuspended: (domain) => domains.has(domain),
  };
}

async function remove(client: PoolClient, rows: readonly QueueRow[]): Promise<void> {
  if (rows.length === 0) return;
  await client.query(
    `delete from queue q using unnest($1::uuid[], $2::uuid[]) as i (message_id, id)
     where q.message_id = i.message_id and q.id = i.id and q.owner is null`,
    [uuidArray(rows.map((row) => row.message_id)), uuidArray(rows.map((row) => row.id))],
  );
}

async function update(client: PoolClient, rows: readonly QueueRow[]): Promise<void> {
  if (rows.length === 0) return;
  await client.query(
    `update queue q set state = i.state, address = i.address, route = i.route, next_attempt_at = i.next_attempt_at,
       takeovers = i.takeovers, refusal = i.refusal, original_recipient = i.original_recipient, hold = i.hold::jsonb
     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int4[], $8::text[], $9::text[],
       $10::text[]) as i (message_id, id, state, address, route, next_attempt_at, takeovers, refusal, original_recipient, hold)
     where q.message_id = i.message_id and q.id = i.id and q.owner is null`,
    [
      uuidArray(rows.map((row) => row.message_id)),
      uuidArray(rows.map((row) => row.id)),
      textArray(rows.map((row) => row.state)),
      textArray(rows.map((row) => row.address)),
      textArray(rows.map((row) => row.route)),
      timestamptzArray(rows.map((row) => row.next_attempt_at.getTime())),
      int4Array(rows.map((row) => row.takeovers)),
      textArray(rows.map((row) => row.refusal)),
      textArray(rows.map((row) => row.original_recipient)),
      textArray(rows.map((row) => (row.hold === null ? null : JSON.stringify(row.hold)))),
    ],
  );
}

function eventOf({ before, row, kind }: Changed, { actor, reason, operation }: QueueChangeContext): AuditEvent {
  return {
    id: newId(),
    kind: CHANGE_EVENTS[kind],
    transactionId: before.message_id,
    recipientId: before.id,
    recipient: before.address,
    ...(before.sender === null ? {} : { sender: before.sender }),
    data: {
      actor,
      ...(reason === undefined ? {} : { reason }),
      ...(operation === undefined ? {} : { operation }),
      before: placeOf(before),
      ...(row === undefined ? {} : { after: placeOf(row) }),
    },
  };
}
