/** One deadline, moved often: a single timer that is set again only when it fires too early, so that moving costs nothing. */

const NEVER = Number.POSITIVE_INFINITY;

export class LazyDeadline {
  readonly #expired: () => void;
  #deadlineMs = NEVER;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = NEVER;
  #stopped = false;

  constructor(expired: () => void) {
    this.#expired = expired;
  }

  within(timeoutMs: number): void {
    this.#deadlineMs = Date.now() + timeoutMs;
    if (this.#deadlineMs >= this.#timerAtMs || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#set(timeoutMs);
  }

  /** Nothing is awaited. */
  clear(): void {
    this.#deadlineMs = NEVER;
  }

  /** For good. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #set(delayMs: number): void {
    this.#timerAtMs = Date.now() + delayMs;
    this.#timer = setTimeout(() => {
      this.#timerAtMs = NEVER;
      const leftMs = this.#deadlineMs - Date.now();
      if (leftMs === NEVER) return;
      if (leftMs > 0) {
        this.#set(leftMs);
        return;
      }
      this.#deadlineMs = NEVER;
      this.#expired();
    }, delayMs);
  }
}
