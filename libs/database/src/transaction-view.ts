/**
 * From rows to stories: events as they were appended, and the state of each recipient, which nobody stores. The queue
 * is read before the events: a recipient that finishes in between is then seen in both, and its event wins.
 */
import type { Pool } from 'pg';
import type { AttemptRecord, AuditEvent, RecordedRecipient, TransactionRecord } from '#audit';
import { uuidArray } from './binary-array.js';
import { query } from './connections.js';
import { idFloor, idTimeMs } from './new-id.js';
import type { RecipientState, RecipientStory, StoredEvent, TransactionSummary, TransactionVerdict } from './types.js';

export const EVENT_COLUMNS =
  't.id, t.kind, t.session_id, t.transaction_id, t.recipient_id, t.recipient, t.sender, t.client_address, t.data';

export interface EventRow {
  [column: string]: unknown;
  id: string;
  kind: string;
  session_id: string | null;
  transaction_id: string | null;
  recipient_id: string | null;
  recipient: string | null;
  sender: string | null;
  client_address: string | null;
  data: unknown;
}

interface QueueRow {
  id: string;
  state: 'queued' | 'held' | 'suspended' | 'broken';
  owner: number | null;
  attempts: number;
  next_attempt_at: Date;
  last_reply: string | null;
}

interface OutcomeRow {
  id: string;
  transaction_id: string;
  recipient_id: string | null;
  recipient: string | null;
  kind: string;
  data: AttemptRecord;
}

/** What is known beyond the transaction's own row, by recipient id, or by transaction and address. */
export interface RecipientFacts {
  readonly queue: ReadonlyMap<string, QueueRow>;
  readonly outcomes: ReadonlyMap<string, readonly OutcomeRow[]>;
}

export function storedEvent(row: EventRow): StoredEvent {
  const event = {
    id: row.id,
    at: new Date(idTimeMs(row.id)),
    kind: row.kind,
    data: row.data,
    ...(row.session_id === null ? {} : { sessionId: row.session_id }),
    ...(row.transaction_id === null ? {} : { transactionId: row.transaction_id }),
    ...(row.recipient_id === null ? {} : { recipientId: row.recipient_id }),
    ...(row.recipient === null ? {} : { recipient: row.recipient }),
    ...(row.sender === null ? {} : { sender: row.sender }),
    ...(row.client_address === null ? {} : { clientAddress: row.client_address }),
  };
  // INVARIANT (append only): rows were written from an AuditEvent and never changed since.
  return event as AuditEvent & { at: Date };
}

export function summaryOf(row: EventRow, facts: RecipientFacts): TransactionSummary {
  const record = row.data as TransactionRecord;
  const id = row.transaction_id ?? row.id;
  const verdict = row.kind.slice('transaction.'.length) as TransactionVerdict;
  return {
    id,
    at: new Date(idTimeMs(row.id)),
    verdict,
    record,
    recipients: record.recipients.map((recipient) =>
      storyOf(recipient, { id, accepted: verdict === 'accepted' }, facts),
    ),
    ...(row.session_id === null ? {} : { sessionId: row.session_id }),
    ...(row.sender === null ? {} : { sender: row.sender }),
    ...(row.client_address === null ? {} : { clientAddress: row.client_address }),
  };
}

/** Recipients that rules added when held mail was released: the transaction's own record was written before. */
export function releasedCopies(
  id: string,
  events: readonly StoredEvent[],
  facts: RecipientFacts,
): readonly RecipientStory[] {
  const added = events.flatMap((event) => (event.kind === 'review.released' ? (event.data.added ?? []) : []));
  return added.map(({ by, ...copy }) => {
    const said = { verdict: 'accept', by, reply: '', facts: {}, addedBy: by } as const;
    const recorded = { ...copy, ...said, original: copy.address };
    return storyOf(recorded, { id, accepted: true }, facts);
  });
}

/** Two look-ups for a whole page. */
export async function recipientStories(pool: Pool, rows: readonly EventRow[]): Promise<RecipientFacts> {
  const ids = rows.flatMap((row) =>
    row.kind === 'transaction.accepted' && row.transaction_id !== null ? [row.transaction_id] : [],
  );
  if (ids.length === 0) return { queue: new Map(), outcomes: new Map() };
  const queue = await queueOf(pool, ids);
  const oldest = ids.reduce((least, id) => (id < least ? id : least));
  const happened = await query<OutcomeRow & Record<string, unknown>>(pool, {
    name: 'outcomes-of',
    // Transaction by transaction: asked for all at once, a planner without statistics walks the days instead.
    text: `select e.* from unnest($1::uuid[]) as w (id) cross join lateral (
             select t.id, t.transaction_id, t.recipient_id, t.recipient, t.kind, t.data from audit_event t
             where t.transaction_id = w.id and t.id >= $2 and (t.kind like 'delivery.%' or t.kind in ('review.discarded', 'queue.dropped'))) e`,
    values: [uuidArray(ids), idFloor(idTimeMs(oldest))],
  });
  return { queue, outcomes: outcomesBy(happened.rows) };
}

