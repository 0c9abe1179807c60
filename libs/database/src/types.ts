/**
 * Shapes that the stores return, and the questions they take. Ids are UUIDv7 text; public prefixes (`txn_…`) are the
 * business of the API. Nothing here knows a driver.
 */
import type { ProbableDuplicates } from './probable-duplicates.js';
import type { AuditEvent, RecordedRecipient, TransactionRecord } from '#audit';

/** One page of a list that may grow while it is read. `next` is opaque; absent on the last page. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly next?: string;
}

/** Where a recipient of an accepted message stands; derived from queue and events, stored nowhere. */
export type RecipientState =
  | 'refused'
  /** Waiting for its first attempt. */
  | 'queued'
  /** Leased by a node: about to be attempted, or being attempted. */
  | 'delivering'
  /** Attempted, waiting for the next attempt. */
  | 'deferred'
  | 'held'
  /** Set aside: it cannot be attempted (its content is gone, …). */
  | 'broken'
  | 'delivered'
  | 'failed'
  | 'expired'
  /** By a rule, or by a person or the expiry of a review queue. */
  | 'discarded'
  /**
   * The gateway that held it died: delivered or not, nobody knows; it is tried again. Also: accepted, but neither in the
   * queue nor finished by an event, which happens only when rows were removed by hand.
   */
  | 'uncertain';

export type TransactionVerdict = 'accepted' | 'refused' | 'abandoned';

/** All criteria must hold. Addresses compare without case. Exact matches only, save `client` (address or network). */
export interface TransactionQuery {
  readonly since?: Date;
  readonly until?: Date;
  readonly sender?: string;
  readonly senderDomain?: string;
  readonly recipient?: string;
  /** IP address, or a network in CIDR form. */
  readonly client?: string;
  readonly listener?: string;
  readonly verdict?: TransactionVerdict;
  /** Rule that decided the transaction or one of its recipients. */
  readonly rule?: string;
  /** Message-ID header, with its angle brackets if it had them. */
  readonly messageId?: string;
  /** 1 to 500, default 50. */
  readonly limit?: number;
  readonly after?: string;
}

export interface RecipientStory extends RecordedRecipient {
  readonly state: RecipientState;
  /** Set while the recipient is in the queue. */
  readonly nextAttemptAt?: Date;
  readonly attempts: number;
  readonly lastReply?: string;
}

export interface TransactionSummary {
  readonly id: string;
  readonly at: Date;
  readonly verdict: TransactionVerdict;
  readonly sessionId?: string;
  readonly sender?: string;
  readonly clientAddress?: string;
  readonly record: TransactionRecord;
  readonly recipients: readonly RecipientStory[];
}

/** An event as it is stored, with the time held in its id. */
export type StoredEvent = AuditEvent & { readonly at: Date };

/** Everything known about one transaction, in the order it happened. */
export interface TransactionStory extends TransactionSummary, ProbableDuplicates {
  /** `delivery.*`, `bounce.*` and `notice.*` events of this transaction. */
  readonly attempts: readonly StoredEvent[];
  /** `session.ended` of the session it came in; absent while the session lasts. */
  readonly session?: StoredEvent;
  readonly events: readonly StoredEvent[];
}

export interface EventQuery {
  readonly kinds?: readonly AuditEvent['kind'][];
  readonly since?: Date;
  readonly until?: Date;
  readonly transactionId?: string;
  readonly sessionId?: string;
  readonly limit?: number;
  readonly after?: string;
}

export interface QueueEntry {
  readonly id: string;
  readonly messageId: string;
  readonly address: string;
  readonly route: string;
  readonly state: 'queued' | 'held' | 'broken';
  /** Node incarnation holding the lease. */
  readonly owner?: number;
  readonly attempts: number;
  /** How often the lease was taken from a node that died. */
  readonly takeovers: number;
  readonly nextAttemptAt: Date;
  readonly acceptedAt: Date;
  readonly lastReply?: string;
}

export interface QueueStatus {
  readonly recipients: number;
  readonly leased: number;
  readonly due: number;
  readonly held: number;
  readonly broken: number;
  readonly oldestAcceptedAt?: Date;
  readonly routes: readonly { readonly route: string; readonly recipients: number; readonly due: number }[];
}

export interface NodeStatus {
  /** Incarnation: owner of leases. */
  readonly nodeId: number;
  readonly name: string;
  readonly alive: boolean;
  readonly startedAt: Date;
  readonly stoppedAt?: Date;
  /** Policy it judges by. */
  readonly revision?: number;
  readonly digest?: string;
  /** Released policy that it does not take. */
  readonly refused?: { readonly revision: number; readonly reason: string };
  /** It can not share what it counts for the policy's limits. */
  readonly limitsAloneSince?: Date;
}

export interface PolicyRevision {
  readonly policy: string;
  readonly revision: number;
  /** The document as its author wrote it, comments included. */
  readonly source: string;
  readonly digest: string;
  readonly author: string;
  readonly reason?: string;
  readonly createdAt: Date;
}

export interface PolicyRelease {
  readonly id: number;
  readonly policy: string;
  readonly revision: number;
  readonly previous?: number;
  readonly actor: string;
  readonly reason?: string;
  readonly releasedAt: Date;
}

export interface LivePolicy extends PolicyRevision {
  readonly release: PolicyRelease;
}

export interface ListEntry {
  readonly value: string;
  readonly note?: string;
  readonly owner?: string;
  readonly expiresAt?: Date;
  readonly addedAt: Date;
  readonly addedBy: string;
  /** Revision of the list that put it there. */
  readonly revision: number;
}

export interface ListChange {
  readonly revision: number;
  readonly operation: 'add' | 'remove';
  readonly value: string;
}

export interface SmtpAccount {
  /** Lower case. */
  readonly name: string;
  /** Grows with every change. */
  readonly revision: number;
  /** Addresses it may send as; `*@domain` is all of a domain. */
  readonly identities: readonly string[];
  readonly note?: string;
  readonly disabledAt?: Date;
  readonly expiresAt?: Date;
  readonly passwordSetAt: Date;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
  readonly updatedBy: string;
}

/** A secret of the relay, without its value. */
export interface Secret {
  readonly name: string;
  /** Grows with every change. */
  readonly revision: number;
  readonly note?: string;
  /** Which key sealed it. */
  readonly keyId: string;
  /** False: none of this installation's keys opens it. */
  readonly readable: boolean;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly updatedAt: Date;
  readonly updatedBy: string;
}

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  /** First characters of the key, to tell keys apart. */
  readonly prefix: string;
  readonly role: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt?: Date;
  readonly revokedAt?: Date;
  readonly lastUsedAt?: Date;
}

/** Long work of the admin API. `interrupted`: the process that did it is gone. */
export interface Operation {
  readonly id: string;
  readonly kind: string;
  readonly actor: string;
  readonly state: 'running' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted';
  readonly done: number;
  readonly total?: number;
  /** JSON. */
  readonly result?: Readonly<Record<string, unknown>>;
  /** JSON: problem details. */
  readonly problem?: Readonly<Record<string, unknown>>;
  readonly cancelRequestedBy?: string;
  readonly startedAt: Date;
  readonly endedAt?: Date;
}

export interface OperationEnd extends Pick<Operation, 'done' | 'total' | 'result' | 'problem'> {
  readonly state: Exclude<Operation['state'], 'running'>;
}
