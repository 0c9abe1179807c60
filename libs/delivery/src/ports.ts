/**
 * What the relay worker needs from the world: a queue, names, clocks, a way out. Implemented by `database`
 * (queue), and by the gateway (the rest); faked by nothing but a hand-moved clock in tests.
 */
import type { AttemptRecord, AuditEvent, RecordedFacts, RecordedSnapshot } from '#audit';
import type { ClientFault, RecipientResult, Reply } from '#smtp-core';
import type { AttemptAnswer } from './attempt-outcome.js';
import type { NoticeAction } from './notice-wishes.js';
import type { FileRoute, FlowLimit, RouteDefinition, SmtpRoute } from './route.js';

/** Content of a message: in memory, or a file in the spool. Octets are canonical CRLF, Received line included. */
export type ContentSource =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'spool';
      readonly file: string;
      readonly sizeBytes: number;
      /** Instead of the file's first `fromByte` octets stand these. */
      readonly edited?: { readonly head: Uint8Array; readonly fromByte: number };
    };

/** A change to the header of outgoing mail. Edits come first, whatever their place; signatures cover what they made. */
export type HeaderChange = FieldEdit | ResultsChange | SignatureChange | SealChange;

/** `set` removes what is there and adds one. */
export interface FieldEdit {
  readonly op: 'set' | 'add' | 'remove';
  readonly name: string;
  readonly value?: string;
}

/** A DKIM signature is added, where the author is of this domain. */
export interface SignatureChange {
  readonly op: 'sign';
  readonly domain: string;
  readonly selector: string;
  /** Name of the secret that is the key. */
  readonly secret: string;
}

/** Authentication-Results: those that came under our name go, and ours stands on top. RFC 8601 s5. */
export interface ResultsChange {
  readonly op: 'results';
  readonly authservId: string;
  /** Body of the field, in one line; absent: there is nothing to tell. */
  readonly value?: string;
}

/** A set of ARC fields is added, on top of everything else. RFC 8617. */
export interface SealChange {
  readonly op: 'seal';
  readonly domain: string;
  readonly selector: string;
  readonly secret: string;
  /** What the chain was found to be when the message came; `unknown` can not be sealed. */
  readonly chain: 'none' | 'pass' | 'fail' | 'unknown';
  /** Authentication-Results that are sealed, in one line. */
  readonly results: string;
}

/** Mail that is not attempted until a person, or its expiry, decides. */
export interface HeldForReview {
  readonly queue: string;
  /** Rule that holds it. */
  readonly rule: string;
  /** Milliseconds since the epoch. */
  readonly heldAtMs: number;
  readonly expiresAtMs: number;
  /** Its own verdict, where others of the transaction got another answer. */
  readonly instead?: string;
  readonly preview: {
    readonly fields: readonly { readonly name: string; readonly value: string }[];
    readonly text: string;
  };
}

/** What the sender asked of the message as a whole. RFC 3461 s4.3, s4.4; RFC 6531 s3.4. */
export interface SenderWishes {
  /** How much of the message a notice of failure returns; absent: the header. */
  readonly ret?: 'FULL' | 'HDRS';
  /** ENVID as given, in xtext. */
  readonly envelopeId?: string;
  /** Addresses or header are UTF-8: the next hop must offer SMTPUTF8. */
  readonly smtpUtf8?: true;
}

/** What the sender asked for one recipient. RFC 3461 s4.1, s4.2. */
export interface RecipientWishes {
  /** NEVER alone, or some of SUCCESS, FAILURE, DELAY. Absent: FAILURE, and DELAY if the retry profile says so. */
  readonly notify?: readonly string[];
  /** ORCPT as given: `rfc822;xtext`. */
  readonly originalRecipient?: string;
}

export interface RecipientToStore extends RecipientWishes {
  readonly id: string;
  readonly address: string;
  readonly route: string;
  readonly headerChanges?: readonly HeaderChange[];
  /** Present: the recipient is stored as held, leased to nobody. */
  readonly review?: HeldForReview;
}

/** A message as it is committed: everything relay needs, and the audit rows that go in the same commit. */
export interface MessageToStore extends SenderWishes {
  /** UUIDv7: the transaction's id. */
  readonly id: string;
  /** Reverse path, '' for the null sender. */
  readonly sender: string;
  readonly content: ContentSource;
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  readonly policyRevision: number;
  readonly recipients: readonly RecipientToStore[];
  /** True: rows are inserted leased to this node, first attempt from memory. False: due at once for any poller. */
  readonly leased: boolean;
  readonly events: readonly AuditEvent[];
}

