/** Reading the audit: search for transactions, one transaction whole, events as they are. Read committed; no locks. */
import type { Pool } from 'pg';
import { domainOf } from './audit-rows.js';
import { query } from './connections.js';
import { idFloor, idTimeMs } from './new-id.js';
import { probableDuplicates } from './probable-duplicates.js';
import { searchWindows, type SearchWindow } from './search-windows.js';
import {
  EVENT_COLUMNS,
  outcomesAmong,
  queueOf,
  recipientStories,
  storedEvent,
  releasedCopies,
  summaryOf,
  type EventRow,
} from './transaction-view.js';
import type { EventQuery, Page, StoredEvent, TransactionQuery, TransactionStory, TransactionSummary } from './types.js';

const DEFAULT_LIMIT = 50;
const MOST = 500;
/** Events of one transaction are written close together, save deliveries; ids of one may straddle midnight. */
const NEIGHBOURHOOD_MS = 3_600_000;
const INTRODUCING = `('transaction.accepted', 'transaction.refused', 'transaction.abandoned')`;

/** Text of a `where` and its parameters, grown together. */
class Conditions {
  readonly values: unknown[] = [];
  readonly #parts: string[] = [];

  /** `$` in `part` stands for the value. */
  add(part: string, value?: unknown): void {
    if (value === undefined) this.#parts.push(part);
    else this.#parts.push(part.replaceAll('$', `$${this.values.push(value)}`));
  }

  parameter(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  get text(): string {
    return this.#parts.join(' and ');
  }
}

type FoundRow = EventRow & { cursor: string };

export class AuditSearch {
  readonly #pool: Pool;
  readonly #plain: Pool;

  /** `pool` walks indexes backwards (connections.ts); `plain` plans as PostgreSQL does: for networks and single things. */
  constructor(pool: Pool, plain: Pool) {
    this.#pool = pool;
    this.#plain = plain;
  }

