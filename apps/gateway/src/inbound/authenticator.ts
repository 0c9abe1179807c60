/**
 * Who may sign in over SMTP: names and passwords against the accounts of the database.
 *
 * Guessing is slow and tells nothing: an unknown, disabled or expired account costs the same work as a wrong password
 * and gets the same answer; failures are counted per account and client network. It never waits by itself: the caller
 * gives its reply `delayMs` later.
 */
import type { AccountCredentials } from '#database';

/** Why there is no sign-in. Only `refused` says anything about name and password. */
export type RefusalReason =
  /** Wrong name or password, or an account that is disabled or expired: 535 5.7.8. */
  | 'refused'
  /** Too many failures of this account from this network: nothing was looked at. 454 4.7.0, and close. */
  | 'locked'
  /** Too many sign-ins wait for their turn: 454 4.7.0. */
  | 'busy'
  /** The database does not answer: 454 4.7.0. */
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
export interface ScramCredentials {
  readonly ok: true;
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
  /** Canonical name, to sign in as when the proof fits. */
  readonly identity: string;
  readonly identities: readonly string[];
}

export interface Authenticator {
  /** PLAIN and LOGIN. Never rejects. */
  verify(username: string, password: string, clientAddress: string): Promise<SignedIn | AuthenticationRefused>;
  /** SCRAM: the beginning. Never rejects. Must be followed by `report` when the client proved, failed or left. */
  scram(username: string, clientAddress: string): Promise<ScramCredentials | AuthenticationRefused>;
  /** SCRAM: the end. A failure says how long to wait with the reply. */
  report(username: string, clientAddress: string, ok: boolean): Pick<AuthenticationRefused, 'delayMs' | 'locked'>;
}

/** The part of `db.accounts` that is needed. */
export interface AccountSource {
  /** Throws OperationalError while the database is away. */
  authView(name: string): Promise<AccountCredentials>;
}
