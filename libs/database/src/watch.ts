/**
 * One connection that tells whether the database is there, and carries its notifications. It checks the server's
 * fitness whenever it connects (a fail-over may lead to another server), probes when somebody suspects a failure,
 * and reconnects with jittered back-off. Never throws into the event loop.
 */
import { Client } from 'pg';
import { clientSettings } from './connections.js';
import type { DatabaseConfig } from './database-config.js';
import { toOperationalError, type OperationalError } from './operational-error.js';
import { checkServer } from './server-checks.js';

const PROBE_TIMEOUT_MS = 900;
const PROBE_EVERY_MS = 5_000;
const BACK_OFF_MS = { first: 50, most: 2_000 };

export type HealthListener = (healthy: boolean, why?: OperationalError) => void;
export type NotificationHandler = (channel: string, payload: string) => void;

export class Watch {
  readonly #config: DatabaseConfig;
  readonly #healthListeners = new Set<HealthListener>();
  readonly #handlers = new Map<string, Set<NotificationHandler>>();
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #probing = false;
  #closed = false;
  #healthy = false;
  #backOffMs = BACK_OFF_MS.first;
  /** Why the database is not usable now. */
  lastFailure: OperationalError | undefined;

  constructor(config: DatabaseConfig) {
    this.#config = config;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  onHealth(listener: HealthListener): () => void {
    this.#healthListeners.add(listener);
    return () => this.#healthListeners.delete(listener);
  }

  /** Hears notifications of the channels. A hint only: none is repeated after a lost connection; then channel '' is told. */
  async listen(channels: readonly string[], handler: NotificationHandler): Promise<() => void> {
    for (const channel of channels) {
      const handlers = this.#handlers.get(channel) ?? new Set();
      handlers.add(handler);
      this.#handlers.set(channel, handlers);
    }
    if (this.#client !== undefined && this.#healthy) {
      try {
        await this.#client.query(listenText(channels));
      } catch {
        this.suspect();
      }
    }
    return () => {
      for (const channel of channels) this.#handlers.get(channel)?.delete(handler);
    };
  }

  /** First connection: failures are the caller's. */
  async start(): Promise<void> {
    await this.#connect();
    this.#schedule(PROBE_EVERY_MS);
  }

  /** Somebody saw a failure or a long silence: find out now. */
  suspect(): void {
    if (this.#closed || this.#probing || !this.#healthy) return;
    void this.#probe();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const client = new Client({ ...clientSettings(this.#config, this.#config.connectTimeoutMs * 2) });
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    client.on('notification', ({ channel, payload }) => this.#tell(channel, payload ?? ''));
    try {
      await client.connect();
      await checkServer(client);
      if (this.#handlers.size > 0) await client.query(listenText([...this.#handlers.keys()]));
    } catch (error) {
      void client.end().catch(() => undefined);
      throw toOperationalError(error, false);
    }
    if (this.#closed) {
      await client.end().catch(() => undefined);
      return;
    }
    this.#client = client;
    this.#backOffMs = BACK_OFF_MS.first;
    this.#setHealthy(true);
  }

  #lost(client: Client, why?: unknown): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    void client.end().catch(() => undefined);
    this.#setHealthy(false, toOperationalError(why ?? new Error('the connection was lost'), false));
    if (!this.#closed) this.#schedule(0);
  }

  async #probe(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#probing = true;
    const timer = setTimeout(() => this.#lost(client, new Error('no answer to a probe')), PROBE_TIMEOUT_MS);
    try {
      await client.query('select 1');
    } catch (error) {
      this.#lost(client, error);
    } finally {
      clearTimeout(timer);
      this.#probing = false;
    }
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tick(), delayMs);
    this.#timer.unref();
  }

  async #tick(): Promise<void> {
    if (this.#closed) return;
    // A probe that fails has scheduled the reconnection itself.
    if (this.#client !== undefined) await this.#probe();
    else if (!(await this.#reconnect())) return;
    if (this.#healthy) this.#schedule(PROBE_EVERY_MS);
  }

  async #reconnect(): Promise<boolean> {
    try {
      await this.#connect();
      return true;
    } catch (error) {
      this.lastFailure = toOperationalError(error, false);
      const delayMs = this.#backOffMs * (0.5 + Math.random());
      this.#backOffMs = Math.min(this.#backOffMs * 2, BACK_OFF_MS.most);
      this.#schedule(delayMs);
      return false;
    }
  }

  #setHealthy(healthy: boolean, why?: OperationalError): void {
    if (this.#healthy === healthy) return;
    this.#healthy = healthy;
    this.lastFailure = why;
    for (const listener of this.#healthListeners) listener(healthy, why);
    // Notifications may have been missed meanwhile: everybody looks again.
    if (healthy)
      for (const handler of new Set([...this.#handlers.values()].flatMap((set) => [...set]))) handler('', '');
  }

  #tell(channel: string, payload: string): void {
    for (const handler of this.#handlers.get(channel) ?? []) handler(channel, payload);
  }
}

function listenText(channels: readonly string[]): string {
  return channels.map((channel) => `listen "${channel.replaceAll('"', '""')}"`).join('; ');
}