  /**
   * Transactions, newest first. Fast by sender, sender domain, recipient and client address; other criteria alone
   * walk the days back, and a page may then end early (short, with `next`).
   */
  async searchTransactions(given: TransactionQuery): Promise<Page<TransactionSummary>> {
    const limit = Math.min(given.limit ?? DEFAULT_LIMIT, MOST);
    const pool = given.client?.includes('/') === true ? this.#plain : this.#pool;
    const found = await searchWindows<FoundRow>(pool, { ...given, limit }, async (window) => {
      const { text, values } =
        given.recipient === undefined ? plainSearch(given, window) : recipientSearch(given, given.recipient, window);
      return (await query<FoundRow>(pool, { text, values })).rows;
    });
    // A transaction may name the searched recipient twice.
    const rows = found.rows.filter((row, index) => found.rows.findIndex((other) => other.id === row.id) === index);
    const stories = await recipientStories(this.#plain, rows);
    const data = rows.map((row) => summaryOf(row, stories));
    return { data, ...(found.next === undefined ? {} : { next: found.next }) };
  }

  /** Everything about one transaction; undefined when there is none of this id (yet). */
  async transaction(id: string): Promise<TransactionStory | undefined> {
    // In this order: a recipient that finishes in between is then seen in both, and its event wins.
    const queue = await queueOf(this.#plain, [id]);
    const { rows } = await query<EventRow>(this.#plain, {
      name: 'transaction',
      text: `select ${EVENT_COLUMNS} from audit_event t where t.transaction_id = $1 and t.id >= $2`,
      values: [id, idFloor(idTimeMs(id) - NEIGHBOURHOOD_MS)],
    });
    rows.sort((one, other) => (one.id < other.id ? -1 : 1));
    const introduction = rows.find((row) => row.kind.startsWith('transaction.'));
    if (introduction === undefined) return undefined;
    const stories = { queue, outcomes: outcomesAmong(rows) };
    const session = await this.#session(introduction.session_id);
    const events = rows.map(storedEvent);
    const summary = summaryOf(introduction, stories);
    return {
      ...summary,
      recipients: [...summary.recipients, ...releasedCopies(id, events, stories)],
      attempts: events.filter((event) => /^(?:delivery|bounce|notice)\./.test(event.kind)),
      events,
      ...(await probableDuplicates(this.#plain, introduction)),
      ...(session === undefined ? {} : { session }),
    };
  }

  /** Events newest first. Fast by transaction, session, or kinds that are not about mail; other kinds walk the days back. */
  async events(given: EventQuery): Promise<Page<StoredEvent>> {
    const limit = Math.min(given.limit ?? DEFAULT_LIMIT, MOST);
    const found = await searchWindows<FoundRow>(this.#pool, { ...given, limit }, async (window) => {
      const where = new Conditions();
      within(where, window);
      if (given.kinds !== undefined) where.add('t.kind = any($)', given.kinds);
      const operations = given.kinds?.every(isOperation) === true;
      if (operations) where.add('t.session_id is null and t.transaction_id is null');
      if (given.transactionId !== undefined) where.add('t.transaction_id = $', given.transactionId);
      if (given.sessionId !== undefined) where.add('t.session_id = $', given.sessionId);
      const few = operations || given.transactionId !== undefined || given.sessionId !== undefined;
      const text = `select t.id as cursor, ${EVENT_COLUMNS} from audit_event t where ${where.text} order by t.id desc limit ${window.limit}`;
      return (await query<FoundRow>(few ? this.#plain : this.#pool, { text, values: where.values })).rows;
    });
    return { data: found.rows.map(storedEvent), ...(found.next === undefined ? {} : { next: found.next }) };
  }

  async #session(sessionId: string | null): Promise<StoredEvent | undefined> {
    if (sessionId === null) return undefined;
    const { rows } = await query<EventRow>(this.#plain, {
      name: 'session',
      text: `select ${EVENT_COLUMNS} from audit_event t
             where t.session_id = $1 and t.transaction_id is null and t.kind = 'session.ended' and t.id >= $2 limit 1`,
      values: [sessionId, idFloor(idTimeMs(sessionId) - NEIGHBOURHOOD_MS)],
    });
    return rows[0] === undefined ? undefined : storedEvent(rows[0]);
  }
}

/** Events apart from mail have an index of their own by kind. */
function isOperation(kind: string): boolean {
  return /^(policy|list|api-key|gateway|audit)\./.test(kind) || kind === 'queue.taken-over';
}

function within(where: Conditions, { from, to }: SearchWindow): void {
  where.add('t.id >= $::uuid', from);
  where.add('t.id < $::uuid', to);
}

/** The transaction's own row meets all criteria. */
function plainSearch(given: TransactionQuery, window: SearchWindow): { text: string; values: unknown[] } {
  const where = new Conditions();
  within(where, window);
  criteria(where, given);
  return {
    text: `select t.id as cursor, ${EVENT_COLUMNS} from audit_event t where ${where.text} order by t.id desc limit ${window.limit}`,
    values: where.values,
  };
}

/**
 * A row that names the recipient leads to the transaction's row, which meets the other criteria. Usually they were written
 * together; recipients of mail that was released from review were named later, and lead back to its day.
 */
function recipientSearch(
  given: TransactionQuery,
  recipient: string,
  window: SearchWindow,
): { text: string; values: unknown[] } {
  const where = new Conditions();
  criteria(where, given);
  const lower = where.parameter(idFloor(idTimeMs(window.from) - NEIGHBOURHOOD_MS));
  const upper = where.parameter(idFloor(idTimeMs(window.to) + NEIGHBOURHOOD_MS));
  const named = new Conditions();
  named.values.push(...where.values);
  named.add('r.id >= $::uuid', window.from);
  named.add('r.id < $::uuid', window.to);
  named.add('lower(r.recipient) = lower($)', recipient);
  const found = (transactions: string, when: string): string => `
    (select r.id as cursor, t.* from audit_event r cross join lateral (
       select ${EVENT_COLUMNS} from audit_event t
       where t.transaction_id = r.transaction_id and ${when} and ${where.text} limit 1) t
     where ${named.text} and r.recipient_id is null and ${transactions}
     order by r.id desc limit ${window.limit})`;
  return {
    text: `
      select * from (
        ${found('true', `t.id >= ${lower}::uuid and t.id < ${upper}::uuid`)}
        union all
        ${found(`r.transaction_id < ${lower}::uuid`, 't.id >= r.transaction_id')}) found
      order by cursor desc limit ${window.limit}`,
    values: named.values,
  };
}

function criteria(where: Conditions, given: TransactionQuery): void {
  // The partial indexes hold rows without recipient_id; rows that introduce a transaction never have one.
  where.add('t.recipient_id is null');
  if (given.verdict === undefined) where.add(`t.kind in ${INTRODUCING}`);
  else where.add('t.kind = $', `transaction.${given.verdict}`);
  if (given.sender !== undefined) {
    where.add('t.sender_domain = $', domainOf(given.sender));
    where.add('lower(t.sender) = lower($)', given.sender);
  }
  if (given.senderDomain !== undefined) where.add('t.sender_domain = lower($)', given.senderDomain);
  if (given.client !== undefined)
    where.add(given.client.includes('/') ? 't.client_address <<= $::inet' : 't.client_address = $::inet', given.client);
  if (given.listener !== undefined) where.add(`t.data->>'listener' = $`, given.listener);
  if (given.rule !== undefined)
    where.add(
      `(t.data->>'by' = $ or t.data::jsonb @> jsonb_build_object('recipients', jsonb_build_array(jsonb_build_object('by', $::text))))`,
      given.rule,
    );
  if (given.messageId !== undefined) where.add(`t.data->'message'->>'messageId' = $`, given.messageId);
}