/** Recipients of these messages that are in the queue, by id. To be read before their events. */
export async function queueOf(pool: Pool, messageIds: readonly string[]): Promise<RecipientFacts['queue']> {
  const { rows } = await query<QueueRow & Record<string, unknown>>(pool, {
    name: 'queue-of',
    text: 'select id, state, owner, attempts, next_attempt_at, last_reply from queue where message_id = any($1::uuid[])',
    values: [uuidArray(messageIds)],
  });
  return new Map(rows.map((row) => [row.id, row]));
}

/** The outcomes among `rows`, all events of one transaction: so that its states and its attempts never differ. */
export function outcomesAmong(rows: readonly EventRow[]): RecipientFacts['outcomes'] {
  const outcomes = rows.flatMap((row): OutcomeRow[] =>
    (row.kind.startsWith('delivery.') || row.kind === 'review.discarded' || row.kind === 'queue.dropped') &&
    row.transaction_id !== null
      ? [{ ...row, transaction_id: row.transaction_id, data: row.data as AttemptRecord }]
      : [],
  );
  return outcomesBy(outcomes);
}

function outcomesBy(rows: OutcomeRow[]): RecipientFacts['outcomes'] {
  const outcomes = new Map<string, OutcomeRow[]>();
  for (const row of rows.sort((one, other) => (one.id < other.id ? -1 : 1))) {
    const key = row.recipient_id ?? addressKey(row.transaction_id, row.recipient ?? '');
    const known = outcomes.get(key);
    if (known === undefined) outcomes.set(key, [row]);
    else known.push(row);
  }
  return outcomes;
}

function addressKey(transactionId: string, address: string): string {
  return `${transactionId} ${address}`;
}

function storyOf(
  recipient: RecordedRecipient,
  transaction: { id: string; accepted: boolean },
  facts: RecipientFacts,
): RecipientStory {
  const ended = endedByVerdict(recipient, transaction.accepted);
  if (ended !== undefined) return { ...recipient, state: ended, attempts: 0 };
  const queued = facts.queue.get(recipient.id);
  const outcomes =
    facts.outcomes.get(recipient.id) ?? facts.outcomes.get(addressKey(transaction.id, recipient.address)) ?? [];
  const attempts = outcomes.filter((row) => !NO_ATTEMPT.has(row.kind));
  const final = outcomes.findLast((row) => FINAL[row.kind] !== undefined);
  const last = final ?? attempts.at(-1);
  const state = (final === undefined ? undefined : FINAL[final.kind]) ?? waitingState(queued, attempts.at(-1)?.kind);
  return {
    ...recipient,
    state,
    attempts: attempts.length,
    ...(last === undefined || NO_REPLY.has(last.kind) ? replyOf(queued) : { lastReply: last.data.reply }),
    ...(final === undefined && queued?.state === 'queued' ? { nextAttemptAt: queued.next_attempt_at } : {}),
  };
}

/** Without anything having been queued. */
function endedByVerdict({ verdict }: RecordedRecipient, accepted: boolean): RecipientState | undefined {
  if (verdict === 'reject' || verdict === 'defer' || !accepted) return 'refused';
  return verdict === 'discard' ? 'discarded' : undefined;
}

const NO_REPLY: ReadonlySet<string> = new Set(['review.discarded', 'queue.dropped']);
const NO_ATTEMPT: ReadonlySet<string> = new Set(['delivery.expired', 'delivery.lease-lost', ...NO_REPLY]);

const FINAL: Readonly<Record<string, RecipientState>> = {
  'review.discarded': 'discarded',
  'queue.dropped': 'discarded',
  'delivery.succeeded': 'delivered',
  'delivery.failed': 'failed',
  'delivery.expired': 'expired',
};

function waitingState(queued: QueueRow | undefined, lastKind: string | undefined): RecipientState {
  if (queued === undefined) return 'uncertain';
  if (queued.state !== 'queued') return queued.state;
  if (lastKind === 'delivery.uncertain') return 'uncertain';
  if (queued.owner !== null) return 'delivering';
  return queued.attempts > 0 ? 'deferred' : 'queued';
}

function replyOf(queued: QueueRow | undefined): { lastReply?: string } {
  return queued?.last_reply === undefined || queued.last_reply === null ? {} : { lastReply: queued.last_reply };
}
