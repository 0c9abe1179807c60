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
  /** Its destination is suspended by an operator. */
  | 'suspended'
  /** Set aside: it cannot be attempted (its content is gone, …). */
  | 'broken'
  | 'delivered'
  | 'failed'
  | 'expired'
  /** By a rule, by an operator, or by the expiry of a review queue. */
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

/** Where a recipient in the queue stands, as people are told. */
export type QueueRowState = 'queued' | 'delivering' | 'deferred' | 'held' | 'suspended' | 'broken';

/** All criteria must hold. Addresses and domains compare without case. */
export interface QueueFilter {
  readonly messageId?: string;
  readonly recipientId?: string;
  readonly route?: string;
  readonly state?: QueueRowState;
  /** Of the recipient. */
  readonly domain?: string;
  readonly recipient?: string;
  /** '' is the null sender. */
  readonly sender?: string;
  readonly senderDomain?: string;
  readonly acceptedFrom?: Date;
  readonly acceptedUntil?: Date;
  /** Only messages with a smaller id: what was there at a moment. */
  readonly acceptedBeforeId?: string;
}

export interface QueueEntry {
  readonly id: string;
  readonly messageId: string;
  readonly address: string;
  readonly route: string;
  /** As it is stored. */
  readonly state: 'queued' | 'held' | 'suspended' | 'broken';
  readonly shownState: QueueRowState;
  /** Reverse path; absent when the message's row is gone. */
  readonly sender?: string;
  /** Node incarnation holding the lease. */
  readonly owner?: number;
  readonly attempts: number;
  /** How often the lease was taken from a node that died. */
  readonly takeovers: number;
  readonly nextAttemptAt: Date;
  readonly acceptedAt: Date;
  readonly lastReply?: string;
  /** It waits there for a person's decision. */
  readonly reviewQueue?: string;
  /** An operator holds it. */
  readonly hold?: { readonly actor: string; readonly reason?: string; readonly atMs: number };
  /** A reply that was given instead of the next hop's: the sender is about to be told. */
  readonly givenUp?: string;
}

export interface SuspendedDestination {
  /** Lower case. */
  readonly domain: string;
  readonly actor: string;
  readonly reason?: string;
  readonly since: Date;
}

export interface DestinationSummary {
  readonly domain: string;
  readonly recipients: number;
  readonly oldestAcceptedAt?: Date;
  readonly suspended?: SuspendedDestination;
}

/** What waits for one domain, by number of recipients. */
export interface DestinationQueue {
  readonly recipients: number;
  readonly states: Readonly<Partial<Record<string, number>>>;
  readonly routes: Readonly<Record<string, number>>;
  /** Of the last attempts, the most frequent first. */
  readonly lastReplies: readonly { readonly reply: string; readonly recipients: number }[];
  readonly oldestAcceptedAt?: Date;
  readonly nextAttemptAt?: Date;
}

export interface QueueStatus {
  readonly recipients: number;
  readonly leased: number;
  readonly due: number;
  readonly held: number;
  readonly broken: number;
  readonly suspended: number;
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
  /** An operator wants it to take no new sessions. */
  readonly drain?: { readonly actor: string; readonly reason?: string; readonly since: Date };
  /** As it last said itself. */
  readonly figures?: NodeFigures;
}

/** What a gateway tells of itself every few seconds. */
export interface NodeFigures {
  /** It takes no new sessions, and no mail from the queue. */
  readonly draining: boolean;
  readonly sessions: number;
  /** Outbound transactions that wait or run in it. */
  readonly jobs: number;
  readonly lastError?: { readonly message: string; readonly at: Date };
}

export interface PolicyRevision {
  readonly policy: string;
  readonly revision: number;
  /** The document as its author wrote it, comments included. */
  readonly source: string;
  readonly digest: string;
  readonly author: string;
  /** Everybody who changed its draft; empty where there was none. */
  readonly contributors: readonly string[];
  readonly reason?: string;
  /** Where its author keeps it, such as a Git commit. */
  readonly sourceCommit?: string;
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
  /** From then on it is in force no longer, unless it was confirmed. */
  readonly confirmBy?: Date;
  /** What became of one that had to be confirmed; absent while that is open. */
  readonly end?: ReleaseEnd;
}

export interface ReleaseEnd {
  readonly kind: 'confirmed' | 'aborted' | 'lapsed';
  readonly actor: string;
  readonly reason?: string;
  readonly endedAt: Date;
}

/** A document that is being written. */
export interface PolicyDraft {
  readonly id: string;
  readonly policy: string;
  /** Newest revision when it was begun, 0 for none. */
  readonly base: number;
  readonly title?: string;
  readonly source: string;
  readonly digest: string;
  /** Grows with every change. */
  readonly version: number;
  /** Who began it, and everybody who changed it. */
  readonly editors: readonly string[];
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly updatedBy: string;
  readonly updatedAt: Date;
}

/** Of the document with this digest, wherever it stands. */
export interface PolicyApproval {
  readonly digest: string;
  readonly approver: string;
  readonly reason?: string;
  readonly approvedAt: Date;
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
