/**
 * How often sign-ins failed, by account and client network, and what that costs the next one. Memory is bounded, time is an argument.
 *
 * Three counts: of an account from one network (delays, then locks), of one network over many accounts (locks: someone
 * tries a password on every name), and of one account from everywhere (delays only: whoever could lock an account
 * from outside would keep its owner out). A device that repeats one outdated password is counted once.
 */
import ipaddr from 'ipaddr.js';

export interface FailureLimits {
  /** After the first failure; doubled by each further one. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** Failures of an account from one network before it is locked there. */
  readonly accountFailures: number;
  /** Accounts that failed from one network before the network is locked, each counted up to twice. */
  readonly networkFailures: number;
  readonly firstLockMs: number;
  readonly longestLockMs: number;
  /** So long after the last failure everything is forgotten. */
  readonly forgetAfterMs: number;
  /** Undecided sign-ins of one account from one network, as long as none failed. */
  readonly undecided: number;
  /** Counts kept; above it those untouched for longest are forgotten first. */
  readonly entries: number;
}

export const FAILURE_LIMITS: FailureLimits = {
  firstDelayMs: 1_000,
  longestDelayMs: 8_000,
  accountFailures: 6,
  networkFailures: 60,
  firstLockMs: 60_000,
  longestLockMs: 900_000,
  forgetAfterMs: 3_600_000,
  undecided: 32,
  entries: 50_000,
};

interface Count {
  failures: number;
  undecided: number;
  touchedMs: number;
  lockedUntilMs: number;
  /** Digest of the password that failed last. */
  lastWrong: string | undefined;
}

export interface Standing {
  readonly delayMs: number;
  readonly locked: boolean;
}

/** Who counts together: a /24 of IPv4, a /56 of IPv6. An unreadable address counts by its text. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return `${parsed.kind()} ${parsed
    .toByteArray()
    .slice(0, parsed.kind() === 'ipv4' ? 3 : 7)
    .join('.')}`;
}

export class FailureCounts {
  /** In the order of their last use. */
  readonly #counts = new Map<string, Count>();

  constructor(private readonly limits: FailureLimits = FAILURE_LIMITS) {}

  get size(): number {
    return this.#counts.size;
  }

  /** Asks for one more sign-in; `go` reserves a place, which `succeeded`, `failed` or `undecidable` gives back. */
  enter(account: string, network: string, nowMs: number): 'go' | 'busy' | Standing {
    const pair = this.#count(pairKey(account, network), nowMs);
    const lockedUntilMs = Math.max(pair.lockedUntilMs, this.#count(networkKey(network), nowMs).lockedUntilMs);
    if (lockedUntilMs > nowMs) return { delayMs: this.limits.longestDelayMs, locked: true };
    // Whoever has failed before may not have more guesses under way than he has left before the lock.
    const most = pair.failures === 0 ? this.limits.undecided : Math.max(1, this.limits.accountFailures - pair.failures);
    if (pair.undecided >= most) return 'busy';
    pair.undecided += 1;
    return 'go';
  }

  succeeded(account: string, network: string, nowMs: number): void {
    const pair = this.#leave(account, network, nowMs);
    pair.failures = 0;
    pair.lockedUntilMs = 0;
    pair.lastWrong = undefined;
  }

  /** Nobody's fault: the database was away, or the client left. */
  undecidable(account: string, network: string, nowMs: number): void {
    this.#leave(account, network, nowMs);
  }

  /** `wrong` tells two passwords apart, where there is one. */
  failed(account: string, network: string, nowMs: number, wrong?: string): Standing {
    const pair = this.#leave(account, network, nowMs);
    const anywhere = this.#count(accountKey(account), nowMs);
    const repeated = wrong !== undefined && wrong === pair.lastWrong;
    if (!repeated) {
      pair.lastWrong = wrong;
      this.#add(pair, this.limits.accountFailures, nowMs);
      this.#add(anywhere, Number.POSITIVE_INFINITY, nowMs);
      // One forgotten printer must not lock a whole office out.
      if (pair.failures <= 2) this.#add(this.#count(networkKey(network), nowMs), this.limits.networkFailures, nowMs);
    }
    const failures = Math.max(pair.failures, anywhere.failures - this.limits.networkFailures);
    const doubled = this.limits.firstDelayMs * 2 ** Math.min(failures - 1, 30);
    return { delayMs: Math.min(doubled, this.limits.longestDelayMs), locked: pair.lockedUntilMs > nowMs };
  }

  #add(count: Count, most: number, nowMs: number): void {
    count.failures += 1;
    const over = count.failures - most;
    if (over >= 0) {
      count.lockedUntilMs =
        nowMs + Math.min(this.limits.firstLockMs * 2 ** Math.min(over, 30), this.limits.longestLockMs);
    }
  }

  #leave(account: string, network: string, nowMs: number): Count {
    const pair = this.#count(pairKey(account, network), nowMs);
    pair.undecided = Math.max(0, pair.undecided - 1);
    return pair;
  }

  /** The count of a key, now the last one used. What is too old begins anew. */
  #count(key: string, nowMs: number): Count {
    const known = this.#counts.get(key);
    const old = known !== undefined && nowMs - known.touchedMs > this.limits.forgetAfterMs;
    const count =
      known === undefined || old
        ? { failures: 0, undecided: 0, touchedMs: nowMs, lockedUntilMs: 0, lastWrong: undefined }
        : known;
    count.touchedMs = nowMs;
    this.#counts.delete(key);
    this.#counts.set(key, count);
    this.#trim();
    return count;
  }

  #trim(): void {
    if (this.#counts.size <= this.limits.entries) return;
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined) this.#counts.delete(oldest);
  }
}

const pairKey = (account: string, network: string): string => `${account} from ${network}`;
const networkKey = (network: string): string => `from ${network}`;
const accountKey = (account: string): string => `${account} anywhere`;
