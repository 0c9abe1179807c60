/**
 * The queue on PostgreSQL: claim, record, release (`QueueStore` of `#delivery`).
 *
 * A lease is `queue.owner` = this node's incarnation, and lasts as long as the incarnation lives (node-store.ts): a
 * slow next hop never outlives its lease, and a dead node's rows are free within half a minute.
 * INVARIANT (own rows only): the owner stands in the `where` of every change here.
 */
import type { Pool } from 'pg';
import type { MessageToStore, QueuedMessage, QueuedRecipient, QueueStore, RecipientOutcome } from '#delivery';
import { recordableText, type AuditEvent } from '#audit';
import { auditArrays, auditRow } from './audit-rows.js';
import { boolArray, textArray, timestamptzArray, uuidArray } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import { isConflict, isMissingPartition, OperationalError, sqlState } from './operational-error.js';
import { CLAIM, RECORD, RELEASE, SET_ASIDE } from './queue-statements.js';
import { acceptStatement } from './write-statements.js';

/** A look back of this length is safe: rows become visible later than their `next_attempt_at` by at most a commit. */
const LOW_WATER_MARGIN_MS = 15_000;
const LOW_WATER_RESET_MS = 60_000;
const MOST_TRIES = 3;
const UNIQUE_VIOLATION = '23505';
const EVER_MS = 10 * 365 * 86_400_000;

interface ClaimedRecipient {
  id: string;
  address: string;
  attempts: number;
  notify: string | null;
  originalRecipient: string | null;
  delayNotified: boolean;
}

interface ClaimedRow {
  message_id: string;
  route: string;
  accepted_at: Date;
  recipients: ClaimedRecipient[];
  sender: string | null;
  size_bytes: string;
  body_8bit: boolean;
  policy_revision: number;
  content: Buffer | null;
  content_file: string | null;
  ret: 'FULL' | 'HDRS' | null;
  envelope_id: string | null;
  smtp_utf8: boolean;
}

/** What one call of record() still has to write. */
interface Batch {
  readonly outcomes: readonly RecipientOutcome[];
  readonly notices: readonly MessageToStore[];
  readonly lost: readonly string[];
}

export interface QueueStoreOptions {
  readonly pool: Pool;
  readonly owner: () => number | null;
  readonly append: (events: readonly AuditEvent[]) => void;
  readonly makePartitions: (ids: readonly string[]) => Promise<void>;
}

export class PostgresQueueStore implements QueueStore {
  readonly #options: QueueStoreOptions;
  /** Event ids of outcomes whose commit ended unknown; they are looked up before they are written again. */
  readonly #uncertain = new Set<string>();
  #drainedAtMs: number | undefined;
  #lowWaterResetAtMs = 0;

  constructor(options: QueueStoreOptions) {
    this.#options = options;
  }

  /** One statement. Rows whose message is gone are set aside (state `broken`, event `queue.set-aside`), not returned. */
  async claim(limit: number): Promise<readonly QueuedMessage[]> {
    const startedAtMs = performance.now();
    const { rows } = await query<ClaimedRow & Record<string, unknown>>(this.#options.pool, {
      name: 'claim',
      text: CLAIM,
      values: [limit, this.#owner(), this.#lookBackMs(startedAtMs) / 1000],
    });
    if (rows.length === 0) this.#drainedAtMs = startedAtMs;
    const broken = rows.filter((row) => row.sender === null || (row.content === null && row.content_file === null));
    if (broken.length > 0) await this.#setAside(broken);
    return rows.filter((row) => !broken.includes(row)).map(queuedMessage);
  }

