/**
 * The vocabulary of the audit: what may be recorded, and with which fields.
 *
 * Written by the gateway and the admin API, stored by `database`; it knows neither. An event is a fact that
 * happened: it is appended once and never changed. States ("queued", "delivered") are views over events.
 */

/** A value of a policy fact as it is recorded. A failed look-up is `{ unknown: why }`, never a missing key. */
export type RecordedFact =
  | string
  | number
  | boolean
  | readonly string[]
  | readonly number[]
  | { readonly unknown: string; readonly values?: readonly string[]; readonly among?: readonly string[] };
export type RecordedFacts = Readonly<Record<string, RecordedFact>>;

/** Which policy judged: enough to load exactly the same snapshot again. `lists` maps managed list to its revision. */
export interface RecordedSnapshot {
  readonly policy: string;
  readonly revision: number;
  readonly digest: string;
  readonly lists: Readonly<Record<string, number>>;
}

/** What was decided for one recipient, with the facts that only this recipient had. */
export interface RecordedRecipient {
  /** UUIDv7; the same id in the queue and in every `delivery.*` event. */
  readonly id: string;
  /** Forward path as the client gave it. */
  readonly original: string;
  /** Address mail goes to, after rewriting. */
  readonly address: string;
  /** After the final dot where message rules judged; `hold` and `discard` come from there only. */
  readonly verdict: 'accept' | 'reject' | 'defer' | 'hold' | 'discard';
  /** Rule that decided (`rcpt/leaver`, `builtin/relay-denied`), or '' when no rule did. */
  readonly by: string;
  /** The reply as sent, byte for byte, without CRLF. */
  readonly reply: string;
  /** Route chosen by the routing rules; absent for a refused recipient. */
  readonly route?: string;
  readonly facts: RecordedFacts;
  /** Tags given by rules up to RCPT TO: a release goes on from there. */
  readonly tags?: readonly string[];
  /** Review queue that keeps the mail, for `hold`. */
  readonly reviewQueue?: string;
  /** Its own verdict, where `mixed-verdicts` made it another. */
  readonly instead?: { readonly verdict: string; readonly reply?: string };
  /** Changes to the header of its mail. */
  readonly headers?: readonly {
    readonly op: 'set' | 'add' | 'remove';
    readonly name: string;
    readonly value?: string;
  }[];
  /** Keys that are to sign its mail, `domain/selector`. */
  readonly signatures?: readonly string[];
  /** Key that is to seal it (ARC). */
  readonly seal?: string;
  /** What the sender asked about notices for it (RFC 3461), as given. */
  readonly parameters?: { readonly notify?: readonly string[]; readonly originalRecipient?: string };
  /** Rule that added it (`add-recipient`, or a copy): the client never named it, and nothing was judged for it. */
  readonly addedBy?: string;
}

/** ESMTP parameters of MAIL FROM. */
export interface RecordedMailParameters {
  readonly sizeBytes?: number;
  readonly body?: '7BIT' | '8BITMIME';
  readonly smtpUtf8?: true;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envelopeId?: string;
  readonly authParam?: string;
}

/** A MAIL or RCPT that was refused before the policy was asked. */
export interface RecordedRefusal {
  /** As it was sent, at most 512 characters. */
  readonly command: string;
  readonly reply: string;
}

/** TLS of one session. */
export interface RecordedTls {
  readonly version: string;
  readonly cipher: string;
  /** Name the client asked for. */
  readonly serverName?: string;
  /** SHA-256 of the certificate of the client, hex. */
  readonly clientFingerprint?: string;
}

/** What was looked at to find out who sent a message, and what came of it. Results are the words of RFC 8601. */
export interface RecordedMailAuth {
  readonly spf?: {
    readonly result: string;
    readonly identity: 'mailfrom' | 'helo';
    readonly domain: string;
    readonly sender: string;
    readonly clientAddress: string;
    /** SPF record of the domain, and the term of it (or of one that it includes) that matched. */
    readonly record?: string;
    readonly mechanism?: string;
    readonly lookUps: number;
    readonly why?: string;
  };
  /** One for each signature. */
  readonly dkim?: readonly {
    readonly result: string;
    readonly domain: string;
    readonly selector: string;
    readonly identity?: string;
    readonly algorithm?: string;
    readonly signature?: string;
    readonly keyBits?: number;
    readonly record?: string;
    readonly testing?: true;
    readonly why?: string;
  }[];
  readonly dmarc?: {
    readonly result: string;
    readonly domain: string;
    readonly organisationalDomain: string;
    readonly policy?: string;
    readonly record?: string;
    readonly recordDomain?: string;
    readonly aligned: readonly string[];
    readonly why?: string;
  };
  readonly arc?: {
    readonly result: string;
    readonly instances: number;
    readonly sealers: readonly string[];
    readonly authenticationResults?: string;
    readonly chainValidation?: string;
    readonly why?: string;
  };
}

