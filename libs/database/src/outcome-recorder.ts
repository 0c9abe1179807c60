/**
 * Commits outcomes of attempts: queue rows, audit rows with their block, and the notices that outcomes cause, in one
 * transaction. Rows that another node took over meanwhile stay as they are, and the audit says so.
 */
import type { Pool } from 'pg';
import { recordableText } from '#audit';
import type { MessageToStore, RecipientOutcome } from '#delivery';
import { blockValues, type AuditChains, type Block } from './audit-chain.js';
import { auditArrays, auditRow, type AuditRow } from './audit-rows.js';
import { boolArray, textArray, timestamptzArray, uuidArray } from './binary-array.js';
import { inTransaction, query } from './connections.js';
import { isConflict, isMissingPartition, OperationalError, sqlState } from './operational-error.js';
import { LEASE_LOST, RECORD, STILL_LEASED } from './queue-statements.js';
import { acceptStatement, rowsOf } from './write-statements.js';

const MOST_TRIES = 3;
const UNIQUE_VIOLATION = '23505';

/** What one call of record() still has to write. */
interface Batch {
  readonly outcomes: readonly RecipientOutcome[];
  readonly notices: readonly MessageToStore[];
  readonly lost: readonly string[];
}

export interface OutcomeRecorderOptions {
  readonly pool: Pool;
  readonly chains: AuditChains;
  readonly owner: () => number;
  readonly makePartitions: (ids: readonly string[]) => Promise<void>;
}

export class OutcomeRecorder {
  readonly #options: OutcomeRecorderOptions;
  /** Event ids of outcomes whose commit ended unknown; they are looked up before they are written again. */
  readonly #uncertain = new Set<string>();

  constructor(options: OutcomeRecorderOptions) {
    this.#options = options;
  }

  /**
   * After a failure the caller may give outcomes and notices again: what was committed although no answer came is
   * recognized by its ids. `lost` rows were taken over by another node.
   */
  async record(
    outcomes: readonly RecipientOutcome[],
    notices: readonly MessageToStore[],
  ): Promise<{ readonly lost: readonly string[] }> {
    let batch: Batch = { outcomes, notices, lost: [] };
    if (outcomes.some((outcome) => this.#uncertain.has(outcome.event.id))) batch = await this.#withoutStored(batch);
    for (let tries = 1; batch.outcomes.length > 0 || batch.notices.length > 0; tries += 1) {
      try {
        return { lost: [...batch.lost, ...(await this.#recordBatch(batch))] };
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

  /** Mostly every lease still holds, and one statement does it all. */
  async #recordBatch(batch: Batch): Promise<readonly string[]> {
    try {
      await this.#recordHeld(batch);
      return [];
    } catch (error) {
      if (sqlState(error) !== LEASE_LOST) throw error;
      return this.#recordSome(batch);
    }
  }

  async #recordHeld({ outcomes, notices }: Batch): Promise<void> {
    const { chains, owner, pool } = this.#options;
    const rows = [...outcomes.map((outcome) => auditRow(outcome.event, outcome.recipientId)), ...rowsOf(notices, [])];
    await chains.withBlock(rows, async (block) => {
      const statement = { name: 'record', text: RECORD, values: recordValues(owner(), outcomes, { rows, block }) };
      if (notices.length === 0) {
        await query(pool, statement);
        return;
      }
      await inTransaction(pool, async (client) => {
        await client.query(statement);
        await client.query(acceptStatement({ messages: notices, owner: owner() }));
      });
    });
  }

  /** Finds out which leases hold first: a row's kind is part of the block's hash. Should one more get lost, RECORD says so. */
  async #recordSome({ outcomes, notices }: Batch): Promise<readonly string[]> {
    const { chains, owner, pool } = this.#options;
    const leased = await this.#stillLeased(outcomes);
    const kept = outcomes.filter((outcome) => leased.has(outcome.recipientId));
    const lost = outcomes.filter((outcome) => !leased.has(outcome.recipientId));
    const rows = [
      ...kept.map((outcome) => auditRow(outcome.event, outcome.recipientId)),
      ...lost.map((outcome) => ({
        ...auditRow(outcome.event, outcome.recipientId),
        kind: 'delivery.lease-lost',
      })),
      ...rowsOf(notices, []),
    ];
    await chains.withBlock(rows, (block) =>
      inTransaction(pool, async (client) => {
        await client.query({ name: 'record', text: RECORD, values: recordValues(owner(), kept, { rows, block }) });
        if (notices.length > 0) await client.query(acceptStatement({ messages: notices, owner: owner() }));
      }),
    );
    return lost.map((outcome) => outcome.recipientId);
  }

  async #stillLeased(outcomes: readonly RecipientOutcome[]): Promise<ReadonlySet<string>> {
    const { rows } = await query<{ id: string }>(this.#options.pool, {
      text: STILL_LEASED,
      values: [
        this.#options.owner(),
        uuidArray(outcomes.map((outcome) => outcome.messageId)),
        uuidArray(outcomes.map((outcome) => outcome.recipientId)),
      ],
    });
    return new Set(rows.map((row) => row.id));
  }

  #noteUncertain({ outcomes }: Batch, error: unknown): void {
    if (!(error instanceof OperationalError) || error.outcomeKnown) return;
    for (const outcome of outcomes) this.#uncertain.add(outcome.event.id);
  }

  /** What to try again at once; undefined when that would not help. */
  async #afterFailure(batch: Batch, error: unknown): Promise<Batch | undefined> {
    if (isConflict(error) || sqlState(error) === LEASE_LOST) return batch;
    if (isMissingPartition(error)) {
      const events = [...batch.outcomes.map(({ event }) => event), ...batch.notices.flatMap(({ events }) => events)];
      await this.#options.makePartitions([...events.map(({ id }) => id), ...batch.notices.map(({ id }) => id)]);
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
}

function recordValues(
  owner: number,
  outcomes: readonly RecipientOutcome[],
  { rows, block }: { readonly rows: readonly AuditRow[]; readonly block: Block },
): unknown[] {
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
    ...auditArrays(rows),
    ...blockValues(block),
  ];
}
