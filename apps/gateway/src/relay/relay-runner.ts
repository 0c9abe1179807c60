/** The relay of a running gateway: `RelayWorker` with its real ways out. Everything it does not own comes in. */
import { createHash } from 'node:crypto';
import { RelayWorker, replyText } from '#delivery';
import type {
  QueuedMessage,
  QueueStore,
  RelayEnvironment,
  RelayFigures,
  RelayOptions,
  RouteSource,
  Transport,
} from '#delivery';
import type { SmtpTimeouts } from '#smtp-net';
import { DnsResolver } from './dns-resolver.js';
import type { DnsResolverOptions } from './dns-resolver.js';
import { MaildirStore } from './maildir.js';
import { readContentHead, SmtpTransport } from './smtp-transport.js';

export interface RelayRunnerOptions extends RelayOptions {
  readonly timeouts?: Partial<SmtpTimeouts>;
  readonly dns?: DnsResolverOptions;
}

export interface RelayRunnerPorts extends Pick<
  RelayEnvironment,
  'newId' | 'appendEvents' | 'routeNotice' | 'isSelf' | 'warn'
> {
  readonly queue: QueueStore;
  /** Definitions must stay the same objects while they are equal: a new object is taken for a changed route. */
  readonly routes: RouteSource;
}

/** For next hops to answer QUIT; nothing hangs on it. */
const QUIT_GRACE_MS = 1_000;

export class RelayRunner {
  readonly #transport: SmtpTransport;
  readonly #worker: RelayWorker;

  constructor(options: RelayRunnerOptions, ports: RelayRunnerPorts) {
    const { timeouts, dns, ...relay } = options;
    this.#transport = new SmtpTransport({
      heloName: options.hostname,
      ...(timeouts === undefined ? {} : { timeouts }),
    });
    this.#worker = new RelayWorker(relay, {
      queue: ports.queue,
      routes: ports.routes,
      resolver: new DnsResolver(dns),
      transport: telling(this.#transport, ports.warn),
      files: new MaildirStore(options.hostname),
      environment: environmentOf(ports),
    });
  }

  get figures(): RelayFigures {
    return this.#worker.figures;
  }

  start(): void {
    this.#worker.start();
  }

  /** Would a message of this size be taken from memory now? Decides whether it is stored leased. */
  hasRoom(sizeBytes: number): boolean {
    return this.#worker.hasRoom(sizeBytes);
  }

  /** False: the worker gives the leases back, a poller finds the message. */
  offer(message: QueuedMessage): boolean {
    return this.#worker.offer(message);
  }

  wake(): void {
    this.#worker.wake();
  }

  async stop(graceMs: number): Promise<void> {
    await this.#worker.stop(graceMs);
    await this.#transport.close(QUIT_GRACE_MS);
  }
}

/** A next hop that takes no connection is told of: it rests then, so that there is one line for each rest. */
function telling(transport: Transport, warn: RelayEnvironment['warn']): Transport {
  return {
    async connect(target) {
      const result = await transport.connect(target);
      if (result.ok) return result;
      const why = result.reply === undefined ? result.fault.message : replyText(result.reply);
      warn(`next hop ${target.host} [${target.address}]:${String(target.port)} takes no mail now: ${why}`);
      return result;
    },
    abort: () => {
      transport.abort();
    },
  };
}

function environmentOf(ports: RelayRunnerPorts): RelayEnvironment {
  return {
    clock: { nowMs: () => Date.now() },
    random: () => Math.random(),
    sha256Hex: (bytes) => createHash('sha256').update(bytes).digest('hex'),
    readHead: readContentHead,
    newId: () => ports.newId(),
    appendEvents: (events) => ports.appendEvents(events),
    routeNotice: (recipient) => ports.routeNotice(recipient),
    isSelf: (host, address, port) => ports.isSelf(host, address, port),
    warn: (message, error) => ports.warn(message, error),
  };
}