export interface TransactionRecord {
  readonly listener: string;
  readonly clientPort: number;
  readonly helo: string;
  /** As in the Received field, RFC 3848: `ESMTPSA` is ESMTP under TLS after AUTH. */
  readonly protocol: string;
  /** Milliseconds since the epoch at MAIL FROM. */
  readonly startedAtMs: number;
  readonly snapshot: RecordedSnapshot;
  /** Policy client that matched, or `none`. */
  readonly client: string;
  /** Facts shared by all recipients, as the evaluator saw them. */
  readonly facts: RecordedFacts;
  /** Evidence for the facts `spf`, `dkim`, `dmarc`, `arc` and what follows from them; absent where nobody asked. */
  readonly authentication?: RecordedMailAuth;
  readonly parameters: RecordedMailParameters;
  readonly message?: {
    readonly sizeBytes: number;
    /** SHA-256 of the content as received, hex. */
    readonly digest: string;
    readonly messageId?: string;
    readonly from?: string;
    readonly subject?: string;
  };
  readonly recipients: readonly RecordedRecipient[];
  /** Commands inside the transaction that never came to be judged (syntax, too many recipients), the first 50. */
  readonly refusedCommands?: readonly RecordedRefusal[];
  /** Last reply of the transaction as sent; absent when the client left before one was due. */
  readonly reply?: string;
  /** Rule that decided the whole transaction, '' when none did. */
  readonly by: string;
  /** Why it ended without acceptance: `reset`, `quit`, `lost`, `timeout`, `all-recipients-refused`, `content-refused`, … */
  readonly reason?: string;
}

/** One attempt to deliver, as seen by the next hop. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly route: string;
  /** Policy revision whose definition of the route was used. */
  readonly routeRevision: number;
  /** Next hop by name, empty when none could be chosen; for files the path of what was written. */
  readonly host: string;
  readonly address?: string;
  readonly port?: number;
  /** Stage that produced the outcome: connect, banner, ehlo, tls, auth, mail, rcpt, data, content, file, dns, policy. */
  readonly stage: string;
  /** The remote's reply, controls replaced, at most 512 octets; or our description of a network fault. */
  readonly reply: string;
  readonly code?: number;
  readonly enhanced?: string;
  /** Where the route asks for TLS: what came of it. `why` says why it is not encrypted or not verified. */
  readonly tls?: {
    readonly version?: string;
    readonly cipher?: string;
    readonly verified: boolean;
    /** SHA-256 of the next hop's certificate, lower-case hex. */
    readonly fingerprint?: string;
    readonly why?: string;
  };
  /** Keys it left signed with, `domain/selector`. */
  readonly signed?: readonly string[];
  /** Why it left without a signature that it was to have. */
  readonly unsigned?: string;
  /** Key of the ARC seal it left with, and why it left without one that it was to have. */
  readonly sealed?: string;
  readonly unsealed?: string;
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** Next attempt, for deferrals. Milliseconds since the epoch. */
  readonly nextAttemptAtMs?: number;
}

/** An SMTP account as it was before or after a change. Never its password, nor what it is checked against. */
export interface RecordedAccount {
  readonly revision: number;
  readonly identities: readonly string[];
  readonly disabled: boolean;
  /** RFC 3339. */
  readonly expiresAt?: string;
  readonly note?: string;
}

/** A recipient's place in the queue, before or after an operator changed it. */
export interface RecordedPlace {
  /** `queued`, `deferred`, `held`, `suspended`, `broken`. */
  readonly state: string;
  readonly address: string;
  readonly route: string;
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly nextAttemptAtMs: number;
}

/** What an operator did to one recipient in the queue. */
export interface QueueChangeRecord {
  readonly actor: string;
  readonly reason?: string;
  /** The operation that did it to many. */
  readonly operation?: string;
  readonly before: RecordedPlace;
  /** Absent: it is not in the queue any more. */
  readonly after?: RecordedPlace;
}

/** Who changed something that goes on, and why. */
interface Word {
  readonly actor: string;
  readonly reason?: string;
}

export type ReviewAction = 'release' | 'reject' | 'return' | 'discard';

/** How held mail stopped waiting, or did not. */
export interface ReviewEnd {
  readonly queue: string;
  /** Rule that held it. Overridden where a person released the mail. */
  readonly rule: string;
  readonly actor: string;
  readonly reason?: string;
  /** Policy revision that judged the release. */
  readonly revision: number;
}

/** A recipient that the rules added when held mail was released. */
export interface ReleasedCopy {
  readonly id: string;
  readonly address: string;
  readonly route: string;
  /** Rule that added it. */
  readonly by: string;
}

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
