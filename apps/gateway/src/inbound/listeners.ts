/**
 * The policy's listeners as open sockets: opened, kept and stopped as the policy changes, without dropping a session.
 *
 * One SMTP server serves all of them; a socket is known by address and port, so that a listener may be renamed, or
 * take over another's port, without being closed. `prepare` opens what a new policy needs and touches nothing else:
 * a policy whose port is taken can still be refused. `commit` makes it the truth and stops what is not wanted any more.
 */
import { networkInterfaces } from 'node:os';
import type { ListenerDefinition } from '#policy';
import type { ListenerSettings, SmtpListener, SmtpServer } from '#smtp-net';
import { CertificateFailure, type CertificateStore } from '../certificates/certificate-store.js';
import type { Logger } from '../log.js';

export interface BoundListener {
  readonly listener: string;
  readonly address: string;
  readonly port: number;
}

interface OpenSocket {
  /** Address and port as the policy says; port 0 stands for whatever was free when it was opened. */
  readonly key: string;
  readonly socket: SmtpListener;
}

interface Wanted {
  readonly definition: ListenerDefinition;
  readonly open: OpenSocket;
}

export interface PreparedListeners {
  readonly wanted: readonly Wanted[];
  /** Unwanted sockets that had to give their place free. */
  readonly paused: readonly OpenSocket[];
}

/** A change under way, until it is committed or undone. */
interface Change {
  readonly opened: OpenSocket[];
  readonly paused: OpenSocket[];
  readonly unwanted: readonly OpenSocket[];
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** What a listener needs beside its definition. */
export interface ListenerNeeds {
  readonly certificates: Pick<CertificateStore, 'require' | 'contextFor'>;
  /** By the policy in force: who may speak for others, on which listener. */
  readonly isProxy: (listener: string, address: string) => boolean;
  readonly mayXclient: (listener: string, address: string) => boolean;
}

/** A listener that could not be opened, in a sentence for the operator. */
export class ListenFailure extends Error {
  override readonly name = 'ListenFailure';
}

export class Listeners {
  #current: readonly Wanted[] = [];

  constructor(
    private readonly server: SmtpServer,
    private readonly needs: ListenerNeeds,
    private readonly stopGraceMs: number,
    private readonly log: Logger,
  ) {}

