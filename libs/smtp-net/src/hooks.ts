/**
 * What the owner of a server is asked and told. Types only.
 *
 * At most one hook of a session runs at a time. A synchronous answer costs no microtask. A hook that throws or rejects
 * ends its session with 421 4.3.0; the error goes to `onBug`, the process and the other sessions live on.
 */
import type { Answer, ForwardPath, MailParams, Reply, ReversePath, SmtpLimits, TransactionEnd } from '#smtp-core';

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

export interface ServerSession {
  readonly client: Endpoint;
  readonly local: Endpoint;
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

export interface SmtpServerHooks {
  /** A refusal is the banner: 554 or 421, and the connection is closed. */
  connect?(session: ServerSession): MaybePromise<Answer>;
  helo?(session: ServerSession, verb: 'EHLO' | 'HELO', domain: string): MaybePromise<Answer>;
  mail?(session: ServerSession, reversePath: ReversePath, params: MailParams): MaybePromise<Answer>;
  rcpt?(session: ServerSession, forwardPath: ForwardPath): MaybePromise<Answer>;
  /** Without this hook content is discarded. */
  data?(session: ServerSession): MaybePromise<DataAnswer>;
  /** After CRLF.CRLF, when the sink has everything and the content had no fault. */
  message?(session: ServerSession, content: { readonly sizeBytes: number }): MaybePromise<Answer>;
  /** A transaction ended that `message` was never asked about (or whose `message` threw). */
  transactionEnded?(session: ServerSession, why: TransactionEnd, reply?: Reply): void;
  /** Always the last call of a session. */
  sessionEnded?(session: ServerSession, reason: string): void;
}

export interface SmtpServerOptions {
  /** The name in the banner, in EHLO replies and in the trace. */
  readonly hostname: string;
  readonly limits?: Partial<SmtpLimits>;
  readonly hooks: SmtpServerHooks;
  /** Told of every throw of a hook or of this library; the session has been given 421 already. */
  readonly onBug?: (error: unknown, session: ServerSession | undefined) => void;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Over the server's limits, for this listener only. */
  readonly limits?: Partial<SmtpLimits>;
  /** How often deadlines are looked at, in milliseconds. Default 1000. */
  readonly tickMs?: number;
}

export interface SmtpListener {
  readonly address: string;
  readonly port: number;
  /** Stops accepting; 421 to idle sessions; transactions may end within `graceMs`, then connections are cut. */
  stop(graceMs: number): Promise<void>;
  /** Gives address and port free at once; sessions go on. Followed by `resume`, `drain` or `stop`. */
  pause(): void;
  /** Listens again after `pause`; rejects when the address was taken meanwhile. */
  resume(): Promise<void>;
  /** Stops accepting; sessions go on to their own end. Resolves when the last one has ended. */
  drain(): Promise<void>;
}

export interface SmtpServer {
  listen(options: ListenOptions): Promise<SmtpListener>;
  /** Replaces the server's limits (not those of a listener's own) for sessions that begin from now on. */
  setLimits(limits: Partial<SmtpLimits>): void;
  /** Stops every listener as `stop` does. */
  close(graceMs: number): Promise<void>;
  readonly connections: number;
}
