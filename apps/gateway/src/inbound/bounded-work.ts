/** A few at a time, a bounded number waiting in order, the rest refused at once. */
export class BoundedWork {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(
    private readonly atATime: number,
    private readonly mostWaiting: number,
  ) {}

  /** Undefined, without having begun, when too many wait already. */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#running >= this.atATime) {
      if (this.#waiting.length >= this.mostWaiting) return undefined;
      await new Promise<void>((turn) => this.#waiting.push(turn));
    } else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next(); // the place is handed on
    }
  }
}
