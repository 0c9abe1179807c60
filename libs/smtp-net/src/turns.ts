/**
 * Turns of the event loop, shared by all connections of a server: when one has taken long enough, whoever is not done
 * goes on in the next. One read may bring thousands of commands, and hundreds of clients may send that much at once;
 * timers, other listeners and the rest of the process still get their say.
 */

/** How long connections may keep the event loop in one go. */
const TURN_MS = 3;

export interface Resting {
  /** The next turn has begun. */
  goOn(): void;
}

export class Turns {
  /** Undefined between turns. */
  #endsAtMs: number | undefined;
  #resting: Resting[] = [];
  readonly #begin = (): void => {
    this.#endsAtMs = undefined;
    const waiting = this.#resting;
    this.#resting = [];
    let at = 0;
    while (at < waiting.length && !this.isOver()) {
      waiting[at]?.goOn();
      at += 1;
    }
    // Who has not had this turn comes first in the next.
    if (at < waiting.length) this.#resting = [...waiting.slice(at), ...this.#resting];
  };

  isOver(): boolean {
    const nowMs = performance.now();
    this.#endsAtMs ??= this.#startTurn(nowMs);
    return nowMs >= this.#endsAtMs;
  }

  /** `goOn` is called in a turn to come. */
  rest(resting: Resting): void {
    this.#endsAtMs ??= this.#startTurn(performance.now());
    this.#resting.push(resting);
  }

  #startTurn(nowMs: number): number {
    setImmediate(this.#begin);
    return nowMs + TURN_MS;
  }
}
