/**
 * How many connections a destination may have now: a window that grows by one for each round of successes up to the
 * route's limit, is halved by what says "too much", and begins at one after an outage, so that a host that comes back
 * is not met by a crowd. Pure but for its own memory.
 */

/** The window at first, and connections opened at once to a host that has not worked yet. */
const FIRST = 5;
/** After a host refused one more connection while others worked, what is open is enough for so long. */
const CROWDED_MS = 10_000;

export interface OpeningSituation {
  readonly lanes: number;
  /** A lane to the same host works. */
  readonly proven: boolean;
  /** The host failed last time: one probe, not a crowd. */
  readonly suspect: boolean;
}

export class Concurrency {
  readonly #maxConnections: number;
  #window: number;
  #opening = 0;
  #mayGrowAtMs = 0;

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections;
    this.#window = Math.min(FIRST, maxConnections);
  }

  /** Connections that may be open. */
  get window(): number {
    return Math.floor(this.#window);
  }

  /** Connections being opened. */
  get opening(): number {
    return this.#opening;
  }

  allows({ lanes, proven, suspect }: OpeningSituation): boolean {
    const count = lanes + this.#opening;
    if (count >= this.window) return false;
    if (suspect) return count === 0;
    return proven || this.#opening < FIRST;
  }

  begin(): void {
    this.#opening += 1;
  }

  end(): void {
    this.#opening -= 1;
  }

  succeeded(nowMs: number): void {
    if (this.#window >= this.#maxConnections || nowMs < this.#mayGrowAtMs) return;
    this.#window = Math.min(this.#maxConnections, this.#window + 1 / this.#window);
  }

  /** A transaction or a connection failed in a way that fewer at a time may help. */
  strained(): void {
    this.#window = Math.max(1, this.#window / 2);
  }

  /** The host takes no more than what is open. */
  crowded(lanes: number, nowMs: number): void {
    this.#window = Math.max(1, Math.min(this.#window, lanes));
    this.#mayGrowAtMs = nowMs + CROWDED_MS;
  }

  /** The first connection after an outage. */
  healed(): void {
    this.#window = 1;
  }
}