  /**
   * One transaction for the whole batch. After a failure the caller may give outcomes and notices again: what was
   * committed although no answer came is recognized by its ids. `lost` rows were taken over by another node.
   */
  async record(
    outcomes: readonly RecipientOutcome[],
    notices: readonly MessageToStore[],
  ): Promise<{ readonly lost: readonly string[] }> {
    let batch: Batch = { outcomes, notices, lost: [] };
    if (outcomes.some((outcome) => this.#uncertain.has(outcome.event.id))) batch = await this.#withoutStored(batch);
    for (let tries = 1; batch.outcomes.length > 0 || batch.notices.length > 0; tries += 1) {
      try {
        return { lost: [...batch.lost, ...(await this.#recordOnce(batch))] };
      } catch (error) {
        this.#noteUncertain(batch, error);
        if (tries > MOST_TRIES) throw error;
        const rest = await this.#afterFailure(batch, error);
        if (rest === undefined) throw error;
        batch = rest;
      }
    }
    return { lost: batch.lost };
  }

  async release(recipientIds: readonly string[]): Promise<void> {
    if (recipientIds.length === 0) return;
    await query(this.#options.pool, {
      name: 'release',
      text: RELEASE,
      values: [this.#owner(), uuidArray(recipientIds)],
    });
  }

  async #recordOnce({ outcomes, notices }: Batch): Promise<string[]> {
    const statement = { name: 'record', text: RECORD, values: recordValues(outcomes, this.#owner()) };
    if (notices.length === 0) {
      const { rows } = await query<{ id: string }>(this.#options.pool, statement);
      return rows.map((row) => row.id);
    }
    return inTransaction(this.#options.pool, async (client) => {
      const { rows } = await client.query<{ id: string }>(statement);
      await client.query(acceptStatement(notices, [], this.#owner()));
      return rows.map((row) => row.id);
    });
  }

  #noteUncertain({ outcomes }: Batch, error: unknown): void {
    if (!(error instanceof OperationalError) || error.outcomeKnown) return;
    for (const outcome of outcomes) this.#uncertain.add(outcome.event.id);
  }

  /** What to try again at once; undefined when that would not help. */
  async #afterFailure(batch: Batch, error: unknown): Promise<Batch | undefined> {
    if (isConflict(error)) return batch;
    if (isMissingPartition(error)) {
      const events = [
        ...batch.outcomes,
        ...batch.notices.flatMap((notice) => notice.events.map((event) => ({ event }))),
      ];
      await this.#options.makePartitions([
        ...events.map(({ event }) => event.id),
        ...batch.notices.map(({ id }) => id),
      ]);
      return batch;
    }
    if (sqlState(error) !== UNIQUE_VIOLATION) return undefined;
    // An earlier try came through after all; or an id is truly used twice, then nothing of the batch is stored.
    const rest = await this.#withoutStored(batch);
    return rest.outcomes.length < batch.outcomes.length ? rest : undefined;
  }

  async #withoutStored({ outcomes, notices, lost }: Batch): Promise<Batch> {
    const { rows } = await query<{ id: string; kind: string }>(this.#options.pool, {
      text: `select id, kind from audit_event where id = any($1::uuid[])
             union all select id, 'message' from message where id = any($2::uuid[])`,
      values: [uuidArray(outcomes.map((outcome) => outcome.event.id)), uuidArray(notices.map((notice) => notice.id))],
    });
    const kinds = new Map(rows.map((row) => [row.id, row.kind]));
    for (const outcome of outcomes) this.#uncertain.delete(outcome.event.id);
    const nowLost = outcomes.filter((outcome) => kinds.get(outcome.event.id) === 'delivery.lease-lost');
    return {
      outcomes: outcomes.filter((outcome) => !kinds.has(outcome.event.id)),
      notices: notices.filter((notice) => !kinds.has(notice.id)),
      lost: [...lost, ...nowLost.map((outcome) => outcome.recipientId)],
    };
  }

  async #setAside(rows: readonly ClaimedRow[]): Promise<void> {
    const recipients = rows.flatMap((row) =>
      row.recipients.map((recipient) => ({ ...recipient, messageId: row.message_id, route: row.route })),
    );
    const reason = 'the content of the message is missing';
    await query(this.#options.pool, {
      name: 'set-aside',
      text: SET_ASIDE,
      values: [
        this.#owner(),
        uuidArray(recipients.map((row) => row.messageId)),
        uuidArray(recipients.map((row) => row.id)),
        reason,
      ],
    });
    this.#options.append(
      recipients.map((row) => ({
        id: newId(),
        kind: 'queue.set-aside',
        transactionId: row.messageId,
        recipientId: row.id,
        recipient: row.address,
        data: { reason, route: row.route },
      })),
    );
  }

  #owner(): number {
    const owner = this.#options.owner();
    if (owner === null) throw new Error('the queue needs a joined node');
    return owner;
  }

  /** Low-water mark: index entries of rows finished long ago are not walked again and again while an old snapshot pins them. */
  #lookBackMs(nowMs: number): number {
    if (this.#drainedAtMs === undefined || nowMs - this.#lowWaterResetAtMs > LOW_WATER_RESET_MS) {
      this.#lowWaterResetAtMs = nowMs;
      return EVER_MS;
    }
    return nowMs - this.#drainedAtMs + LOW_WATER_MARGIN_MS;
  }
}

function queuedMessage(row: ClaimedRow): QueuedMessage {
  const sizeBytes = Number(row.size_bytes);
  return {
    id: row.message_id,
    sender: row.sender ?? '',
    content:
      row.content_file === null
        ? { kind: 'inline', bytes: row.content ?? new Uint8Array() }
        : { kind: 'spool', file: row.content_file, sizeBytes },
    sizeBytes,
    body8bit: row.body_8bit,
    policyRevision: row.policy_revision,
    acceptedAtMs: row.accepted_at.getTime(),
    ...(row.ret === null ? {} : { ret: row.ret }),
    ...(row.envelope_id === null ? {} : { envelopeId: row.envelope_id }),
    ...(row.smtp_utf8 ? { smtpUtf8: true as const } : {}),
    recipients: row.recipients.map((recipient) => queuedRecipient(recipient, row.route)),
  };
}

function queuedRecipient(recipient: ClaimedRecipient, route: string): QueuedRecipient {
  const { id, address, attempts, notify, originalRecipient, delayNotified } = recipient;
  return {
    id,
    address,
    route,
    attempts,
    ...(notify === null ? {} : { notify: notify.split(',') }),
    ...(originalRecipient === null ? {} : { originalRecipient }),
    ...(delayNotified ? { delayNotified } : {}),
  };
}

function recordValues(outcomes: readonly RecipientOutcome[], owner: number): unknown[] {
  const done = outcomes.filter((outcome) => outcome.kind === 'done');
  const again = outcomes.filter((outcome) => outcome.kind === 'retry');
  return [
    owner,
    uuidArray(done.map((outcome) => outcome.messageId)),
    uuidArray(done.map((outcome) => outcome.recipientId)),
    uuidArray(again.map((outcome) => outcome.messageId)),
    uuidArray(again.map((outcome) => outcome.recipientId)),
    timestamptzArray(again.map((outcome) => outcome.nextAttemptAtMs)),
    textArray(again.map((outcome) => recordableText(outcome.lastReply))),
    boolArray(again.map((outcome) => outcome.delayNotified === true)),
    ...auditArrays(outcomes.map((outcome) => auditRow(outcome.event, outcome.recipientId))),
  ];
}
