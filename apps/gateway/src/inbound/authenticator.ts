/**
 * Who may sign in over SMTP: names and passwords against the accounts of the database.
 *
 * Guessing is slow and tells nothing: an unknown, disabled or expired account costs the same work as a wrong password
 * and gets the same answer; failures are counted per account and client network. It never waits by itself: the caller
 * gives its reply `delayMs` later. Accounts are read at each sign-in, so that a change counts at once; only the slow
 * hash of a password that fitted is spared for some seconds, and only while the account stays as it was.
 */
import { createHmac, randomBytes } from 'node:crypto';
import {
  accountName,
  decoyHash,
  OperationalError,
  passwordFits,
  type AccountCredentials,
  type ScramVerifier,
} from '#database';
import type { Reply } from '#smtp-core';
import { BoundedWork } from './bounded-work.js';
import { FAILURE_LIMITS, FailureCounts, networkOf, type FailureLimits, type Standing } from './failure-counts.js';

/** Why there is no sign-in. Only `refused` says anything about name and password. */
export type RefusalReason =
  /** Wrong name or password, or an account that is disabled or expired. */
  | 'refused'
  /** Too many failures of this account from this network: nothing was looked at. */
  | 'locked'
  /** Too many sign-ins wait for their turn. */
  | 'busy'
  /** The database does not answer. */
  | 'unavailable';

export interface AuthenticationRefused {
  readonly ok: false;
  readonly why: RefusalReason;
  /** Give the reply this much later. */
  readonly delayMs: number;
  /** Whether further attempts are refused unseen for now: close the session. */
  readonly locked: boolean;
}

export interface SignedIn {
  readonly ok: true;
  /** Canonical name: lower case. */
  readonly account: string;
  /** Addresses it may send as; `*@domain` is all of a domain. */
  readonly identities: readonly string[];
}

/** What a SCRAM-SHA-256 exchange needs (RFC 5802). Of an unknown name it is a decoy that no proof ever fits. */
export interface ScramCredentials extends ScramVerifier {
  readonly ok: true;
  /** Canonical name, to sign in as when the proof fits. */
  readonly identity: string;
  readonly identities: readonly string[];
}

/** Methods reject only on a bug. */
export interface Authenticator {
  /** PLAIN and LOGIN. */
  verify(username: string, password: string, clientAddress: string): Promise<SignedIn | AuthenticationRefused>;
  /** SCRAM: the beginning. Where it gives credentials, `report` must follow. */
  scram(username: string, clientAddress: string): Promise<ScramCredentials | AuthenticationRefused>;
  /** SCRAM: the end; `undecided` when the client left before. A failure says how long to wait with the reply. */
  report(username: string, clientAddress: string, outcome: 'proved' | 'failed' | 'undecided'): Standing;
}

export interface AuthenticatorOptions {
  readonly accounts: {
    /** Throws OperationalError while the database is away. */
    authView(name: string): Promise<AccountCredentials>;
  };
  readonly clock?: { nowMs(): number };
  readonly limits?: Partial<AuthenticatorLimits>;
  /** Whether a password fits a hash: slow on purpose. */
  readonly check?: (hash: string, password: string) => Promise<boolean>;
}

export interface AuthenticatorLimits extends FailureLimits {
  /** Hashes computed at a time. Each takes 19 MiB and a thread of four that files and look-ups need, too. */
  readonly hashesAtATime: number;
  /** Sign-ins that wait for their hash: at 20 ms each, none waits longer than about a second. */
  readonly hashesWaiting: number;
  /** So long a password that fitted is known again without its hash. */
  readonly rememberMs: number;
  readonly remembered: number;
}

const LIMITS: AuthenticatorLimits = {
  ...FAILURE_LIMITS,
  hashesAtATime: 2,
  hashesWaiting: 64,
  rememberMs: 30_000,
  remembered: 10_000,
};

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  return new AccountAuthenticator(options);
}

/** RFC 4954 s6. The same words for a wrong name and a wrong password. */
export const AUTHENTICATION_REPLIES: Readonly<Record<RefusalReason, Reply>> = {
  refused: { code: 535, enhanced: '5.7.8', lines: ['Authentication credentials invalid'] },
  // Said behind the last failure too: the session ends with it, and no session ends without 421 (RFC 5321 s3.8).
  locked: { code: 421, enhanced: '4.7.0', lines: ['Too many failed sign-ins, try again later'] },
  busy: { code: 454, enhanced: '4.7.0', lines: ['Authentication is busy, try again shortly'] },
  unavailable: { code: 454, enhanced: '4.7.0', lines: ['Temporary authentication failure'] },
};

interface Remembered {
  readonly digest: string;
  readonly revision: number;
  readonly untilMs: number;
}

