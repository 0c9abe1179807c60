import type { KeyObject } from 'node:crypto';
import type { SignedCheckpoint } from '#audit';

/** What is known of the audit's chains outside of the database. */
export interface Evidence {
  /** Public keys that may sign checkpoints, by fingerprint. */
  keys(): Promise<ReadonlyMap<string, KeyObject>>;
  /** Checkpoints as the gateway wrote them to its data directory. */
  checkpoints(): AsyncIterable<SignedCheckpoint>;
}

/** For the provider: an interface is no token. */
export const EVIDENCE = Symbol('evidence');

/** An installation without a data directory at hand. */
export const NO_EVIDENCE: Evidence = {
  keys: () => Promise.resolve(new Map()),
  // eslint-disable-next-line @typescript-eslint/no-empty-function -- a generator that yields nothing
  async *checkpoints() {},
};
