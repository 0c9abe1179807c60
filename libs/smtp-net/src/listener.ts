/**
 * One listening socket: who is let in, one tick for all deadlines, graceful stop.
 *
 * Each listener can be stopped by itself, so that a changed policy moves ports without dropping other sessions.
 * Clients over a cap get 421 at once, before anything is looked up or asked.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { DEFAULT_LIMITS, encodeReply, replyFor } from '#smtp-core';
import type { SmtpLimits } from '#smtp-core';
import { takeProxyHeader } from './arrive.js';
import type { Arrival } from './arrive.js';
import type { Caps, Place } from './caps.js';
import { plainAddress } from './client-address.js';
import { Connection } from './connection.js';
import type { ConnectionHost } from './connection-host.js';
import type { Endpoint, ServerSession, SmtpServerHooks, TurnedAway } from './hooks.js';
import type { Decoy } from './scram.js';
import type { ListenerSettings, ListenOptions, SmtpListener } from './server-options.js';
import type { Handshakes } from './tls-handshake.js';
import type { Resting, Turns } from './turns.js';

/** How exact deadlines are, in milliseconds. */
const TICK_MS = 1_000;
/** Refused clients whose 421 is still on its way; more are cut without a word. */
const MAX_REFUSED = 1_000;

/** What the listeners of one server share. */
export interface ServerCore {
  readonly hostname: string;
  readonly hooks: SmtpServerHooks;
  readonly decoy: Decoy;
  readonly caps: Caps;
  readonly handshakes: Handshakes;
  readonly turns: Turns;
  /** Changed by `setLimits`. */
  limits: Partial<SmtpLimits>;
  readonly bug: (error: unknown, session: ServerSession | undefined) => void;
}

/** A socket on its way to a session. */
interface Visitor {
  readonly socket: Socket;
  readonly peer: Endpoint;
  readonly host: ConnectionHost;
}

export class Listener implements SmtpListener, Resting {
  address = '';
  port = 0;
  readonly #core: ServerCore;
  readonly #where: ListenOptions;
  #settings: ListenerSettings;
  readonly #server: Server;
  #host: ConnectionHost;
  readonly #clock = { nowMs: performance.now() };
  readonly #sessions = new Map<Connection, Place>();
  /** On their way to a session; the place is missing until the client is known. */
  readonly #arriving = new Map<Socket, Place | undefined>();
  readonly #refused = new Set<Socket>();
  /** Accepted by the system in a rush; admitted in turns. */
  #rush: Socket[] = [];
  readonly #locals = new Map<string, Endpoint>();
  readonly #onStopped: () => void;
  #ticks: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;

