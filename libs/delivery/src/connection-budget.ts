/**
 * All connections of a gateway, shared out among destinations. A destination that finds none left waits in line; one
 * that has had its share while others wait gives a connection up. So one busy destination cannot starve the rest.
 */
export class ConnectionBudget {
  readonly #maxConnections: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections;
  }

  get contended(): boolean {
    return this.#waiting.size > 0;
  }

  /** Takes one, or remembers `wake`, which is called once when one is free again. */
  take(wake: () => void): boolean {
    if (this.#used >= this.#maxConnections) {
      this.#waiting.add(wake);
      return false;
    }
    this.#used += 1;
    return true;
  }

  give(): void {
    this.#used -= 1;
    // One that is woken may need none any more; then the next in line is.
    for (const wake of this.#waiting) {
      if (this.#used >= this.#maxConnections) return;
      this.#waiting.delete(wake);
      wake();
    }
  }
}
