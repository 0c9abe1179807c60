/**
 * The queue on PostgreSQL: claim, record, release (`QueueStore` of `#delivery`).
 *
 * A lease is `queue.owner` = this node's incarnation, and lasts as long as the incarnation lives (node-store.ts): a
 * slow next hop never outlives its lease, and a dead node's rows are free within half a minute.
 * INVARIANT (own rows only): the owner stands in the `where` of every change here.
 */
import { randomInt } from 'node:crypto';
import type { Pool } from 'pg';
import type {
  ClaimWishes,
  HeaderChange,
  Lease,
  MessageToStore,
  QueuedMessage,
  QueuedRecipient,
  QueueStore,
  RecipientOutcome,
} from '#delivery';
import type { AuditEvent } from '#audit';
import type { AuditChains } from './audit-chain.js';
import { int8Array, uuidArray } from './binary-array.js';
import { ClaimPlan } from './claim-plan.js';
import type { ClaimSources, VisitedPlace } from './claim-plan.js';
import { query } from './connections.js';
import type { LeaseRecovery } from './lease-recovery.js';
import { newId } from './new-id.js';
import { OperationalError } from './operational-error.js';
import { OutcomeRecorder } from './outcome-recorder.js';
import { CLAIM, RELEASE, SET_ASIDE, VISIT_PLACES } from './queue-statements.js';

/** A look back of this length is safe: rows become visible later than their `next_attempt_at` by at most a commit. */
const LOW_WATER_MARGIN_MS = 15_000;
const LOW_WATER_RESET_MS = 60_000;
const MOST_CLAIM = 2 ** 48 - 1;
const EVER_MS = 10 * 365 * 86_400_000;
/** Domains of one route that are looked at at once: some milliseconds. */
const MOST_PLACES = 300;
const NO_WISHES: ClaimWishes = { byDomain: [], limited: [] };

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
  header_edits: string | null;
  refusal: string | null;
}

export interface QueueStoreOptions {
  readonly pool: Pool;
  readonly chains: AuditChains;
  readonly recovery: LeaseRecovery;
  readonly owner: () => number | null;
  readonly append: (events: readonly AuditEvent[]) => void;
  readonly makePartitions: (ids: readonly string[]) => Promise<void>;
}

export class PostgresQueueStore implements QueueStore {
  readonly #options: QueueStoreOptions;
  readonly #recorder: OutcomeRecorder;
  readonly #plan = new ClaimPlan();
  #drainedAtMs: number | undefined;
  #lowWaterResetAtMs = 0;

  constructor(options: QueueStoreOptions) {
    this.#options = options;
    this.#recorder = new OutcomeRecorder({ ...options, owner: () => this.#owner() });
  }

  /** One statement. Rows whose message is gone are set aside (state `broken`, event `queue.set-aside`), not returned. */
  async claim(limit: number, wishes = NO_WISHES): Promise<readonly QueuedMessage[]> {
    const startedAtMs = performance.now();
    await this.#options.recovery.run();
    const sources = await this.#plan.next(wishes, (routes) => this.#visit(routes));
    const isWhole = wishes.limited.length === 0 && sources.places.length === 0;
    const lookBackMs = isWhole ? this.#lookBackMs(startedAtMs) : EVER_MS;
    const rows = await this.#claimRows(limit, lookBackMs, sources);
    this.#plan.took(sources, limit, rows.flatMap(placesOf));
    if (rows.length === 0 && isWhole) this.#drainedAtMs = startedAtMs;
    const broken = rows.filter((row) => row.sender === null || (row.content === null && row.content_file === null));
    if (broken.length > 0) await this.#setAside(broken);
    return rows.filter((row) => !broken.includes(row)).map(queuedMessage);
  }

  async #visit(
    routes: readonly { readonly route: string; readonly after: string }[],
  ): Promise<readonly VisitedPlace[]> {
    const { rows } = await query<VisitedPlace & Record<string, unknown>>(this.#options.pool, {
      name: 'visit-places',
      text: VISIT_PLACES,
      values: [routes.map(({ route }) => route), routes.map(({ after }) => after), EVER_MS / 1000, MOST_PLACES],
    });
    return rows;
  }

  async #claimRows(limit: number, lookBackMs: number, sources: ClaimSources): Promise<readonly ClaimedRow[]> {
    const { withoutRoutes, limitedRoutes, places } = sources;
    const owner = this.#owner();
    const claim = String(randomInt(MOST_CLAIM));
    try {
      const { rows } = await query<ClaimedRow & Record<string, unknown>>(this.#options.pool, {
        name: 'claim',
        text: CLAIM,
        values: [
          limit,
          owner,
          lookBackMs / 1000,
          claim,
          withoutRoutes,
          limitedRoutes.map(({ route }) => route),
          limitedRoutes.map(({ room }) => Math.min(room, limit)),
          places.map(({ route }) => route),
          places.map(({ domain }) => domain),
          places.map(({ room }) => Math.min(room, limit)),
        ],
      });
      return rows;
    } catch (error) {
      if (error instanceof OperationalError && !error.outcomeKnown) this.#options.recovery.claimLost(owner, claim);
      throw error;
    }
  }

  /** See OutcomeRecorder. */
  record(
    outcomes: readonly RecipientOutcome[],
    notices: readonly MessageToStore[],
  ): Promise<{ readonly lost: readonly string[] }> {
    return this.#recorder.record(outcomes, notices);
  }

  async release(leases: readonly Lease[]): Promise<void> {
    if (leases.length === 0) return;
    await query(this.#options.pool, {
      name: 'release',
      text: RELEASE,
      values: [
        this.#owner(),
        uuidArray(leases.map(({ messageId }) => messageId)),
        uuidArray(leases.map(({ recipientId }) => recipientId)),
        int8Array(leases.map(({ pauseMs = 0 }) => pauseMs)),
      ],
    });
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

function placesOf({ route, recipients }: ClaimedRow): { route: string; domain: string }[] {
  return recipients.map(({ address }) => ({
    route,
    domain: address.slice(address.lastIndexOf('@') + 1).toLowerCase(),
  }));
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
    ...(row.header_edits === null ? {} : { headerChanges: JSON.parse(row.header_edits) as readonly HeaderChange[] }),
    ...(row.refusal === null ? {} : { refusal: row.refusal }),
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
