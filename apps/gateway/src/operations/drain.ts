/**
 * Whether this gateway is being emptied: no new sessions, no new transactions in those that are open, nothing more from
 * the queue. What is in flight ends as it would have.
 */
export class Drain {
  #active = false;

  get active(): boolean {
    return this.#active;
  }

  /** Answers whether that is new. */
  set(active: boolean): boolean {
    const changed = active !== this.#active;
    this.#active = active;
    return changed;
  }
}
