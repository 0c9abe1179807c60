/**
 * `createSmtpServer`: several listeners with the same hooks, counted together.
 */
import { randomBytes } from 'node:crypto';
import { Caps } from './caps.js';
import { Listener } from './listener.js';
import type { ServerCore } from './listener.js';
import type { ListenOptions, SmtpListener, SmtpServer, SmtpServerOptions } from './server-options.js';
import { Handshakes } from './tls-handshake.js';
import { Turns } from './turns.js';

/** What servers make of a password for SCRAM when nobody says otherwise. RFC 7677 s4. */
const SCRAM_ITERATIONS = 4096;
const SCRAM_SALT_BYTES = 16;

export function createSmtpServer(options: SmtpServerOptions): SmtpServer {
  const listeners = new Set<Listener>();
  const bug: ServerCore['bug'] = (error, session) => options.onBug?.(error, session);
  const {
    secret = randomBytes(32),
    iterations = SCRAM_ITERATIONS,
    saltBytes = SCRAM_SALT_BYTES,
  } = {
    ...options.scramDecoy,
  };
  const core: ServerCore = {
    hostname: options.hostname,
    hooks: options.hooks,
    bug,
    decoy: { secret, iterations, saltBytes },
    caps: new Caps(),
    turns: new Turns(),
    handshakes: new Handshakes((error) => {
      bug(error, undefined);
    }),
    limits: options.limits ?? {},
  };
  return {
    async listen(where: ListenOptions): Promise<SmtpListener> {
      const listener = new Listener(core, where, () => listeners.delete(listener));
      listeners.add(listener);
      try {
        await listener.open();
      } catch (error) {
        listeners.delete(listener);
        throw error;
      }
      return listener;
    },
    setLimits(limits): void {
      core.limits = limits;
      for (const listener of listeners) listener.renew();
    },
    async close(graceMs: number): Promise<void> {
      await Promise.all(Array.from(listeners, (listener) => listener.stop(graceMs)));
    },
    get connections(): number {
      return core.caps.connections;
    },
  };
}
