/** The policy in force: one reference, swapped whole. */
import type { RecordedSnapshot } from '#audit';
import type { ManagedList, Snapshot } from '#policy';
import type { CompiledPolicy } from '#policy';
import { createSnapshot } from '#policy';

/** A snapshot together with the name under which transactions record it. */
export interface LivePolicy {
  readonly snapshot: Snapshot;
  readonly recorded: RecordedSnapshot;
}

export interface LoadedPolicy {
  readonly policy: CompiledPolicy;
  readonly revision: number;
  readonly digest: string;
  readonly lists: ReadonlyMap<string, ManagedList>;
  /** RFC 3339; rules that expired before are inert. */
  readonly compiledAt: string;
}

function livePolicy(loaded: LoadedPolicy): LivePolicy {
  const lists: Record<string, number> = {};
  for (const [name, list] of loaded.lists) lists[name] = list.revision;
  return {
    snapshot: createSnapshot(loaded.policy, loaded.lists, { compiledAt: loaded.compiledAt }),
    recorded: { policy: loaded.policy.name, revision: loaded.revision, digest: loaded.digest, lists },
  };
}

export class PolicyHolder {
  #current: LivePolicy | undefined;
  #loaded: LoadedPolicy | undefined;

  /** Undefined until the first policy was loaded. */
  get current(): LivePolicy | undefined {
    return this.#current;
  }

  get loaded(): LoadedPolicy | undefined {
    return this.#loaded;
  }

  swap(loaded: LoadedPolicy): void {
    this.#current = livePolicy(loaded);
    this.#loaded = loaded;
  }
}
