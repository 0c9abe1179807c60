/**
 * What the connections of one listener have in common. A changed setting makes a new one; sessions under way keep the
 * one they began with.
 */
import type { SessionOptions, SmtpLimits, TlsFacts } from '#smtp-core';
import type { Connection } from './connection.js';
import type { Endpoint, ServerSession, SmtpServerHooks } from './hooks.js';
import { usableMechanisms } from './sasl-exchange.js';
import type { Decoy } from './scram.js';
import type { ListenerSettings } from './server-options.js';
import type { Handshakes } from './tls-handshake.js';
import type { Turns } from './turns.js';

/** Lines and chunks that one session reads in one go: less than a millisecond's work. */
const STEPS_AT_ONCE = 64;

export interface ConnectionHost {
  readonly hostname: string;
  readonly hooks: SmtpServerHooks;
  readonly limits: SmtpLimits;
  readonly settings: ListenerSettings;
  readonly handshakes: Handshakes;
  readonly decoy: Decoy;
  readonly turns: Turns;
  /** Monotonic, coarse: moved by the server's tick. */
  readonly clock: { readonly nowMs: number };
  readonly bug: (error: unknown, session: ServerSession | undefined) => void;
  /** The connection is another client's from now on; false when that one has too many. */
  recount(connection: Connection, client: Endpoint): boolean;
  /** The socket is closed. */
  gone(connection: Connection): void;
}

export function sessionOptionsOf(host: ConnectionHost, client: Endpoint, tls: TlsFacts | undefined): SessionOptions {
  const { settings, hooks, hostname, limits } = host;
  const mechanisms = settings.auth === undefined ? [] : usableMechanisms(settings.auth.mechanisms, hooks);
  return {
    hostname,
    limits,
    stepsAtOnce: STEPS_AT_ONCE,
    ...settings.offers,
    unknownBeforeEhlo: settings.unknownBeforeEhlo ?? 'tolerated',
    ...(settings.greetingDelayMs === undefined ? {} : { earlyTalkers: 'told' }),
    ...(settings.tls?.mode === 'starttls' && { startTls: true, tlsRequired: settings.tls.required === true }),
    ...(tls === undefined ? {} : { tls }),
    ...(mechanisms.length > 0 && {
      auth: { mechanisms, withoutTls: settings.auth?.withoutTls === true },
    }),
    authRequired: settings.auth?.required === true,
    ...(settings.xclientFrom?.(client.address) === true && { xclient: true }),
  };
}
