/**
 * What goes into and comes out of `SmtpServerSession`: inputs, outputs, questions, answers. Types only.
 */
import type { ForwardPath, ReversePath } from './path.js';
import type { SmtpLimits } from './limits.js';
import type { Reply } from './reply.js';

export type BodyType = '7BIT' | '8BITMIME';

/** The parameters of MAIL that were given. */
export interface MailParams {
  readonly sizeBytes?: number;
  readonly body?: BodyType;
  /** RFC 6531: addresses and header fields may hold UTF-8. */
  readonly smtpUtf8?: true;
  /** RFC 3461 s4.3: how much of the message a failure report returns. */
  readonly ret?: 'FULL' | 'HDRS';
  /** RFC 3461 s4.4: xtext as given, at most 100 characters, checked. */
  readonly envelopeId?: string;
  /** RFC 4954 s5: who submitted the message; xtext as given, or `<>`. An assertion of the client's, nothing more. */
  readonly authParam?: string;
}

export type NotifyWord = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY';

/** The parameters of RCPT that were given. RFC 3461 s4.1, s4.2. */
export interface RcptParams {
  /** `NEVER` stands alone. */
  readonly notify?: readonly NotifyWord[];
  /** `addr-type;address` as given, at most 500 characters, checked: xtext for `rfc822`, RFC 6533 s3 for `utf-8`. */
  readonly originalRecipient?: string;
}

/** What the driver knows of an established TLS layer. */
export interface TlsFacts {
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  readonly cipher: string;
  /** The name the client asked for (SNI). */
  readonly serverName?: string;
  readonly clientCertificate?: {
    readonly commonName?: string;
    /** dNSName and rfc822Name of the subject's alternative names. */
    readonly names: readonly string[];
    /** SHA-256 of the certificate, lower-case hex without colons. */
    readonly fingerprint: string;
    /** Signed by an authority this server trusts. */
    readonly authorized: boolean;
  };
}

/** Who the client has proved to be. */
export interface AuthFacts {
  readonly identity: string;
  readonly mechanism: string;
}

/** Asked before the machine goes on; nothing further is read until it is answered. */
export type Question =
  | { readonly kind: 'connect' }
  | { readonly kind: 'helo'; readonly verb: 'EHLO' | 'HELO'; readonly domain: string }
  | AuthQuestion
  /**
   * The attributes of XCLIENT by upper-case name, xtext decoded; `[UNAVAILABLE]` and `[TEMPUNAVAIL]` as they are.
   * Accepted, the session begins anew: `connect` is asked again.
   */
  | { readonly kind: 'xclient'; readonly attributes: ReadonlyMap<string, string> }
  | { readonly kind: 'mail'; readonly reversePath: ReversePath; readonly params: MailParams }
  | { readonly kind: 'rcpt'; readonly forwardPath: ForwardPath; readonly params: RcptParams }
  | { readonly kind: 'data' }
  | { readonly kind: 'message'; readonly sizeBytes: number };

/** One step of a SASL exchange. RFC 4954 s4. */
export interface AuthQuestion {
  readonly kind: 'auth';
  /** Upper case; one of those offered. */
  readonly mechanism: string;
  /** `start` begins a new exchange, whatever became of the one before. */
  readonly step: 'start' | 'continue';
  /** Base64 already decoded. Undefined: `start` without an initial response. */
  readonly response: Buffer | undefined;
}

/**
 * `accept` takes a 2xx reply instead of the catalogue's; `refuse` needs 4xx or 5xx. 421 always closes. `trace` names the
 * transaction that `mail` begins: it ends every refusal that this machine utters in it.
 */
export type Answer =
  | { readonly effect: 'accept'; readonly reply?: Reply; readonly trace?: string }
  | { readonly effect: 'refuse'; readonly reply: Reply; readonly close?: boolean };

/** The answer to `auth`: go on with a challenge, or done. The identity an `accept` names is the session's from then on. */
export type AuthAnswer =
  | { readonly effect: 'challenge'; readonly challenge: Buffer }
  | { readonly effect: 'accept'; readonly identity: string; readonly reply?: Reply }
  | { readonly effect: 'refuse'; readonly reply?: Reply; readonly close?: boolean };

/** Grows by one with each question of a session. An answer to another one than the open one is ignored. */
export type QuestionId = number;

