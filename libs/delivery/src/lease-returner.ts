/**
 * Gives leases back that were not used. A lease lives as long as its node, so a release that failed is tried again
 * until the queue took it or the worker ends: otherwise those rows would wait for a restart.
 */
import type { Lease, QueueStore } from './ports.js';

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 5_000;

export interface LeaseReturnerPorts {
  readonly queue: Pick<QueueStore, 'release'>;
  /** Rows are due again for whoever asks. */
  released(): void;
  warn(message: string, error?: unknown): void;
}

export class LeaseReturner {
  readonly #ports: LeaseReturnerPorts;
  #waiting: Lease[] = [];
  #running: Promise<void> | undefined;
  #abandoned = false;
  #cutPause: (() => void) | undefined;

  constructor(ports: LeaseReturnerPorts) {
    this.#ports = ports;
  }

  give(leases: readonly Lease[]): void {
    if (leases.length === 0) return;
    for (const lease of leases) this.#waiting.push(lease);
    this.#start();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Given between the last look and now.
      if (this.#waiting.length > 0 && !this.#abandoned) this.#start();
    });
  }

  /** Resolves when everything is given back, or `abandon` was called. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** The node ends: what is left lapses with it. */
  abandon(): void {
    this.#abandoned = true;
    this.#cutPause?.();
  }

  async #run(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (this.#waiting.length > 0 && !this.#abandoned) {
      const leases = this.#waiting.splice(0);
      try {
        await this.#ports.queue.release(leases);
        pauseMs = FIRST_PAUSE_MS;
        this.#ports.released();
      } catch (error) {
        this.#waiting = [...leases, ...this.#waiting];
        this.#ports.warn(`leases of ${leases.length} recipients cannot be given back, trying again`, error);
        await this.#pause(pauseMs);
        pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
      }
    }
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#cutPause = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#abandoned) this.#cutPause();
    });
  }
}
