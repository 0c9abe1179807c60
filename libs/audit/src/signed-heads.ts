/** What the checkpoints of all nodes say about each chain, in a size that grows with the chains and not with time. */
import type { ChainHead } from './chain.js';
import type { CheckpointBody } from './checkpoint.js';
import { idTimeMs } from './ids.js';

/** One chain as the checkpoints have it. `floorMs`: what is older may have been dropped by retention. */
export interface SignedChain {
  readonly highest: ChainHead;
  /** The first that lies after the floor: it and everything after it must be there. */
  readonly firstKept?: ChainHead;
  /** The last that lies before the floor: where a chain may begin anew. */
  readonly lastDropped?: ChainHead;
  /** When the chain was first signed, milliseconds since the epoch. */
  readonly firstSignedAtMs: number;
}

export class SignedHeads {
  readonly #chains = new Map<string, SignedChain>();
  readonly #signedUntilMs = new Map<string, number>();
  readonly #floorMs: number;

  constructor(floorMs: number) {
    this.#floorMs = floorMs;
  }

  /** Checkpoints of one node in their order; nodes in any. */
  add(checkpoint: CheckpointBody): void {
    const until = this.#signedUntilMs.get(checkpoint.node) ?? 0;
    this.#signedUntilMs.set(checkpoint.node, Math.max(until, checkpoint.atMs));
    for (const head of checkpoint.heads) this.#chains.set(head.chain, this.#merged(head, checkpoint.atMs));
  }

  of(chain: string): SignedChain | undefined {
    return this.#chains.get(chain);
  }

  chains(): ReadonlyMap<string, SignedChain> {
    return this.#chains;
  }

  /** Time of the newest checkpoint that had to include blocks of this node; any node signs for ''. */
  signedUntilMs(node: string): number {
    if (node !== '') return this.#signedUntilMs.get(node) ?? 0;
    return Math.max(0, ...this.#signedUntilMs.values());
  }

  #merged(head: ChainHead, atMs: number): SignedChain {
    const known = this.#chains.get(head.chain);
    const kept = idTimeMs(head.id) >= this.#floorMs;
    const firstKept = kept ? lower(known?.firstKept, head) : known?.firstKept;
    const lastDropped = kept ? known?.lastDropped : higher(known?.lastDropped, head);
    return {
      highest: higher(known?.highest, head),
      firstSignedAtMs: Math.min(known?.firstSignedAtMs ?? atMs, atMs),
      ...(firstKept === undefined ? {} : { firstKept }),
      ...(lastDropped === undefined ? {} : { lastDropped }),
    };
  }
}

function higher(known: ChainHead | undefined, head: ChainHead): ChainHead {
  return known === undefined || head.sequence > known.sequence ? head : known;
}

function lower(known: ChainHead | undefined, head: ChainHead): ChainHead {
  return known === undefined || head.sequence < known.sequence ? head : known;
}
