/**
 * How many notices a domain may get within a time: a flood of failures, and what others wrote in the name of its people,
 * must not become a flood to it. Counted in windows; pure but for its own memory, bounded.
 */
import type { FlowLimit } from './route.js';

const MAX_DOMAINS = 10_000;

interface Count {
  readonly sinceMs: number;
  count: number;
}

export class NoticeLimit {
  readonly #counts = new Map<string, Count>();

  /** Counts one more, unless there were enough. `limit` is this gateway's share. */
  allows(domain: string, limit: FlowLimit, nowMs: number): boolean {
    const known = this.#counts.get(domain);
    if (known === undefined || nowMs - known.sinceMs >= limit.perMs) {
      this.#counts.delete(domain);
      this.#counts.set(domain, { sinceMs: nowMs, count: 1 });
      const [oldest] = this.#counts.keys();
      if (this.#counts.size > MAX_DOMAINS && oldest !== undefined) this.#counts.delete(oldest);
      return true;
    }
    if (known.count >= Math.max(1, limit.max)) return false;
    known.count += 1;
    return true;
  }
}
