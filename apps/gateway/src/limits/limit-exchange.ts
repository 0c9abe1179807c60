/**
 * Tells the other nodes what this one counted, and hears what they did: once a second, in the background, while the
 * policy has limits. Where that fails, this node counts alone and says so.
 */
import type { LimitStore } from '#database';
import type { Logger } from '../log.js';
import type { LimitCounts } from './limit-counts.js';

const EVERY_MS = 1_000;
/** Keys told at once. */
const BATCH = 5_000;

export interface LimitExchangeParts {
  readonly counts: LimitCounts;
  readonly store: LimitStore;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Told at every change: since when this node counts alone, undefined when that is over. */
  readonly reportAlone: (since: Date | undefined) => void;
}

export class LimitExchange {
  readonly #parts: LimitExchangeParts;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** By the database's clock. */
  #heardAt: Date | undefined;
  #alone = false;

  constructor(parts: LimitExchangeParts) {
    this.#parts = parts;
  }

  /** Whether the policy has limits. */
  needed(needed: boolean): void {
    if (!needed) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#told(undefined);
      return;
    }
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.exchange(), EVERY_MS);
    this.#timer.unref();
    void this.exchange();
  }

  /** Exchanges now. Never throws. */
  exchange(): Promise<void> {
    this.#running ??= this.#exchange().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What was counted last is told as well. */
  async stop(): Promise<void> {
    const wanted = this.#timer !== undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#running;
    if (wanted) await this.exchange();
  }

  async #exchange(): Promise<void> {
    const { counts, store, nowMs } = this.#parts;
    for (;;) {
      const changed = counts.takeChanged(BATCH);
      try {
        const { told, at } = await store.exchange(changed, this.#heardAt);
        this.#heardAt = at;
        counts.merge(told, nowMs());
        this.#told(undefined);
      } catch (error) {
        counts.putBack(changed);
        this.#told(error);
        return;
      }
      if (changed.length < BATCH) return;
    }
  }

  #told(error: unknown): void {
    const alone = error !== undefined;
    if (alone === this.#alone) return;
    this.#alone = alone;
    const { log, nowMs, reportAlone } = this.#parts;
    reportAlone(alone ? new Date(nowMs()) : undefined);
    if (alone) log.warn({ err: error }, 'limits: the shared counts can not be reached, this node counts alone');
    else log.info('limits: counts are shared again');
  }
}
