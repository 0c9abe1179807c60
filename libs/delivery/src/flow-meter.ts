/**
 * How much may be begun within a time: messages and recipients, each at most `max` within any `perMs`. Mail that may not
 * begin yet waits; nothing is refused. Pure but for its own memory.
 *
 * A bucket of a tenth of the maximum, filled evenly, so that what is taken within any window of `perMs` stays below the
 * maximum: a peer that counts in windows of its own never sees more. Each gateway has its share of the maximum.
 */
import type { FlowLimit, FlowLimits } from './route.js';

/** A wait is never shorter: a timer for less is not worth it. */
const SHORTEST_WAIT_MS = 5;

class Bucket {
  readonly #limit: FlowLimit;
  readonly #gateways: () => number;
  #level: number;
  #atMs = 0;

  constructor(limit: FlowLimit, gateways: () => number) {
    this.#limit = limit;
    this.#gateways = gateways;
    this.#level = this.#size;
  }

  get #max(): number {
    return this.#limit.max / Math.max(1, this.#gateways());
  }

  get #size(): number {
    return Math.max(1, Math.floor(this.#max / 10));
  }

  /** Within half-open windows of `perMs`: size + rate × window < max + 1. */
  get #perMs(): number {
    const max = this.#max;
    return (max < 1 ? max : max + 1 - this.#size) / this.#limit.perMs;
  }

  waitMs(nowMs: number): number {
    if (this.#atMs > 0) this.#level = Math.min(this.#size, this.#level + Math.max(0, nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    return this.#level >= 1 ? 0 : Math.max(SHORTEST_WAIT_MS, Math.ceil((1 - this.#level) / this.#perMs));
  }

  /** A transaction with more recipients than there is room for goes through when the bucket is full, on credit. */
  spend(count: number): void {
    this.#level -= count;
  }

  /** How much may begin within the time, from now on. */
  within(timeMs: number): number {
    return Math.max(1, Math.ceil(this.#level + timeMs * this.#perMs));
  }
}

export class FlowMeter {
  readonly #messages: Bucket | undefined;
  readonly #recipients: Bucket | undefined;

  /** `gateways`: how many share the limits. */
  constructor({ messages, recipients }: FlowLimits, gateways: () => number) {
    if (messages !== undefined) this.#messages = new Bucket(messages, gateways);
    if (recipients !== undefined) this.#recipients = new Bucket(recipients, gateways);
  }

  /** 0: a transaction may begin now. */
  waitMs(nowMs: number): number {
    return Math.max(this.#messages?.waitMs(nowMs) ?? 0, this.#recipients?.waitMs(nowMs) ?? 0);
  }

  spend(recipients: number): void {
    this.#messages?.spend(1);
    this.#recipients?.spend(recipients);
  }

  /** Messages, at most, that may begin within the time. */
  within(timeMs: number): number {
    const unlimited = Number.POSITIVE_INFINITY;
    return Math.min(this.#messages?.within(timeMs) ?? unlimited, this.#recipients?.within(timeMs) ?? unlimited);
  }
}
