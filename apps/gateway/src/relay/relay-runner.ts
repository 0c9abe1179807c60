/** The relay of a running gateway: `RelayWorker` with its real ways out. Everything it does not own comes in. */
import { createHash } from 'node:crypto';
import { RelayWorker, replyText } from '#delivery';
import type {
  QueuedMessage,
  QueueStore,
  RelayEnvironment,
  RelayFigures,
  RelayOptions,
  RouteReport,
  RouteSource,
  Transport,
} from '#delivery';
import type { SmtpTimeouts } from '#smtp-net';
import { DnsResolver } from './dns-resolver.js';
import type { DnsResolverOptions } from './dns-resolver.js';
import { Credentials } from './credentials.js';
import type { SecretSource } from './credentials.js';
import { MailFiles } from './mail-files.js';
import { readContentHead, SmtpTransport } from './smtp-transport.js';
import { TlsContexts } from './tls-contexts.js';

export interface RelayRunnerOptions extends RelayOptions {
  readonly timeouts?: Partial<SmtpTimeouts>;
  readonly dns?: DnsResolverOptions;
  /** Authorities and client certificates by name. */
  readonly certificateDir: string;
}

export interface RelayRunnerPorts extends Pick<
  RelayEnvironment,
  'newId' | 'appendEvents' | 'routeNotice' | 'noticeRules' | 'isSelf' | 'isSuspended' | 'warn'
> {
  readonly queue: QueueStore;
  /** Definitions must stay the same objects while they are equal: a new object is taken for a changed route. */
  readonly routes: RouteSource;
  readonly secrets: SecretSource;
  /** Gateways alive, this one included. Rejects while nobody can tell: the last number stays. */
  readonly countGateways?: () => Promise<number>;
}

const COUNT_GATEWAYS_MS = 10_000;
/** For who asked to change what was given back. */
const RECALLED_MS = 3_000;
/** For next hops to answer QUIT; nothing hangs on it. */
const QUIT_GRACE_MS = 1_000;

export class RelayRunner {
  readonly #countGateways: (() => Promise<number>) | undefined;
  #gateways = 1;
  #counter: NodeJS.Timeout | undefined;
  readonly #transport: SmtpTransport;
  readonly #worker: RelayWorker;

  constructor(options: RelayRunnerOptions, ports: RelayRunnerPorts) {
    const { timeouts, dns, certificateDir, ...relay } = options;
    this.#countGateways = ports.countGateways;
    this.#transport = new SmtpTransport(
      { heloName: options.hostname, ...(timeouts === undefined ? {} : { timeouts }) },
      { contexts: new TlsContexts(certificateDir), credentials: new Credentials(ports.secrets) },
    );
    this.#worker = new RelayWorker(relay, {
      queue: ports.queue,
      routes: ports.routes,
      resolver: new DnsResolver(dns),
      transport: telling(this.#transport, ports.warn),
      files: new MailFiles(options.hostname),
      environment: { ...environmentOf(ports), gateways: () => this.#gateways },
    });
  }

  get figures(): RelayFigures {
    return this.#worker.figures;
  }

  start(): void {
    this.#worker.start();
    void this.#count();
    this.#counter = setInterval(() => void this.#count(), COUNT_GATEWAYS_MS);
  }

  /** Rate limits are shared out among the gateways that are alive. */
  async #count(): Promise<void> {
    try {
      this.#gateways = Math.max(1, (await this.#countGateways?.()) ?? 1);
    } catch {
      // The database is away: what it said last is the best there is.
    }
  }

  /** Would a message of this size be taken from memory now? Decides whether it is stored leased. */
  hasRoom(sizeBytes: number, recipients?: Parameters<RelayWorker['hasRoom']>[1]): boolean {
    return this.#worker.hasRoom(sizeBytes, recipients);
  }

  /** False: the worker gives the leases back, a poller finds the message. */
  offer(message: QueuedMessage): boolean {
    return this.#worker.offer(message);
  }

  wake(): void {
    this.#worker.wake();
  }

  /** False: it takes nothing more from the queue. */
  claimFromQueue(claiming: boolean): void {
    this.#worker.claimFromQueue(claiming);
  }

  /** Gives back what was not begun of these messages, so that somebody may change it. */
  recall(messageIds: ReadonlySet<string>): void {
    this.#worker.recall(({ message }) => messageIds.has(message.id), RECALLED_MS);
  }

  /** Gives back what was not begun to destinations that are suspended now. */
  recallSuspended(): void {
    this.#worker.recallSuspended();
  }

  report(route: string, domain: string): Promise<RouteReport | undefined> {
    return this.#worker.report(route, domain);
  }

  async stop(graceMs: number): Promise<void> {
    clearInterval(this.#counter);
    await this.#worker.stop(graceMs);
    await this.#transport.close(QUIT_GRACE_MS);
  }
}

/** A next hop that takes no connection is told of: it rests then, so that there is one line for each rest. */
function telling(transport: Transport, warn: RelayEnvironment['warn']): Transport {
  return {
    async connect(target, route) {
      const result = await transport.connect(target, route);
      if (result.ok) return result;
      const why = result.reply === undefined ? result.fault.message : replyText(result.reply);
      const { host, address, port } = target;
      const place = host === address && host.startsWith('/') ? host : `${host} [${address}]:${String(port)}`;
      warn(`next hop ${place} takes no mail now: ${why}`);
      return result;
    },
    abort: () => {
      transport.abort();
    },
  };
}

function environmentOf(ports: RelayRunnerPorts): Omit<RelayEnvironment, 'gateways'> {
  return {
    clock: { nowMs: () => Date.now() },
    random: () => Math.random(),
    sha256Hex: (bytes) => createHash('sha256').update(bytes).digest('hex'),
    readHead: readContentHead,
    newId: () => ports.newId(),
    appendEvents: (events) => ports.appendEvents(events),
    routeNotice: (recipient) => ports.routeNotice(recipient),
    noticeRules: () => ports.noticeRules(),
    isSelf: (host, address, port) => ports.isSelf(host, address, port),
    isSuspended: (domain) => ports.isSuspended(domain),
    warn: (message, error) => ports.warn(message, error),
  };
}
