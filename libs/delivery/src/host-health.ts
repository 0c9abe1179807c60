/**
 * The circuit breaker: which next hops are resting. A host that could not be reached, or that broke several transactions
 * in a row, is left alone for a second, then two, up to a minute, each time shortened by up to a third at random, so that
 * gateways do not knock together; after that it is probed by a single connection. A delivery forgets everything. Pure but
 * for its own memory, bounded.
 */
import type { AttemptAnswer } from './attempt-outcome.js';

const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
const JITTER = 1 / 3;
/** Transactions in a row that the host broke, until it rests. */
const MAX_STRAINS = 5;
const MAX_HOSTS = 10_000;

interface HostState {
  /** Rests so far. */
  failures: number;
  restUntilMs: number;
  /** Transactions broken in a row. */
  strains: number;
  answer: AttemptAnswer;
}

export class HostHealth {
  readonly #hosts = new Map<string, HostState>();
  readonly #random: () => number;

  /** `random` is in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  isResting(key: string, nowMs: number): boolean {
    const state = this.#hosts.get(key);
    return state !== undefined && state.restUntilMs > nowMs;
  }

  /** Rested, and has not been seen to work since: deserves one probe, not a crowd. */
  isSuspect(key: string): boolean {
    return (this.#hosts.get(key)?.failures ?? 0) > 0;
  }

  /** Why it rests: what mail for it is told meanwhile. */
  lastAnswer(key: string): AttemptAnswer | undefined {
    return this.#hosts.get(key)?.answer;
  }

  /** Undefined for a host that worked last time, or was never asked. */
  stateOf(key: string): Readonly<HostState> | undefined {
    return this.#hosts.get(key);
  }

  /** Connections that were being made together fail together: that is one failure. */
  failed(key: string, nowMs: number, answer: AttemptAnswer): void {
    const state = this.#hosts.get(key);
    if (state !== undefined && this.isResting(key, nowMs)) {
      this.#keep(key, { ...state, answer });
      return;
    }
    const failures = (state?.failures ?? 0) + 1;
    const longestMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(failures - 1, 10));
    const restMs = longestMs * (1 - JITTER * this.#random());
    this.#keep(key, { failures, restUntilMs: nowMs + restMs, strains: state?.strains ?? 0, answer });
  }

  /** The host took the connection and broke a transaction on it. True: it rests now. */
  strained(key: string, nowMs: number, answer: AttemptAnswer): boolean {
    const state = this.#hosts.get(key);
    const strains = (state?.strains ?? 0) + 1;
    this.#keep(key, { failures: state?.failures ?? 0, restUntilMs: state?.restUntilMs ?? 0, strains, answer });
    if (this.isResting(key, nowMs)) return true;
    if (strains < MAX_STRAINS) return false;
    this.failed(key, nowMs, answer);
    return true;
  }

  /** It takes connections. One that broke transactions before has yet to show that it is well. */
  connected(key: string): void {
    if ((this.#hosts.get(key)?.strains ?? 0) < MAX_STRAINS) this.#hosts.delete(key);
  }

  /** It carried a transaction through. */
  succeeded(key: string): void {
    this.#hosts.delete(key);
  }

  #keep(key: string, state: HostState): void {
    // Re-inserted last: the map's order is the order of failures, and the oldest is forgotten first.
    this.#hosts.delete(key);
    this.#hosts.set(key, state);
    if (this.#hosts.size <= MAX_HOSTS) return;
    const [oldest] = this.#hosts.keys();
    if (oldest !== undefined) this.#hosts.delete(oldest);
  }
}
