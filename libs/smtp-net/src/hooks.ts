/**
 * What the owner of a server is asked and told. Types only.
 *
 * At most one hook of a session runs at a time. A synchronous answer costs no microtask. When a hook
 * throws, rejects or contradicts itself its command is answered 451 4.3.0 (AUTH 454; `connect` 421 4.3.0, and closes), and
 * so is the message whose sink has thrown; the error goes to `onBug`, the session and the process live on.
 */
import type {
  Answer,
  AuthFacts,
  ForwardPath,
  MailParams,
  RcptParams,
  RefusedCommand,
  Reply,
  ReversePath,
  TlsFacts,
  TransactionEnd,
} from '#smtp-core';

export type MaybePromise<T> = T | Promise<T>;

/** Takes the content of one message, in order. A promise is back-pressure: nothing more is read until it resolves. */
export interface ContentSink {
  /** `chunk` is only valid during the call, unless the sink copies it. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** The content will not be completed: refused, too big, or the client is gone. Not called after `message`. */
  abort(): void;
}

export type DataAnswer =
  | { readonly effect: 'accept'; readonly sink: ContentSink }
  | { readonly effect: 'refuse'; readonly reply: Reply; readonly close?: boolean };

export interface SessionTraffic {
  readonly commands: number;
  readonly errors: number;
  readonly transactions: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What a front end told of the client it stands for (XCLIENT); what it does not know is left out. */
export interface XclientFacts {
  /** The client's name, as the front end's resolver has it. */
  readonly name?: string;
  readonly helo?: string;
  readonly protocol?: string;
  /** Who the client proved to be, to the front end. */
  readonly login?: string;
  /** Where the client connected to. */
  readonly destination?: Endpoint;
}

export interface ServerSession {
  /** Who sends mail: behind a PROXY header or XCLIENT the client told there. */
  readonly client: Endpoint;
  /** The other end of the TCP connection. */
  readonly peer: Endpoint;
  /** Where the client connected to; behind XCLIENT what was told of it. */
  readonly local: Endpoint;
  /** `name` of the listener, '' when it has none. */
  readonly listener: string;
  readonly tls: TlsFacts | undefined;
  readonly auth: AuthFacts | undefined;
  /** The client spoke before it was greeted; only listeners with `greetingDelayMs` tell. */
  readonly earlyTalker: boolean;
  readonly xclient: XclientFacts | undefined;
  /** The name of the last accepted EHLO or HELO. */
  readonly helo: string | undefined;
  readonly protocol: 'SMTP' | 'ESMTP';
  readonly counters: SessionTraffic;
  readonly startedAtMs: number;
  /** A slot for the owner of the hooks; never touched here. */
  state: unknown;
  /** Ends the session now, with this reply (421 4.3.2 by default). */
  close(reply?: Reply): void;
}

/** A name and a password, over PLAIN or LOGIN. Both as sent: UTF-8, no NUL. */
export interface PasswordCredentials {
  readonly mechanism: 'PLAIN' | 'LOGIN';
  readonly username: string;
  /** Whom the client wants to act for, when it is another than `username`. */
  readonly authorizationId?: string;
  readonly password: string;
}

/**
 * `identity` is who the session is from now on, `username` by default. A client that wants to act for another
 * (`authorizationId`) is accepted only with exactly that identity.
 */
export type PasswordAnswer = { readonly effect: 'accept'; readonly identity?: string } | AuthRefusal;

/** 535 5.7.8 by default; say 454 4.7.0 when it cannot be found out. */
export interface AuthRefusal {
  readonly effect: 'refuse';
  readonly reply?: Reply;
  readonly close?: boolean;
}

/** What is stored of a password for SCRAM-SHA-256. RFC 5802 s3. */
export interface ScramCredentials {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
  readonly identity?: string;
}

/** The end of one SASL exchange in which a name was given. */
export interface AuthOutcome {
  readonly mechanism: string;
  readonly username: string;
  /** `abandoned`: the client broke off, or left, before it proved anything. */
  readonly result: 'proved' | 'failed' | 'abandoned';
}

/** Why a connection never became a session. */
export type TurnedAway = 'too-many-connections' | 'not-a-proxy' | 'bad-proxy-header' | 'tls-failed' | 'stopping';

export interface SmtpServerHooks {
  /** A refusal is the banner: 554 or 421, and the connection is closed. Asked again after XCLIENT. */
  connect?(session: ServerSession): MaybePromise<Answer>;
  helo?(session: ServerSession, verb: 'EHLO' | 'HELO', domain: string): MaybePromise<Answer>;
  mail?(session: ServerSession, reversePath: ReversePath, params: MailParams): MaybePromise<Answer>;
  rcpt?(session: ServerSession, forwardPath: ForwardPath, params: RcptParams): MaybePromise<Answer>;
  /** Without this hook content is discarded. */
  data?(session: ServerSession): MaybePromise<DataAnswer>;
  /** After CRLF.CRLF, when the sink has everything and the content had no fault. */
  message?(session: ServerSession, content: { readonly sizeBytes: number }): MaybePromise<Answer>;
  /** Passwords of PLAIN and LOGIN. Neither is offered without this hook. */
  authenticate?(session: ServerSession, credentials: PasswordCredentials): MaybePromise<PasswordAnswer>;
  /**
   * What SCRAM-SHA-256 needs; not offered without this hook. Undefined when there is no such account: the exchange is
   * played to its end with a made-up salt, so that names cannot be found out. A refusal ends it at once.
   */
  scramCredentials?(session: ServerSession, username: string): MaybePromise<ScramCredentials | AuthRefusal | undefined>;
  /** Told of every exchange that gave a name. The client hears of the outcome when this has settled. */
  authenticated?(session: ServerSession, outcome: AuthOutcome): MaybePromise<void>;
  /** Told of every MAIL and RCPT that was refused before a hook was asked: its syntax, its place, a limit. */
  commandRefused?(session: ServerSession, command: RefusedCommand, reply: Reply): void;
  /** What a refusal because a hook threw is to be named by, outside of a transaction that has a `trace`. */
  traceOf?(session: ServerSession): string | undefined;
  /** A transaction ended that `message` was never asked about (or whose `message` threw: `fault`). */
  transactionEnded?(session: ServerSession, why: TransactionEnd, reply?: Reply): void;
  /** Always the last call of a session. */
  sessionEnded?(session: ServerSession, reason: string): void;
  /** A connection that never became a session; none of the other hooks hears of it. To be quick in a flood. */
  turnedAway?(client: Endpoint, why: TurnedAway, listener: string): void;
}
