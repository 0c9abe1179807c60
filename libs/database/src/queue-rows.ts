/** Rows of the queue as operators look for them: which, and what is shown of them. */
import type { QueueEntry, QueueFilter, QueueRowState } from './types.js';

export interface QueueRow {
  [column: string]: unknown;
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
  refusal: string | null;
  original_recipient: string | null;
  hold: { actor: string; reason?: string; atMs: number } | null;
  review_queue: string | null;
  suspended: boolean;
  sender: string | null;
}

/** Of `queue q`. Without header changes and preview: those are content. */
export const ROW_COLUMNS = `q.message_id, q.id, q.address, q.route, q.state, q.owner, q.attempts, q.takeovers, q.next_attempt_at,
  q.accepted_at, q.last_reply, q.refusal, q.original_recipient, q.hold, q.review->>'queue' as review_queue,
  exists (select from suspended_destination d where d.domain = address_domain(q.address)) as suspended`;

/** The words of the API, in SQL. */
export const ROW_STATE = `case when q.state <> 'queued' then q.state when q.owner is not null then 'delivering'
  when q.refusal is null and exists (select from suspended_destination d where d.domain = address_domain(q.address)) then 'suspended'
  when q.attempts = 0 then 'queued' else 'deferred' end`;

/** The same words from a row. */
export function rowState(row: Pick<QueueRow, 'state' | 'owner' | 'refusal' | 'suspended' | 'attempts'>): QueueRowState {
  if (row.state !== 'queued') return row.state;
  if (row.owner !== null) return 'delivering';
  if (row.refusal === null && row.suspended) return 'suspended';
  return row.attempts === 0 ? 'queued' : 'deferred';
}

export function entryOf(row: QueueRow): QueueEntry {
  return {
    id: row.id,
    messageId: row.message_id,
    address: row.address,
    route: row.route,
    state: row.state,
    shownState: rowState(row),
    attempts: row.attempts,
    takeovers: row.takeovers,
    nextAttemptAt: row.next_attempt_at,
    acceptedAt: row.accepted_at,
    ...(row.sender === null ? {} : { sender: row.sender }),
    ...(row.owner === null ? {} : { owner: row.owner }),
    ...(row.last_reply === null ? {} : { lastReply: row.last_reply }),
    ...(row.review_queue === null ? {} : { reviewQueue: row.review_queue }),
    ...(row.hold === null ? {} : { hold: row.hold }),
    ...(row.refusal === null ? {} : { givenUp: row.refusal }),
  };
}

/** Makes `where` conditions over `queue q left join message m`, and their parameters from `$first` on. */
export function filterConditions(
  filter: QueueFilter,
  first: number,
): { readonly text: string; readonly values: unknown[] } {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const must = (value: unknown, condition: (parameter: string) => string): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${first + values.length - 1}`));
  };
  must(filter.messageId, (it) => `q.message_id = ${it}::uuid`);
  must(filter.recipientId, (it) => `q.id = ${it}::uuid`);
  must(filter.route, (it) => `q.route = ${it}`);
  must(filter.state, (it) => `${ROW_STATE} = ${it}`);
  must(filter.domain?.toLowerCase(), (it) => `address_domain(q.address) = ${it}`);
  must(filter.recipient?.toLowerCase(), (it) => `lower(q.address) = ${it}`);
  must(filter.sender?.toLowerCase(), (it) => `lower(m.sender) = ${it}`);
  must(filter.senderDomain?.toLowerCase(), (it) => `m.sender <> '' and address_domain(m.sender) = ${it}`);
  must(filter.acceptedFrom, (it) => `q.accepted_at >= ${it}`);
  must(filter.acceptedUntil, (it) => `q.accepted_at < ${it}`);
  must(filter.acceptedBeforeId, (it) => `q.message_id < ${it}::uuid`);
  return { text: conditions.map((condition) => ` and ${condition}`).join(''), values };
}