class AccountAuthenticator implements Authenticator {
  readonly #accounts: AuthenticatorOptions['accounts'];
  readonly #nowMs: () => number;
  readonly #check: (hash: string, password: string) => Promise<boolean>;
  readonly #limits: AuthenticatorLimits;
  readonly #counts: FailureCounts;
  readonly #hashing: BoundedWork;
  /** Same name, same password, same moment: one hash serves all. */
  readonly #flights = new Map<string, Promise<boolean | undefined>>();
  readonly #remembered = new Map<string, Remembered>();
  /** Passwords are told apart by digests that mean nothing outside of this process. */
  readonly #digestKey = randomBytes(32);
  #decoy: Promise<string> | undefined;

  constructor({ accounts, clock, limits, check }: AuthenticatorOptions) {
    this.#accounts = accounts;
    this.#nowMs = clock === undefined ? () => Date.now() : () => clock.nowMs();
    this.#check = check ?? passwordFits;
    this.#limits = { ...LIMITS, ...limits };
    this.#counts = new FailureCounts(this.#limits);
    this.#hashing = new BoundedWork(this.#limits.hashesAtATime, this.#limits.hashesWaiting);
  }

  async verify(username: string, password: string, clientAddress: string): Promise<SignedIn | AuthenticationRefused> {
    const [name, network] = [nameOf(username), networkOf(clientAddress)];
    const entry = this.#counts.enter(name, network, this.#nowMs());
    if (entry !== 'go') return notLooked(entry);
    const digest = this.#digest(password);
    let decided: SignedIn | 'refused' | 'busy' | 'unavailable' = 'unavailable';
    try {
      decided = await this.#decide(username, password, digest);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
    } finally {
      if (decided === 'busy' || decided === 'unavailable') {
        this.#counts.undecidable(name, network, this.#nowMs());
      }
    }
    if (decided === 'busy' || decided === 'unavailable') return notNow(decided);
    if (decided === 'refused') {
      return { ok: false, why: 'refused', ...this.#counts.failed(name, network, this.#nowMs(), digest) };
    }
    this.#counts.succeeded(name, network, this.#nowMs());
    return decided;
  }

  async scram(username: string, clientAddress: string): Promise<ScramCredentials | AuthenticationRefused> {
    const [name, network] = [nameOf(username), networkOf(clientAddress)];
    const entry = this.#counts.enter(name, network, this.#nowMs());
    if (entry !== 'go') return notLooked(entry);
    try {
      const { account, decoy } = await this.#accounts.authView(username);
      return { ok: true, identity: name, identities: account?.identities ?? [], ...(account?.scram ?? decoy) };
    } catch (error) {
      this.#counts.undecidable(name, network, this.#nowMs());
      if (!(error instanceof OperationalError)) throw error;
      return notNow('unavailable');
    }
  }

  report(username: string, clientAddress: string, outcome: 'proved' | 'failed' | 'undecided'): Standing {
    const [name, network] = [nameOf(username), networkOf(clientAddress)];
    if (outcome === 'failed') return this.#counts.failed(name, network, this.#nowMs());
    if (outcome === 'proved') this.#counts.succeeded(name, network, this.#nowMs());
    else this.#counts.undecidable(name, network, this.#nowMs());
    return { delayMs: 0, locked: false };
  }

  async #decide(username: string, password: string, digest: string): Promise<SignedIn | 'refused' | 'busy'> {
    this.#decoy ??= decoyHash();
    const [{ name, account }, decoy] = await Promise.all([this.#accounts.authView(username), this.#decoy]);
    if (account !== undefined && this.#knows(name, digest, account.revision)) {
      return { ok: true, account: name, identities: account.identities };
    }
    const revision = account?.revision ?? 0;
    const flight = `${name} ${String(revision)} ${digest}`;
    const fits = await this.#oneFlight(flight, () => this.#check(account?.passwordHash ?? decoy, password));
    if (fits === undefined) return 'busy';
    if (account === undefined || !fits) return 'refused';
    this.#remember(name, { digest, revision, untilMs: this.#nowMs() + this.#limits.rememberMs });
    return { ok: true, account: name, identities: account.identities };
  }

  #oneFlight(key: string, work: () => Promise<boolean>): Promise<boolean | undefined> {
    const known = this.#flights.get(key);
    if (known !== undefined) return known;
    const flight = this.#hashing.run(work).finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  #knows(name: string, digest: string, revision: number): boolean {
    const known = this.#remembered.get(name);
    return known?.digest === digest && known.revision === revision && known.untilMs > this.#nowMs();
  }

  #remember(name: string, what: Remembered): void {
    this.#remembered.delete(name);
    this.#remembered.set(name, what);
    if (this.#remembered.size <= this.#limits.remembered) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }

  #digest(password: string): string {
    return createHmac('sha256', this.#digestKey).update(password).digest('base64');
  }
}

/** All that can be no name count together. */
function nameOf(username: string): string {
  return accountName(username) ?? '';
}

function notLooked(entry: 'busy' | Standing): AuthenticationRefused {
  return entry === 'busy' ? notNow('busy') : { ok: false, why: 'locked', ...entry };
}

function notNow(why: 'busy' | 'unavailable'): AuthenticationRefused {
  return { ok: false, why, delayMs: 0, locked: false };
}