/** Why a transaction ended without being answered by `message`. `fault`: a hook or sink of it has thrown. */
export type TransactionEnd = 'reset' | 'helo' | 'quit' | 'lost' | 'timeout' | 'content-refused' | 'closed' | 'fault';

export type CloseReason =
  | 'quit'
  | 'eof'
  | 'lost'
  | 'timeout'
  | 'refused'
  | 'protocol-error'
  | 'too-many-errors'
  | 'shutdown'
  | 'internal-error';

export type SessionInput =
  /** However the network cut them. Content outputs are views of these octets. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** The client will send no more; what it has sent is still answered. */
  | { readonly kind: 'eof' }
  /** The connection is gone: unread octets are dropped. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'timeout' }
  /** Where the session waits for its `turn`. */
  | { readonly kind: 'go-on' }
  /** Only behind the output `start-tls`: what comes from now on came through TLS. */
  | { readonly kind: 'tls-established'; readonly tls: TlsFacts }
  | { readonly kind: 'answer'; readonly to: QuestionId; readonly answer: Answer | AuthAnswer }
  /** `now`: reply and close. `idle`: as soon as no transaction is open. */
  | { readonly kind: 'close'; readonly reply: Reply; readonly reason: CloseReason; readonly when: 'now' | 'idle' };

/** A command of a transaction that this machine refused by itself: its syntax, its place, a limit. */
export interface RefusedCommand {
  readonly verb: 'MAIL' | 'RCPT';
  /** As it was sent, one character per octet, without CR LF. Hostile text. */
  readonly line: string;
}

export type SessionOutput =
  /** `refused`: the command it refuses, when nobody was asked about it. */
  | { readonly kind: 'reply'; readonly reply: Reply; readonly refused?: RefusedCommand }
  | { readonly kind: 'ask'; readonly id: QuestionId; readonly question: Question }
  /** Unstuffed octets, CRLF kept; valid until the bytes they came in are reused. */
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  /** The 220 before it is the last octet in the clear. Answered by `tls-established`, `eof`, `lost` or `timeout`. */
  | { readonly kind: 'start-tls' }
  | { readonly kind: 'transaction-ended'; readonly why: TransactionEnd; readonly reply?: Reply }
  /** Always the last output. */
  | { readonly kind: 'close'; readonly reason: CloseReason };

/** Counted since the session began. */
export interface SessionCounters {
  readonly commands: number;
  readonly errors: number;
  readonly transactions: number;
}

export interface SessionOptions {
  readonly hostname: string;
  readonly limits?: Partial<SmtpLimits>;
  /** `enforced`: octets waiting behind EHLO or DATA end the session (RFC 2920 s3.1). Default `enforced`. */
  readonly syncPoints?: 'enforced' | 'tolerated';
  /**
   * Octets before the greeting. `refused`: 554 and close, the default. `told`: they are held, the session goes on, and
   * `earlyTalker` says so.
   */
  readonly earlyTalkers?: 'refused' | 'told';
  /** `refused`: a line before EHLO that is no command of SMTP ends the session with 421. Default `tolerated`. */
  readonly unknownBeforeEhlo?: 'refused' | 'tolerated';
  /** Offers STARTTLS. */
  readonly startTls?: boolean;
  /** Implicit TLS: established before the session began. */
  readonly tls?: TlsFacts;
  /** 530 to everything that needs TLS before it is there. */
  readonly tlsRequired?: boolean;
  /** Offers AUTH, under TLS or `withoutTls`. */
  readonly auth?: { readonly mechanisms: readonly string[]; readonly withoutTls?: boolean };
  /** 530 to MAIL before authentication. */
  readonly authRequired?: boolean;
  /** Offers XCLIENT. */
  readonly xclient?: boolean;
  /** On unless set to false: SMTPUTF8, CHUNKING, DSN. */
  readonly smtpUtf8?: boolean;
  readonly chunking?: boolean;
  readonly dsn?: boolean;
  /**
   * How many lines and pieces of content one call reads; after that many the session waits for its `turn`, so that no
   * call takes long whatever it is given. Default: all there are.
   */
  readonly stepsAtOnce?: number;
}

/** What the session waits for: the driver picks its deadline by it. */
export type Awaited = 'answer' | 'turn' | 'command' | 'rest-of-line' | 'content' | 'tls' | 'nothing';
