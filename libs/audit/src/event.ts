/**
 * The vocabulary of the audit: what may be recorded, and with which fields.
 *
 * Written by the gateway and the admin API, stored by `database`; it knows neither. An event is a fact that
 * happened: it is appended once and never changed. States ("queued", "delivered") are views over events.
 */

import type {
  AttemptRecord,
  QueueChangeRecord,
  RecordedAccount,
  RecordedRecipient,
  RecordedRefusal,
  RecordedTls,
  ReleasedCopy,
  ReviewAction,
  ReviewEnd,
  TransactionRecord,
  Word,
} from './records.js';

interface EventBase {
  /** UUIDv7: its time is the event's time, and ids sort as the events happened on one node. */
  readonly id: string;
  readonly sessionId?: string;
  readonly transactionId?: string;
  /** Address. In `transaction.*` set when there is exactly one recipient, else `recipient.judged` has one each. */
  readonly recipient?: string;
  /** Id of the recipient a `delivery.*` event is about; `QueueStore.record` fills it in. */
  readonly recipientId?: string;
  /** Reverse path; '' is the null sender. */
  readonly sender?: string;
  /** Textual IP address of the SMTP client. */
  readonly clientAddress?: string;
}

export type AuditEvent = EventBase &
  (
    | {
        readonly kind: 'connection.refused';
        readonly data: { listener: string; clientPort: number; reply: string; by: string };
      }
    | {
        readonly kind: 'session.ended';
        readonly data: {
          listener: string;
          clientPort: number;
          helo: string;
          startedAtMs: number;
          endReason: string;
          commands: number;
          errors: number;
          transactions: number;
          bytesIn: number;
          bytesOut: number;
          /** MAIL and RCPT commands that the policy refused. */
          refusals?: number;
          /** MAIL outside of a transaction, refused for its syntax or size: the first 50. */
          refusedCommands?: readonly RecordedRefusal[];
          /** Address of the balancer or front end that spoke for the client. */
          peer?: string;
          tls?: RecordedTls;
          auth?: { readonly identity: string; readonly mechanism: string };
        };
      }
    | {
        readonly kind: 'session.authenticated';
        readonly data: { listener: string; clientPort: number; account: string; mechanism: string; tls: string };
      }
    | {
        readonly kind: 'session.auth-failed';
        readonly data: {
          listener: string;
          clientPort: number;
          /** As the client sent it, at most 255 characters. */
          username: string;
          mechanism: string;
          tls: string;
          reason: string;
        };
      }
    /** Connections that never became sessions, summed up over some seconds. */
    | {
        readonly kind: 'connections.turned-away';
        readonly data: { listener: string; reason: string; count: number; firstAtMs: number; lastAtMs: number };
      }
    | {
        readonly kind: 'certificate.loaded';
        readonly data: { node: string; name: string; fingerprint: string; subject: string; expiresAt: string };
      }
    | { readonly kind: 'transaction.accepted'; readonly data: TransactionRecord }
    | { readonly kind: 'transaction.refused'; readonly data: TransactionRecord }
    | { readonly kind: 'transaction.abandoned'; readonly data: TransactionRecord }
    /** One per recipient, only where a transaction has several: makes each of them findable. */
    | { readonly kind: 'recipient.judged'; readonly data: RecordedRecipient }
    | { readonly kind: 'delivery.succeeded'; readonly data: AttemptRecord }
    | { readonly kind: 'delivery.deferred'; readonly data: AttemptRecord }
    | { readonly kind: 'delivery.failed'; readonly data: AttemptRecord }
    | { readonly kind: 'delivery.expired'; readonly data: AttemptRecord }
    | { readonly kind: 'delivery.lease-lost'; readonly data: AttemptRecord }
    /** The gateway died between claim and outcome. The recipient's next `delivery.*` event is the retry. */
    | { readonly kind: 'delivery.uncertain'; readonly data: AttemptRecord }
    /** `transactionId` is the failed message's; `noticeId` the bounce's own transaction id. */
    | { readonly kind: 'bounce.queued'; readonly data: { noticeId: string; to: string; recipients: readonly string[] } }
    /** A notice that is no bounce: the mail is late, or arrived where the sender asked to be told. */
    | {
        readonly kind: 'notice.queued';
        readonly data: {
          action: 'delayed' | 'relayed' | 'delivered';
          noticeId: string;
          to: string;
          recipients: readonly string[];
        };
      }
    | { readonly kind: 'bounce.suppressed'; readonly data: { reason: string; recipients: readonly string[] } }
    /** `review.*`: `transactionId` and `recipientId` say whose mail. A person asked for it. */
    | {
        readonly kind: 'review.requested';
        readonly data: { queue: string; rule: string; action: ReviewAction; actor: string; reason?: string };
      }
    /** Done, by a person's word or by expiry (`actor` is then `expiry`). */
    | {
        readonly kind: 'review.released';
        readonly data: ReviewEnd & { route: string; address: string; added?: readonly ReleasedCopy[] };
      }
    | { readonly kind: 'review.returned'; readonly data: ReviewEnd & { reply: string } }
    | { readonly kind: 'review.discarded'; readonly data: ReviewEnd }
    /** A release that the live policy did not let through: the mail goes on waiting. */
    | { readonly kind: 'review.kept'; readonly data: ReviewEnd & { by: string; verdict: string } }
    | {
        readonly kind: 'policy.published';
        readonly data: {
          revision: number;
          previous?: number;
          digest: string;
          confirmBy?: string;
          actor: string;
          reason?: string;
        };
      }
    /** A release that had to be confirmed; `live` is in force from now on. */
    | {
        readonly kind: 'policy.release-ended';
        readonly data: {
          release: number;
          revision: number;
          outcome: 'confirmed' | 'aborted' | 'lapsed';
          live?: number;
          actor: string;
          reason?: string;
        };
      }
    | {
        readonly kind: 'policy.drafted';
        readonly data: {
          draft: string;
          operation: 'create' | 'change' | 'remove';
          base: number;
          digest: string;
          actor: string;
          reason?: string;
        };
      }
    | {
        readonly kind: 'policy.committed';
        readonly data: {
          revision: number;
          digest: string;
          draft: string;
          author: string;
          actor: string;
          reason?: string;
          sourceCommit?: string;
        };
      }
    | { readonly kind: 'policy.approved'; readonly data: { digest: string; actor: string; reason?: string } }
    | { readonly kind: 'policy.loaded'; readonly data: { node: string; revision: number; digest: string } }
    | { readonly kind: 'policy.load-failed'; readonly data: { node: string; revision: number; message: string } }
    | {
        readonly kind: 'list.changed';
        readonly data: {
          list: string;
          revision: number;
          operation: 'add' | 'remove';
          /** The value; '' when `count` values changed at once: `list_change` has them under the same revision. */
          value: string;
          count?: number;
          actor: string;
          reason?: string;
        };
      }
    | { readonly kind: 'api-key.created'; readonly data: { keyId: string; name: string; actor: string } }
    | { readonly kind: 'api-key.revoked'; readonly data: { keyId: string; name: string; actor: string } }
    | {
        readonly kind: 'account.changed';
        readonly data: {
          account: string;
          operation: 'create' | 'update' | 'password' | 'remove';
          before?: RecordedAccount;
          after?: RecordedAccount;
          actor: string;
          reason?: string;
        };
      }
    | {
        readonly kind: 'secret.changed';
        readonly data: {
          secret: string;
          operation: 'set' | 'remove' | 'reseal';
          /** After the change; absent when it was removed. */
          revision?: number;
          actor: string;
          reason?: string;
        };
      }
    /** `queue.…ed` by an operator: `transactionId` and `recipientId` say whose mail. */
    | { readonly kind: 'queue.retried'; readonly data: QueueChangeRecord }
    | { readonly kind: 'queue.held'; readonly data: QueueChangeRecord }
    | { readonly kind: 'queue.released'; readonly data: QueueChangeRecord }
    | { readonly kind: 'queue.rerouted'; readonly data: QueueChangeRecord }
    | { readonly kind: 'queue.redirected'; readonly data: QueueChangeRecord }
    /** To be given up now; `delivery.expired` follows, with the notice. */
    | { readonly kind: 'queue.expired'; readonly data: QueueChangeRecord }
    | { readonly kind: 'queue.dropped'; readonly data: QueueChangeRecord }
    /** An operator's change of many recipients begins, and ends. */
    | {
        readonly kind: 'queue.operation-started';
        readonly data: Word & {
          operation: string;
          action: string;
          filter: Readonly<Record<string, string>>;
          matched: number;
        };
      }
    | {
        readonly kind: 'queue.operation-ended';
        readonly data: {
          operation: string;
          action: string;
          actor: string;
          state: string;
          changed: number;
          unchanged: number;
          refused: number;
          busy: number;
        };
      }
    | { readonly kind: 'destination.suspended'; readonly data: Word & { domain: string } }
    | { readonly kind: 'destination.resumed'; readonly data: Word & { domain: string } }
    /** An operator wants it; the gateway does it within a second. */
    | { readonly kind: 'gateway.drained'; readonly data: Word & { node: string } }
    | { readonly kind: 'gateway.resumed'; readonly data: Word & { node: string } }
    /** A recipient that cannot be attempted (its content is gone, …) and waits for an operator. */
    | { readonly kind: 'queue.set-aside'; readonly data: { reason: string; route: string } }
    /** Leases of a node that died were given back to the queue. */
    | {
        readonly kind: 'queue.taken-over';
        readonly data: { node: string; owner: number; recipients: number; by: string };
      }
    /** Events that could not be kept while the database was away: how many, and between which moments. */
    | {
        readonly kind: 'audit.gap';
        readonly data: { lost: number; firstAtMs: number; lastAtMs: number; reason: string };
      }
    /** Days that retention dropped, tables by name. */
    | { readonly kind: 'audit.retention'; readonly data: { dropped: readonly string[] } }
    | { readonly kind: 'gateway.started'; readonly data: { node: string; version: string } }
    | { readonly kind: 'gateway.stopped'; readonly data: { node: string; reason: string } }
  );

export type AuditEventKind = AuditEvent['kind'];
