/** How many connections a destination may open now: its limit, careful at first, and fewer while a host says "too many". */

/** Connections opened at once to a host that has not worked yet. */
const MAX_FIRST_OPENINGS = 5;
/** After a host refused one more connection while others worked, what is open is enough for so long. */
const CROWDED_MS = 10_000;

export interface OpeningSituation {
  readonly lanes: number;
  /** A lane to the same host works. */
  readonly proven: boolean;
  /** The host failed last time: one probe, not a crowd. */
  readonly suspect: boolean;
  readonly nowMs: number;
}

export class OpeningLimits {
  readonly #maxConnections: number;
  #opening = 0;
  #crowdedAt = 0;
  #crowdedUntilMs = 0;

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections;
  }

  /** Connections being opened. */
  get opening(): number {
    return this.#opening;
  }

  allows(situation: OpeningSituation): boolean {
    const count = situation.lanes + this.#opening;
    if (count >= this.#maxConnections) return false;
    if (situation.nowMs < this.#crowdedUntilMs && count >= this.#crowdedAt) return false;
    if (situation.suspect) return this.#opening === 0;
    return situation.proven || this.#opening < MAX_FIRST_OPENINGS;
  }

  begin(): void {
    this.#opening += 1;
  }

  end(): void {
    this.#opening -= 1;
  }

  crowded(lanes: number, nowMs: number): void {
    this.#crowdedAt = lanes;
    this.#crowdedUntilMs = nowMs + CROWDED_MS;
  }
}