  get bound(): readonly BoundListener[] {
    return this.#current.map(({ definition, open }) => ({
      listener: definition.name,
      address: open.socket.address,
      port: open.socket.port,
    }));
  }

  /** Whether mail sent to this address and port would come back to us. */
  isOwn(address: string | undefined, port: number): boolean {
    const same = this.#current.filter(({ open }) => open.socket.port === port);
    if (address === undefined) return false;
    return same.some((current) => current.open.socket.address === address || (isWildcard(current) && isOurs(address)));
  }

  /**
   * Opens the sockets that are missing. Throws `ListenFailure`, and leaves everything as it was then. A socket of ours
   * that is in the way of a new one, and not wanted any more, gives its place free; its sessions go on.
   */
  async prepare(definitions: readonly ListenerDefinition[]): Promise<PreparedListeners> {
    const keys = new Set(definitions.flatMap((definition) => definition.addresses.map((at) => keyOf(definition, at))));
    const unwanted = this.#current.map(({ open }) => open).filter((open) => !keys.has(open.key));
    const change: Change = { opened: [], paused: [], unwanted };
    await this.#requireCertificates(definitions);
    try {
      const wanted: Wanted[] = [];
      for (const definition of definitions) wanted.push(...(await this.#prepareOne(definition, change)));
      return { wanted, paused: change.paused };
    } catch (error) {
      await stopAll(change.opened, 0);
      for (const { socket } of change.paused) await socket.resume();
      throw error;
    }
  }

  commit(prepared: PreparedListeners): void {
    const unwanted = this.#current
      .map(({ open }) => open)
      .filter((old) => !prepared.wanted.some(({ open }) => open === old));
    this.#current = prepared.wanted;
    for (const { definition, open } of prepared.wanted) open.socket.setOptions(this.#settings(definition));
    for (const open of unwanted) {
      // Where another socket took the place, clients notice nothing: their sessions go on under the new listener.
      const done = prepared.paused.includes(open) ? open.socket.drain() : open.socket.stop(this.stopGraceMs);
      done.catch((error: unknown) => {
        this.log.error({ err: error }, 'a listener did not stop cleanly');
      });
    }
  }

  async #prepareOne(definition: ListenerDefinition, change: Change): Promise<readonly Wanted[]> {
    const wanted: Wanted[] = [];
    let port = definition.port;
    for (const address of definition.addresses) {
      const key = keyOf(definition, address);
      const kept = this.#current.find(({ open }) => open.key === key)?.open;
      const open = kept ?? { key, socket: await this.#bind(definition, { address, port }, change) };
      if (kept === undefined) change.opened.push(open);
      // Several addresses of one listener share the port that was free for the first.
      port = open.socket.port;
      wanted.push({ definition, open });
    }
    return wanted;
  }

  /** Stops them all; what is still in a transaction may end within the grace. */
  async stop(graceMs: number): Promise<void> {
    const open = this.#current.map((current) => current.open);
    await stopAll(open, graceMs);
    this.#current = [];
  }

  async #requireCertificates(definitions: readonly ListenerDefinition[]): Promise<void> {
    for (const { name, tls } of definitions) {
      if (tls === undefined) continue;
      try {
        await this.needs.certificates.require([tls.certificate]);
      } catch (error) {
        if (!(error instanceof CertificateFailure)) throw error;
        throw new ListenFailure(`listener \`${name}\`: ${error.message}`, { cause: error });
      }
    }
  }

  /** TLS and AUTH are not demanded here: the policy refuses MAIL without them, so that it is on record. */
  #settings({
    name,
    exposure,
    tls,
    auth,
    proxyProtocol,
    xclient,
    greetingDelayMs,
  }: ListenerDefinition): ListenerSettings {
    const { certificates, isProxy, mayXclient } = this.needs;
    return {
      name,
      tls:
        tls === undefined
          ? undefined
          : {
              mode: tls.mode,
              secureContext: (serverName) => certificates.contextFor(tls.certificate, serverName),
              clientCertificates: tls.clientCertificates,
            },
      auth: auth === undefined ? undefined : { mechanisms: auth.mechanisms, withoutTls: auth.withoutTls },
      unknownBeforeEhlo: exposure === 'internet' ? 'refused' : 'tolerated',
      proxyFrom: proxyProtocol ? (address) => isProxy(name, address) : undefined,
      xclientFrom: xclient ? (address) => mayXclient(name, address) : undefined,
      greetingDelayMs: greetingDelayMs === 0 ? undefined : greetingDelayMs,
    };
  }

  async #bind(definition: ListenerDefinition, where: Place, change: Change): Promise<SmtpListener> {
    try {
      return await this.server.listen({ host: where.address, port: where.port, ...this.#settings(definition) });
    } catch (error) {
      const code = codeOf(error);
      if (where.address === '::' && code === 'EAFNOSUPPORT') {
        return this.#bind(definition, { ...where, address: '0.0.0.0' }, change);
      }
      const inTheWay = change.unwanted.filter(
        (open) => open.socket.port === where.port && !change.paused.includes(open),
      );
      if (code === 'EADDRINUSE' && inTheWay.length > 0) {
        for (const open of inTheWay) open.socket.pause();
        change.paused.push(...inTheWay);
        return this.#bind(definition, where, change);
      }
      throw new ListenFailure(listenSentence(definition.name, where, code), { cause: error });
    }
  }
}

/** Port 0 belongs to its listener; any other socket only to its address and port. */
function keyOf(definition: ListenerDefinition, address: string): string {
  return `${definition.port === 0 ? definition.name : ''} ${address} ${String(definition.port)}`;
}

/** An address of this machine. */
function isOurs(address: string): boolean {
  if (address.startsWith('127.') || address === '::1') return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some((own) => own.address === address));
}

function isWildcard({ open }: Wanted): boolean {
  return open.socket.address === '::' || open.socket.address === '0.0.0.0';
}

async function stopAll(sockets: readonly OpenSocket[], graceMs: number): Promise<void> {
  await Promise.all(sockets.map(({ socket }) => socket.stop(graceMs)));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is already in use by another program',
  EACCES: 'may not be opened by this user (ports below 1024 need a privilege)',
  EADDRNOTAVAIL: 'is not an address of this machine',
};

function listenSentence(listener: string, { address, port }: Place, code: string): string {
  const where = address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
  const reason = REASONS[code] ?? `could not be opened (${code === '' ? 'unknown error' : code})`;
  return `listener \`${listener}\`: ${where} ${reason}; address and port are chosen by \`listeners.${listener}\` in the policy (\`npm start -- --publish FILE\` publishes another)`;
}
