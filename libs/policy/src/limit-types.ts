/** What a limit is, for the gateway that counts. */

/** What is counted. */
export type LimitCount = 'connections' | 'messages' | 'recipients' | 'bytes' | 'rejects' | 'auth-failures';

export interface LimitProfile {
  readonly name: string;
  /** Facts whose values, taken together, share one count. */
  readonly key: readonly string[];
  readonly count: LimitCount;
  /** The most within `perMs`; octets for `bytes`. */
  readonly max: number;
  readonly perMs: number;
  readonly onExceed: 'defer' | 'reject' | 'slow';
}

/** A limit that applies to somebody, and under which key it counts. */
export interface LimitKey {
  readonly limit: LimitProfile;
  /** Values of the facts of its key, printed. */
  readonly key: string;
}

/** Limits by what they count. */
export type LimitTable = ReadonlyMap<LimitCount, readonly LimitProfile[]>;