  constructor(core: ServerCore, where: ListenOptions, onStopped: () => void) {
    this.#core = core;
    this.#where = where;
    this.#settings = where;
    this.#onStopped = onStopped;
    this.#host = this.#newHost();
    // Nothing is read before somebody listens.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      this.#queueUp(socket);
    });
  }

  setOptions(settings: ListenerSettings): void {
    this.#settings = { ...this.#settings, ...settings };
    this.renew();
  }

  /** Settings or limits have changed: sessions under way keep the host they began with. */
  renew(): void {
    this.#host = this.#newHost();
  }

  #newHost(): ConnectionHost {
    const { hostname, hooks, decoy, handshakes, turns, limits, bug } = this.#core;
    return {
      hostname,
      hooks,
      decoy,
      handshakes,
      turns,
      bug,
      settings: this.#settings,
      limits: { ...DEFAULT_LIMITS, ...limits, ...this.#settings.limits },
      clock: this.#clock,
      recount: (connection, client) => this.#recount(connection, client),
      gone: (connection) => {
        this.#leave(this.#sessions, connection);
      },
    };
  }

  async open(): Promise<void> {
    const { host, port, tickMs = TICK_MS } = this.#where;
    await this.#listen(host, port);
    // Running out of file descriptors while accepting is no reason to die; the backlog holds the clients.
    this.#server.on('error', (error) => {
      this.#core.bug(error, undefined);
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
    for (const socket of [...this.#refused, ...this.#rush]) socket.destroy();
    for (const socket of this.#arriving.keys()) this.#core.handshakes.destroy(socket);
    for (const connection of this.#sessions.keys()) connection.closeWhenIdle();
    const grace = setTimeout(() => {
      for (const connection of this.#sessions.keys()) connection.cut();
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
    for (const connection of this.#sessions.keys()) connection.tick(this.#clock.nowMs);
  }

  #queueUp(socket: Socket): void {
    if (this.#rush.length === 0 && !this.#core.turns.isOver()) this.#admit(socket);
    else if (this.#rush.push(socket) === 1) this.#core.turns.rest(this);
  }

  goOn(): void {
    const rush = this.#rush;
    let at = 0;
    while (at < rush.length && !this.#core.turns.isOver()) {
      const socket = rush[at];
      at += 1;
      if (socket !== undefined) this.#admit(socket);
    }
    this.#rush = rush.slice(at);
    if (this.#rush.length > 0) this.#core.turns.rest(this);
  }

  #admit(socket: Socket): void {
    // Gone between accept and here.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const peer = { address: plainAddress(socket.remoteAddress), port: socket.remotePort ?? 0 };
    const visitor: Visitor = { socket, peer, host: this.#host };
    if (!this.#mayProxy(visitor)) {
      socket.destroy();
      this.#tell(peer, 'not-a-proxy');
    } else if (this.#stopped !== undefined) this.#refuse(visitor, peer, 'stopping');
    else if (this.#isFull()) this.#refuse(visitor, peer, 'too-many-connections');
    else this.#enter(visitor);
  }

  #mayProxy({ peer, host }: Visitor): boolean {
    try {
      return host.settings.proxyFrom?.(peer.address) ?? true;
    } catch (error) {
      this.#core.bug(error, undefined);
      return false;
    }
  }

  #isFull(): boolean {
    const own = this.#sessions.size + this.#arriving.size;
    const { maxConnections } = { ...DEFAULT_LIMITS, ...this.#core.limits };
    return this.#core.caps.connections >= maxConnections || own >= this.#host.limits.maxConnections;
  }

  #enter(visitor: Visitor): void {
    const { socket, peer, host } = visitor;
    const { caps, bug } = this.#core;
    const isProxied = host.settings.proxyFrom !== undefined;
    const place = isProxied ? undefined : caps.enter(peer.address, host.limits);
    if (!isProxied && place === undefined) {
      this.#refuse(visitor, peer, 'too-many-connections');
      return;
    }
    caps.connections += 1;
    if (place !== undefined && host.settings.tls?.mode !== 'implicit') {
      this.#begin(visitor, { socket, client: peer }, place);
      return;
    }
    this.#arriving.set(socket, place);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#leave(this.#arriving, socket);
    });
    this.#arrive(visitor).catch((error: unknown) => {
      socket.destroy();
      bug(error, undefined);
    });
  }

  async #arrive(visitor: Visitor): Promise<void> {
    const { socket, peer, host } = visitor;
    const { settings, limits } = host;
    let client: Endpoint = peer;
    if (settings.proxyFrom !== undefined) {
      const header = await takeProxyHeader(socket, limits);
      if (!header.ok) {
        this.#tell(peer, 'bad-proxy-header');
        return;
      }
      client = header.client ?? peer;
      if (!this.#takePlace(visitor, client)) return;
    }
    const handshake =
      settings.tls?.mode === 'implicit' && (await this.#core.handshakes.begin(socket, settings.tls, limits));
    if (handshake !== false && !handshake.ok) {
      this.#tell(client, 'tls-failed');
      return;
    }
    const place = this.#arriving.get(socket);
    if (place === undefined || socket.destroyed) return;
    this.#arriving.delete(socket);
    this.#begin(visitor, handshake === false ? { socket, client } : { client, ...handshake }, place);
  }

  /** The client is known only now: counts it, or refuses it. */
  #takePlace(visitor: Visitor, client: Endpoint): boolean {
    if (!this.#arriving.has(visitor.socket)) return false;
    const place = this.#core.caps.enter(client.address, visitor.host.limits);
    if (place !== undefined) this.#arriving.set(visitor.socket, place);
    else {
      this.#leave(this.#arriving, visitor.socket);
      this.#refuse(visitor, client, 'too-many-connections');
    }
    return place !== undefined;
  }

  #begin({ socket, peer, host }: Visitor, arrival: Pick<Arrival, 'socket' | 'client' | 'tls'>, place: Place): void {
    const connection = new Connection(host, { ...arrival, peer, local: this.#localOf(socket) });
    this.#sessions.set(connection, place);
    connection.start();
  }

  /** The same few values for all connections. */
  #localOf(socket: Socket): Endpoint {
    const address = plainAddress(socket.localAddress ?? '');
    const known = this.#locals.get(address);
    if (known !== undefined) return known;
    const local = { address, port: socket.localPort ?? this.port };
    if (address !== '') this.#locals.set(address, local);
    return local;
  }

  #recount(connection: Connection, client: Endpoint): boolean {
    const { caps } = this.#core;
    const before = this.#sessions.get(connection);
    const place = before && caps.enter(client.address, this.#host.limits);
    if (before === undefined || place === undefined) return false;
    caps.leave(before);
    this.#sessions.set(connection, place);
    return true;
  }

  #leave<T>(places: Map<T, Place | undefined>, key: T): void {
    if (!places.has(key)) return;
    const place = places.get(key);
    places.delete(key);
    this.#core.caps.connections -= 1;
    if (place !== undefined) this.#core.caps.leave(place);
  }

  #refuse({ socket, host }: Visitor, client: Endpoint, why: TurnedAway): void {
    socket.on('error', () => socket.destroy());
    this.#tell(client, why);
    // Who waits for TLS could not read it.
    if (this.#refused.size >= MAX_REFUSED || host.settings.tls?.mode === 'implicit') {
      socket.destroy();
      return;
    }
    this.#refused.add(socket);
    socket.once('close', () => this.#refused.delete(socket));
    socket.resume();
    socket.end(encodeReply(replyFor(why === 'stopping' ? 'shutting-down' : 'too-many-connections')), 'latin1');
  }

  #tell(client: Endpoint, why: TurnedAway): void {
    try {
      this.#core.hooks.turnedAway?.(client, why, this.#settings.name ?? '');
    } catch (error) {
      this.#core.bug(error, undefined);
    }
  }
}
