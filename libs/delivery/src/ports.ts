/**
 * What the relay worker needs from the world: a queue, names, clocks, a way out. Implemented by `database`
 * (queue), and by the gateway (the rest); faked by nothing but a hand-moved clock in tests.
 */
import type { AuditEvent } from '#audit';

/** Content of a message: in memory, or a file in the spool. Octets are canonical CRLF, Received line included. */
export type ContentSource =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'spool'; readonly file: string; readonly sizeBytes: number };

/** A message as it is committed: everything relay needs, and the audit rows that go in the same commit. */
export interface MessageToStore {
  /** UUIDv7: the transaction's id. */
  readonly id: string;
  /** Reverse path, '' for the null sender. */
  readonly sender: string;
  readonly content: ContentSource;
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  readonly policyRevision: number;
  readonly recipients: readonly {
    readonly id: string;
    readonly address: string;
    readonly route: string;
  }[];
  /** True: rows are inserted leased to this node, first attempt from memory. False: due at once for any poller. */
  readonly leased: boolean;
  readonly events: readonly AuditEvent[];
}

/** One recipient's place in the queue, under this node's lease. */
export interface QueuedRecipient {
  readonly id: string;
  readonly address: string;
  readonly route: string;
  /** Attempts already made before this one. */
  readonly attempts: number;
}

/** A claimed message: some or all of its recipients, all of one route. */
export interface QueuedMessage {
  readonly id: string;
  readonly sender: string;
  readonly content: ContentSource;
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  readonly policyRevision: number;
  /** Milliseconds since the epoch when it was accepted; age decides about giving up. */
  readonly acceptedAtMs: number;
  readonly recipients: readonly QueuedRecipient[];
}

/** What happened to one recipient in one attempt. `event` is committed with the change of the queue row. */
export type RecipientOutcome =
  | { readonly kind: 'done'; readonly recipientId: string; readonly messageId: string; readonly event: AuditEvent }
  | {
      readonly kind: 'retry';
      readonly recipientId: string;
      readonly messageId: string;
      readonly nextAttemptAtMs: number;
      readonly lastReply: string;
      readonly event: AuditEvent;
    };

export interface QueueStore {
  /**
   * Leases due rows (`for update skip locked`), oldest first, fair between routes, at most `limit` recipients, and
   * loads their messages. Rows whose message content is gone come back in `broken` and stay leased.
   */
  claim(limit: number): Promise<readonly QueuedMessage[]>;
  /**
   * Commits outcomes and, in the same transaction, the notices (bounces) they cause. Only rows still leased to this
   * node change; ids of the others are returned as `lost` (their outcome is discarded, a `delivery.lease-lost` event
   * is written instead).
   */
  record(outcomes: readonly RecipientOutcome[], notices: readonly MessageToStore[]): Promise<{ readonly lost: readonly string[] }>;
  /** Gives leases back unattempted: due at once for any node. Used on stop. */
  release(recipientIds: readonly string[]): Promise<void>;
  /** Makes rows due now for whoever claims first; used by "retry now". */
}

export interface Clock {
  nowMs(): number;
}
