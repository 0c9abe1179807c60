/**
 * Connections of a gateway, or of a route within it, shared out among destinations. A destination that finds none left
 * waits in line; one that has had its share while others wait gives a connection up. So one busy destination cannot
 * starve the rest, and hosts that do not answer cannot take the last fifth from those that do.
 */
const SHARE_OF_UNPROVEN = 0.8;

export class ConnectionBudget {
  readonly #maxConnections: number;
  readonly #whole: ConnectionBudget | undefined;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  /** `whole`: what this is a part of. */
  constructor(maxConnections: number, whole?: ConnectionBudget) {
    this.#maxConnections = maxConnections;
    this.#whole = whole;
  }

  get contended(): boolean {
    return this.#waiting.size > 0 || this.#whole?.contended === true;
  }

  /** Takes one, or remembers `wake`, which is called once when one is free again. `proven`: to a host that works. */
  take(wake: () => void, proven: boolean): boolean {
    if (this.#used >= (proven ? this.#maxConnections : Math.ceil(this.#maxConnections * SHARE_OF_UNPROVEN))) {
      this.#waiting.add(wake);
      return false;
    }
    if (this.#whole?.take(wake, proven) === false) return false;
    this.#used += 1;
    return true;
  }

  give(): void {
    this.#used -= 1;
    this.#whole?.give();
    // One that is woken may need none any more; then the next in line is.
    for (const wake of this.#waiting) {
      if (this.#used >= this.#maxConnections) return;
      this.#waiting.delete(wake);
      wake();
    }
  }
}
