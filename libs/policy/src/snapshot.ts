/** What judges one transaction: a compiled policy with its managed lists at named revisions. */
import type { CompiledPolicy } from './compiled.js';
import type { Matcher } from './program.js';
import type { ManagedList } from './types.js';
import { parseInstantMs } from './values/units.js';

export interface Snapshot {
  readonly policy: CompiledPolicy;
  readonly lists: ReadonlyMap<string, ManagedList>;
  /** Milliseconds since the epoch. Rules that expired before are inert, unless the fact `time` says otherwise. */
  readonly compiledAtMs?: number;
  /** Internal: lists by slot; `undefined` = not loaded, so that every comparison with it is unknown. */
  readonly slots: readonly (Matcher | undefined)[];
  /** Internal, for tests: slots of recipient lists that are taken to know every recipient. */
  readonly assumedKnown?: ReadonlySet<number>;
}

export interface SnapshotOptions {
  /** RFC 3339. */
  readonly compiledAt?: string;
  readonly assumedKnown?: ReadonlySet<number>;
}

/**
 * Cheap: a new one for every change of a list. A managed list that is missing, or of another type than the policy
 * says, makes every condition on it unknown; it is never taken to be empty.
 */
export function createSnapshot(
  policy: CompiledPolicy,
  lists: ReadonlyMap<string, ManagedList> = new Map(),
  options: SnapshotOptions = {},
): Snapshot {
  const slots = policy.program.lists.map((slot): Matcher | undefined => {
    if (slot.inline !== undefined) return slot.inline;
    const list = lists.get(slot.name);
    return list?.type === slot.type ? list : undefined;
  });
  const compiledAtMs = options.compiledAt === undefined ? undefined : parseInstantMs(options.compiledAt);
  return {
    policy,
    lists,
    slots,
    ...(compiledAtMs === undefined ? {} : { compiledAtMs }),
    ...(options.assumedKnown === undefined ? {} : { assumedKnown: options.assumedKnown }),
  };
}