/** One recipient's place in the queue, under this node's lease. */
export interface QueuedRecipient extends RecipientWishes {
  readonly id: string;
  readonly address: string;
  readonly route: string;
  /** Attempts already made before this one. */
  readonly attempts: number;
  /** The sender was told that delivery takes longer. */
  readonly delayNotified?: true;
}

/** A claimed message: some or all of its recipients, all of one route. */
export interface QueuedMessage extends SenderWishes {
  readonly id: string;
  readonly sender: string;
  readonly content: ContentSource;
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  readonly policyRevision: number;
  /** Milliseconds since the epoch when it was accepted; age decides about giving up. */
  readonly acceptedAtMs: number;
  readonly recipients: readonly QueuedRecipient[];
  /** To be made before it goes out; who reads `content` sees them made already. */
  readonly headerChanges?: readonly HeaderChange[];
  /**
   * A reply that a person or a review gave instead of the next hop: nothing is attempted. 5xx: the recipients have failed
   * with it; 4xx: they are given up now, as if their time were over.
   */
  readonly refusal?: string;
  /** Why it can not leave now, where that is ours to mend: nothing is attempted, and it is tried again. */
  readonly unready?: string;
  /** Signatures it was given, as policies name them: `example.com/s1`. */
  readonly signed?: readonly string[];
  /** Why it leaves without a signature that it was to have. */
  readonly unsigned?: string;
  /** Its ARC seal, in the same way; why it leaves without one. */
  readonly sealed?: string;
  readonly unsealed?: string;
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
      /** With this outcome a delay notice is committed. */
      readonly delayNotified?: true;
      readonly event: AuditEvent;
    };

/** A recipient's row under a lease. */
export interface Lease {
  readonly recipientId: string;
  readonly messageId: string;
  /** Given back, it is due after so long: somebody else wants to change it first. */
  readonly pauseMs?: number;
}

/** What a worker knows of its destinations when it asks for more. */
export interface ClaimWishes {
  /** Routes on which each domain is a destination of its own (`mx`). */
  readonly byDomain: readonly string[];
  /** Destinations that want no more than so many recipients; without `domain` the route is one destination. */
  readonly limited: readonly { readonly route: string; readonly domain?: string; readonly room: number }[];
}

export interface QueueStore {
  /**
   * Leases due rows (`for update skip locked`), oldest first, fair between routes and destinations, at most `limit`
   * recipients, and loads their messages. Rows whose message content is gone come back in `broken` and stay leased.
   */
  claim(limit: number, wishes?: ClaimWishes): Promise<readonly QueuedMessage[]>;
  /**
   * Commits outcomes and, in the same transaction, the notices (bounces) they cause. Only rows still leased to this
   * node change; ids of the others are returned as `lost` (their outcome is discarded, a `delivery.lease-lost` event
   * is written instead).
   */
  record(
    outcomes: readonly RecipientOutcome[],
    notices: readonly MessageToStore[],
  ): Promise<{ readonly lost: readonly string[] }>;
  /** Gives leases back unattempted: due at once for any node, or parked where the recipient's destination is suspended. */
  release(leases: readonly Lease[]): Promise<void>;
}

export interface Clock {
  nowMs(): number;
}

/** An answer of the DNS. `none`: the name exists without such a record; `failed`: nobody knows (SERVFAIL, time-out). */
export type DnsAnswer<T> =
  | { readonly kind: 'found'; readonly values: readonly T[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'no-domain' }
  | { readonly kind: 'failed'; readonly message: string };

export interface MxRecord {
  /** Lower case, no final dot; '' is the root (null MX, RFC 7505). */
  readonly exchange: string;
  readonly priority: number;
}

export interface Resolver {
  mx(domain: string): Promise<DnsAnswer<MxRecord>>;
  /** Textual addresses, IPv4 before IPv6. */
  addresses(host: string): Promise<DnsAnswer<string>>;
}

/** One address of one host: what a connection is made to. */
export interface Target {
  readonly host: string;
  /** Or the path of a socket. */
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string;
}

export interface OutboundMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: ContentSource;
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  /** The header is UTF-8: a next hop without SMTPUTF8 cannot take it. */
  readonly smtpUtf8?: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envelopeId?: string;
  /** In the order of `recipients`. */
  readonly recipientParameters?: readonly RecipientWishes[];
}

