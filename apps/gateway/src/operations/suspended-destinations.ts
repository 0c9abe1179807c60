/** Domains whose mail waits by an operator's word, as the database last said. Known before the relay starts. */
import type { Database } from '#database';

export class SuspendedDestinations {
  #domains: ReadonlySet<string> = new Set();

  constructor(private readonly destinations: Pick<Database['destinations'], 'suspended'>) {}

  has(domain: string): boolean {
    return this.#domains.size > 0 && this.#domains.has(domain);
  }

  /** Answers whether there are others now. */
  async refresh(): Promise<boolean> {
    const fresh = new Set((await this.destinations.suspended()).map(({ domain }) => domain));
    const before = this.#domains;
    this.#domains = fresh;
    return fresh.size !== before.size || [...fresh].some((domain) => !before.has(domain));
  }
}
