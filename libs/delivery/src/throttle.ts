/** Holds a destination back to its rate limits: how many transactions may begin now, and a wake-up when more may. */
import type { FlowMeter } from './flow-meter.js';
import type { Clock } from './ports.js';

const LONGEST_TIMER_MS = 60_000;

export class Throttle {
  readonly #flows: readonly FlowMeter[];
  readonly #clock: Clock;
  readonly #wake: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(flows: readonly FlowMeter[], clock: Clock, wake: () => void) {
    this.#flows = flows;
    this.#clock = clock;
    this.#wake = wake;
  }

  /** May one more begin? If not, `wake` is called when it may. */
  ready(): boolean {
    if (this.#flows.length === 0) return true;
    const nowMs = this.#clock.nowMs();
    const waitMs = Math.max(...this.#flows.map((flow) => flow.waitMs(nowMs)));
    if (waitMs === 0) return true;
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.#wake();
      },
      Math.min(waitMs, LONGEST_TIMER_MS),
    );
    return false;
  }

  spend(recipients: number): void {
    for (const flow of this.#flows) flow.spend(recipients);
  }

  /** Transactions that may begin within the time. */
  within(timeMs: number): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#flows.map((flow) => flow.within(timeMs)));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
