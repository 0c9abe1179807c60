/**
 * Mail that a client sent again: same envelope, same octets, within an hour. Happens after a crash between COMMIT and 250.
 * Looked for when somebody looks, not when mail is accepted; nothing is ever dropped for it.
 */
import type { Pool } from 'pg';
import type { TransactionRecord } from '#audit';
import { query } from './connections.js';
import { idFloor, idTimeMs } from './new-id.js';
import type { EventRow } from './transaction-view.js';

const WITHIN_MS = 3_600_000;
/** Of one recipient's mail, this much before and as much after is compared: a busy mailbox must not cost seconds. */
const COMPARED_EACH_WAY = 200;

export interface ProbableDuplicates {
  /** The first of them, when it came before. */
  readonly probableDuplicateOf?: string;
  /** Those that came later. */
  readonly resentAs?: readonly string[];
}

interface FoundRow {
  [column: string]: unknown;
  id: string;
  transaction_id: string;
  data: TransactionRecord;
}

/** By an index on one of its recipients; the others and the content are compared then. */
export async function probableDuplicates(pool: Pool, row: EventRow): Promise<ProbableDuplicates> {
  const record = row.data as TransactionRecord;
  const digest = record.message?.digest;
  const recipient = record.recipients.find(({ verdict }) => verdict === 'accept')?.address;
  if (row.kind !== 'transaction.accepted' || digest === undefined || recipient === undefined) return {};
  const atMs = idTimeMs(row.id);
  const { rows } = await query<FoundRow>(pool, {
    name: 'probable-duplicates',
    text: `
      select t.* from (${mailOfRecipient('<', 'desc')} union all ${mailOfRecipient('>', 'asc')}) r cross join lateral (
        select t.id, t.transaction_id, t.data from audit_event t
        where t.transaction_id = r.transaction_id and t.kind = 'transaction.accepted' and t.id >= $2::uuid and t.id < $3::uuid
          and t.sender is not distinct from $4 and t.data->'message'->>'digest' = $5 limit 1) t`,
    values: [recipient, idFloor(atMs - WITHIN_MS), idFloor(atMs + WITHIN_MS), row.sender, digest, row.id],
  });
  const envelope = acceptedIn(record).join(' ');
  const same = rows
    .filter((found) => found.id !== row.id && acceptedIn(found.data).join(' ') === envelope)
    .sort((one, other) => (one.id < other.id ? -1 : 1));
  const [first] = same;
  const later = [...new Set(same.filter(({ id }) => id > row.id).map((found) => found.transaction_id))];
  return {
    ...(first !== undefined && first.id < row.id && { probableDuplicateOf: first.transaction_id }),
    ...(later.length > 0 && { resentAs: later }),
  };
}

/** The nearest in time, on one side of the message itself. */
function mailOfRecipient(side: '<' | '>', order: 'asc' | 'desc'): string {
  return `(select r.transaction_id from audit_event r
    where lower(r.recipient) = lower($1) and r.recipient_id is null and r.id ${side} $6::uuid
      and r.id >= $2::uuid and r.id < $3::uuid
    order by r.id ${order} limit ${COMPARED_EACH_WAY})`;
}

/** As the client gave them: routing and rewriting may have changed in between. */
function acceptedIn({ recipients }: TransactionRecord): readonly string[] {
  return recipients
    .filter(({ verdict }) => verdict === 'accept')
    .map(({ original, address }) => (original === '' ? address : original).toLowerCase())
    .sort();
}
