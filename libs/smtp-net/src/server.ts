/**
 * `createSmtpServer`: listeners, caps on connections, one tick for all deadlines, graceful stop.
 *
 * Each listener can be stopped by itself, so that a changed policy moves ports without dropping other sessions.
 * Clients over a cap get 421 at once, before anything is looked up or asked.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { DEFAULT_LIMITS, encodeReply, replyFor } from '#smtp-core';
import type { SmtpLimits } from '#smtp-core';
import { ClientCounts, plainAddress } from './client-address.js';
import { Connection } from './connection.js';
import type { ConnectionHost } from './connection.js';
import type { ListenOptions, SmtpListener, SmtpServer, SmtpServerOptions } from './hooks.js';

/** How exact deadlines are, in milliseconds. */
const TICK_MS = 1_000;
/** Refused clients whose 421 is still on its way; more are cut without a word. */
const MAX_REFUSED = 1_000;

export function createSmtpServer(options: SmtpServerOptions): SmtpServer {
  const listeners = new Set<Listener>();
  const load: ServerLoad = { connections: 0, clients: new ClientCounts() };
  let common = options.limits ?? {};
  return {
    async listen(where: ListenOptions): Promise<SmtpListener> {
      const onStopped = (): unknown => listeners.delete(listener);
      const listener: Listener = new Listener({ ...options, limits: common }, where, { load, onStopped });
      listeners.add(listener);
      try {
        await listener.open();
      } catch (error) {
        listeners.delete(listener);
        throw error;
      }
      return listener;
    },
    setLimits(limits: Partial<SmtpLimits>): void {
      for (const listener of listeners) listener.setLimits(limits);
      common = limits;
    },
    async close(graceMs: number): Promise<void> {
      await Promise.all(Array.from(listeners, (listener) => listener.stop(graceMs)));
    },
    get connections(): number {
      return load.connections;
    },
  };
}

/** What the listeners of one server share: caps count over all of them. */
interface ServerLoad {
  connections: number;
  readonly clients: ClientCounts;
}

class Listener implements SmtpListener {
  address = '';
  port = 0;
  readonly #where: ListenOptions;
  #limits: SmtpLimits;
  readonly #server: Server;
  #host: ConnectionHost;
  readonly #clock = { nowMs: performance.now() };
  readonly #connections = new Set<Connection>();
  readonly #refused = new Set<Socket>();
  readonly #load: ServerLoad;
  readonly #onStopped: () => void;
  #ticks: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: SmtpServerOptions, where: ListenOptions, server: { load: ServerLoad; onStopped: () => void }) {
    this.#where = where;
    this.#load = server.load;
    this.#onStopped = server.onStopped;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits, ...where.limits };
    this.#host = {
      hostname: options.hostname,
      hooks: options.hooks,
      limits: this.#limits,
      clock: this.#clock,
      bug: (error, session) => options.onBug?.(error, session),
    };
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#admit(socket);
    });
  }

  setLimits(limits: Partial<SmtpLimits>): void {
    this.#limits = { ...DEFAULT_LIMITS, ...limits, ...this.#where.limits };
    // A new host value: sessions under way keep the limits they were greeted with.
    this.#host = { ...this.#host, limits: this.#limits };
  }

  async open(): Promise<void> {
    const { host, port, tickMs = TICK_MS } = this.#where;
    await this.#listen(host, port);
    // Running out of file descriptors while accepting is no reason to die; the backlog holds the clients.
    this.#server.on('error', (error) => {
      this.#host.bug(error, undefined);
    });
    const bound = this.#server.address() as AddressInfo;
    this.address = bound.address;
    this.port = bound.port;
    this.#ticks = setInterval(() => {
      this.#tick();
    }, tickMs);
  }

  #listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  pause(): void {
    this.#server.close();
  }

  resume(): Promise<void> {
    return this.#listen(this.address, this.port);
  }

  drain(): Promise<void> {
    this.#stopped ??= this.#finish(this.#closed());
    return this.#stopped;
  }

  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  /** Resolves when nothing listens any more and the last connection has ended. */
  #closed(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  async #stop(graceMs: number): Promise<void> {
    const closed = this.#closed();
    for (const socket of this.#refused) socket.destroy();
    for (const connection of this.#connections) connection.closeWhenIdle();
    const grace = setTimeout(() => {
      for (const connection of this.#connections) connection.cut();
    }, graceMs);
    await this.#finish(closed);
    clearTimeout(grace);
  }

  async #finish(closed: Promise<void>): Promise<void> {
    await closed;
    clearInterval(this.#ticks);
    this.#onStopped();
  }

  #tick(): void {
    this.#clock.nowMs = performance.now();
    for (const socket of this.#refused) socket.destroy();
    for (const connection of this.#connections) connection.tick(this.#clock.nowMs);
  }

  #admit(socket: Socket): void {
    // Gone between accept and here.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const client = { address: plainAddress(socket.remoteAddress), port: socket.remotePort ?? 0 };
    const full = this.#load.connections >= this.#limits.maxConnections || this.#stopped !== undefined;
    if (full || !this.#load.clients.enter(client.address, this.#limits.maxConnectionsPerAddress)) {
      this.#refuse(socket);
      return;
    }
    const connection = new Connection(this.#host, socket, client);
    this.#connections.add(connection);
    this.#load.connections += 1;
    socket.once('close', () => {
      this.#connections.delete(connection);
      this.#load.connections -= 1;
      this.#load.clients.leave(client.address);
    });
    connection.start();
  }

  #refuse(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#refused.size >= MAX_REFUSED) {
      socket.destroy();
      return;
    }
    this.#refused.add(socket);
    socket.once('close', () => this.#refused.delete(socket));
    socket.resume();
    socket.end(encodeReply(replyFor('too-many-connections')), 'latin1');
  }
}