/** What TLS to a next hop came to, as it is recorded. */
export type AttemptTls = NonNullable<AttemptRecord['tls']>;

/** A greeted connection. `send` never rejects; it may be called again before the last one settled. */
export interface OutboundConnection {
  readonly usable: boolean;
  /** The next envelope can leave together with the content before it. */
  readonly pipelining: boolean;
  /** Transactions answered so far. */
  readonly completed: number;
  /** The next hop offers DSN: it reports by itself what the sender asked to be told. */
  readonly dsn: boolean;
  /** Absent where the route asks for no TLS. */
  readonly tls?: AttemptTls;
  send(message: OutboundMessage): Promise<{ readonly recipients: readonly RecipientResult[] }>;
  /** Politely, after what is on the wire. */
  quit(): void;
  destroy(): void;
  onClose(listener: () => void): void;
}

export type ConnectResult =
  | { readonly ok: true; readonly connection: OutboundConnection }
  | { readonly ok: false; readonly fault: ClientFault; readonly reply?: Reply };

export interface Transport {
  /** Never rejects. */
  connect(target: Target, route: SmtpRoute): Promise<ConnectResult>;
  /** Cuts off every connection, those being made included; what was on them comes back as lost. */
  abort(): void;
}

export interface FileDelivery {
  readonly message: QueuedMessage;
  readonly recipients: readonly QueuedRecipient[];
}

/** Writes messages to files, durably; one answer per delivery, in order. `path` names what was written. Never rejects. */
export interface FileStore {
  deliver(
    route: Pick<FileRoute, 'directory' | 'format'>,
    deliveries: readonly FileDelivery[],
  ): Promise<readonly { readonly path: string; readonly answer: AttemptAnswer }[]>;
}

/** The live definition of a route, by the name that the queue stores. */
export interface RouteSource {
  route(name: string): { readonly definition: RouteDefinition; readonly revision: number } | undefined;
}

/** Where a bounce goes, as the live policy routes it: only to addresses this gateway would relay to. */
export interface NoticeRouting {
  readonly route: string;
  /** After rewriting. */
  readonly address: string;
  readonly policyRevision: number;
  readonly snapshot: RecordedSnapshot;
  /** The rule that routed it. */
  readonly by: string;
  readonly facts: RecordedFacts;
  /** Signatures of the notice. */
  readonly headerChanges?: readonly HeaderChange[];
}

/** What the live policy says about notices. */
export interface NoticeRules {
  /** `multipart` is RFC 3464, for people and programs; `plain` one text for people. */
  readonly form: 'multipart' | 'plain';
  /** To addresses of one domain, all gateways together. */
  readonly limit: FlowLimit;
  /** Words in place of our own; `{gateway}` and `{retry-until}` stand for what they say. Lines end in LF. */
  readonly words: Readonly<Partial<Record<NoticeAction, { readonly subject?: string; readonly text?: string }>>>;
}

/** What the worker needs besides queue and ways out. */
export interface RelayEnvironment {
  readonly clock: Clock;
  /** [0, 1). */
  random(): number;
  /** How many gateways, this one included, work on the queue: they share rate limits. */
  gateways(): number;
  newId(): string;
  sha256Hex(bytes: Uint8Array): string;
  /** Events that belong to no change of a queue row. */
  appendEvents(events: readonly AuditEvent[]): void;
  routeNotice(recipient: string): NoticeRouting | undefined;
  /** Undefined where the policy says nothing: our own words, a thousand an hour to each domain. */
  noticeRules(): NoticeRules | undefined;
  /** The first octets of a content that is not in memory. */
  readHead(content: ContentSource, maxBytes: number): Promise<Uint8Array>;
  /** Whether an operator has suspended mail to this domain (lower case). */
  isSuspended(domain: string): boolean;
  /** Is this address one of our own listeners? Loops are cut there. RFC 5321 s5.1. */
  isSelf(host: string, address: string | undefined, port: number): boolean;
  /** Problems of the machinery, not of mail: one line each. */
  warn(message: string, error?: unknown): void;
}
