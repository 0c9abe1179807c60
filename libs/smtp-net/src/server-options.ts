/**
 * What a server and its listeners are made with, and what can be done to them. Types only.
 */
import type { SecureContext } from 'node:tls';
import type { SmtpLimits } from '#smtp-core';
import type { ServerSession, SmtpServerHooks } from './hooks.js';

export interface SmtpServerOptions {
  /** The name in the banner, in EHLO replies and in the trace. */
  readonly hostname: string;
  readonly limits?: Partial<SmtpLimits>;
  readonly hooks: SmtpServerHooks;
  /** Told of every throw of a hook or of this library; the session has been given 421 already. */
  readonly onBug?: (error: unknown, session: ServerSession | undefined) => void;
  /** How a SCRAM exchange for an unknown name looks; give all nodes the same, and keep it over restarts. */
  readonly scramDecoy?: ScramDecoy;
}

export interface ScramDecoy {
  /** At least 16 octets that nobody else knows. By default drawn anew for each server. */
  readonly secret?: Uint8Array;
  /** As real accounts have them. Defaults: 4096 and 16. */
  readonly iterations?: number;
  readonly saltBytes?: number;
}

export interface TlsSettings {
  /** `implicit`: TLS begins with the connection. `starttls`: offered after EHLO. */
  readonly mode: 'starttls' | 'implicit';
  /** With `starttls`: 530 to MAIL and AUTH before TLS. */
  readonly required?: boolean;
  /**
   * The certificate for a name (SNI), or for a client that names none. Asked at each handshake, so that a renewed one
   * applies at once; sessions under way notice nothing. Best made by `createServerContext`.
   */
  secureContext(serverName: string | undefined): SecureContext;
  /** `request`: asked for, not demanded; `session.tls.clientCertificate.authorized` tells. Default `none`. */
  readonly clientCertificates?: 'none' | 'request';
}

export interface AuthSettings {
  /** Of PLAIN, LOGIN and SCRAM-SHA-256, in the order offered; offered are those whose hook is there. */
  readonly mechanisms: readonly string[];
  /** Passwords in the clear are let pass. */
  readonly withoutTls?: boolean;
  /** 530 to MAIL before authentication. */
  readonly required?: boolean;
}

/** On unless set to false. */
export interface Offers {
  readonly smtpUtf8?: boolean;
  readonly chunking?: boolean;
  readonly dsn?: boolean;
}

/** What may be changed while a listener is open; applies to sessions that begin from then on. */
export interface ListenerSettings {
  /** Told to the hooks as `session.listener`. */
  readonly name?: string | undefined;
  /** Over the server's limits, for this listener only. */
  readonly limits?: Partial<SmtpLimits> | undefined;
  readonly tls?: TlsSettings | undefined;
  readonly auth?: AuthSettings | undefined;
  /** What EHLO is not to offer, because the program cannot keep it: `dsn: false` where NOTIFY goes nowhere. */
  readonly offers?: Offers | undefined;
  /** `refused`: a line before EHLO that is no command of SMTP ends the session. For listeners that strangers reach. */
  readonly unknownBeforeEhlo?: 'refused' | 'tolerated' | undefined;
  /** Every connection begins with a PROXY header; whoever is not listed here is cut off without a word. */
  readonly proxyFrom?: ((address: string) => boolean) | undefined;
  /** XCLIENT is offered to these peers. */
  readonly xclientFrom?: ((address: string) => boolean) | undefined;
  /** The banner waits as long; who speaks before it is told to `connect` as `earlyTalker`. */
  readonly greetingDelayMs?: number | undefined;
}

export interface ListenOptions extends ListenerSettings {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** How often deadlines are looked at, in milliseconds. Default 1000. */
  readonly tickMs?: number;
}

export interface SmtpListener {
  readonly address: string;
  readonly port: number;
  /** Changes what is given, keeps the rest; `undefined` switches a setting off. Sessions under way keep theirs. */
  setOptions(settings: ListenerSettings): void;
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
