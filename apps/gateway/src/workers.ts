/**
 * `GATEWAY_WORKERS` above one: several processes behind the same listeners, for machines with processors to spare.
 *
 * This process only accepts connections and hands them out in turn; each worker is a whole gateway with a name, leases
 * and an audit chain of its own, so that nothing else has to know. The first starts alone: what an installation makes
 * once (certificate, signing key) is then there for the others.
 */
import cluster, { type Worker } from 'node:cluster';
import type { GatewayConfig } from './config.js';
import { failForGood, tellSupervisor } from './fatal.js';
import type { Logger } from './log.js';

const FIRST_BACK_OFF_MS = 250;
const MAX_BACK_OFF_MS = 30_000;
/** A run this long clears the memory of earlier crashes. */
const STABLE_MS = 60_000;

/** One of the places for a worker; the process in it changes when it crashes. */
interface Place {
  readonly number: number;
  crashes: number;
  wasReady: boolean;
  process?: Worker;
  retry?: NodeJS.Timeout;
}

export class Workers {
  readonly #places: readonly Place[];
  #listeners: unknown;
  #stopping = false;
  #failed = false;

  constructor(
    private readonly config: GatewayConfig,
    private readonly log: Logger,
  ) {
    this.#places = Array.from({ length: config.workers }, (_, at) => ({ number: at + 1, crashes: 0, wasReady: false }));
  }

  start(): void {
    const [first] = this.#places;
    if (first !== undefined) this.#fork(first);
  }

  /** Every worker ends as a single gateway does; then this process. */
  stop(why: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.log.info({ why }, 'stopping the workers');
    for (const place of this.#places) {
      clearTimeout(place.retry);
      place.process?.process.kill('SIGTERM');
    }
    this.#endWhenAlone();
  }

  #fork(place: Place): void {
    const startedAtMs = performance.now();
    const { metrics, nodeName } = this.config;
    const worker = cluster.fork({
      GATEWAY_NODE_NAME: `${nodeName}-${String(place.number)}`,
      ...(metrics !== undefined && { GATEWAY_METRICS_PORT: String(portOf(metrics.port, place.number)) }),
    });
    place.process = worker;
    worker.on('message', (message: unknown) => {
      this.#heard(place, message as { kind?: unknown; listeners?: unknown; message?: unknown });
    });
    worker.on('exit', (code, signal) => {
      delete place.process;
      if (performance.now() - startedAtMs > STABLE_MS) place.crashes = 0;
      this.#ended(place, signal === '' ? `code ${String(code)}` : signal, code);
    });
  }

  #heard(place: Place, { kind, listeners, message }: { kind?: unknown; listeners?: unknown; message?: unknown }): void {
    if (kind === 'fatal') this.#giveUp(String(message));
    if (kind !== 'ready') return;
    this.#listeners = listeners;
    const isFirstTime = !place.wasReady;
    place.wasReady = true;
    if (isFirstTime) for (const other of this.#places) if (!isBegun(other)) this.#fork(other);
    if (this.#places.every(({ wasReady }) => wasReady)) tellSupervisor({ kind: 'ready', listeners: this.#listeners });
  }

  #ended(place: Place, how: string, code: number): void {
    if (this.#stopping) {
      this.#failed ||= code !== 0;
      this.#endWhenAlone();
      return;
    }
    // Without a first one that was ever ready there is nothing to keep up: the supervisor counts such starts.
    if (!place.wasReady && this.#listeners === undefined) process.exit(1);
    place.crashes += 1;
    const waitMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (place.crashes - 1), MAX_BACK_OFF_MS);
    this.log.error({ worker: place.number, how, waitMs }, 'a worker ended; starting it again');
    place.retry = setTimeout(() => {
      delete place.retry;
      this.#fork(place);
    }, waitMs);
  }

  /** One worker's settings are every worker's. */
  #giveUp(message: string): void {
    this.stop('a worker cannot run');
    failForGood(message);
  }

  #endWhenAlone(): void {
    if (this.#places.every((place) => place.process === undefined)) process.exit(this.#failed ? 1 : 0);
  }
}

/** 0 stays 0: any that is free. */
function portOf(firstPort: number, number: number): number {
  return firstPort === 0 ? 0 : firstPort + number - 1;
}

function isBegun({ process, retry, wasReady }: Place): boolean {
  return wasReady || process !== undefined || retry !== undefined;
}

/** True in a process that a `Workers` started. Also when its parent dies it ends in order, as `main.ts` says. */
export function isWorker(): boolean {
  // By default a worker exits at once, in the middle of everything, when the channel to its parent closes.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
  return cluster.isWorker;
}
