/**
 * Which next hops are resting. A host that could not be reached is left alone for a second, then two, up to a minute;
 * after that it is probed by a single connection. One success forgets everything. Pure but for its own memory, bounded.
 */
import type { AttemptAnswer } from './attempt-outcome.js';

const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
const MAX_HOSTS = 10_000;

interface HostState {
  failures: number;
  restUntilMs: number;
  answer: AttemptAnswer;
}

export class HostHealth {
  readonly #hosts = new Map<string, HostState>();

  isResting(key: string, nowMs: number): boolean {
    const state = this.#hosts.get(key);
    return state !== undefined && state.restUntilMs > nowMs;
  }

  /** Failed last time and not yet seen to work: deserves one probe, not a crowd. */
  isSuspect(key: string): boolean {
    return this.#hosts.has(key);
  }

  /** Why it rests: what mail for it is told meanwhile. */
  lastAnswer(key: string): AttemptAnswer | undefined {
    return this.#hosts.get(key)?.answer;
  }

  failed(key: string, nowMs: number, answer: AttemptAnswer): void {
    const failures = (this.#hosts.get(key)?.failures ?? 0) + 1;
    const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(failures - 1, 10));
    // Re-inserted last: the map's order is the order of failures, and the oldest is forgotten first.
    this.#hosts.delete(key);
    this.#hosts.set(key, { failures, restUntilMs: nowMs + restMs, answer });
    if (this.#hosts.size <= MAX_HOSTS) return;
    const [oldest] = this.#hosts.keys();
    if (oldest !== undefined) this.#hosts.delete(oldest);
  }

  succeeded(key: string): void {
    this.#hosts.delete(key);
  }
}
