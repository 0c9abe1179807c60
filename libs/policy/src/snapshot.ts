/** What judges one transaction: a compiled policy with its managed lists at named revisions. */
import type { CompiledPolicy } from './compiled.js';
import type { ManagedList } from './types.js';

export interface Snapshot {
  readonly policy: CompiledPolicy;
  readonly lists: ReadonlyMap<string, ManagedList>;
  /** RFC 3339. Rules that expired before are inert, unless the fact `time` says otherwise. */
  readonly compiledAt?: string;
}
