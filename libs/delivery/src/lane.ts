/** One kept connection of a destination, with the jobs that are on it. */
import type { RankedTarget } from './next-hop.js';
import type { OutboundConnection } from './ports.js';

/** One on the wire, one whose envelope goes with its content, one ready to be next: no round trip is spent idle. */
const MAX_DEPTH = 3;

export class Lane {
  readonly target: RankedTarget;
  readonly connection: OutboundConnection;
  readonly #maxDepth: number;
  #depth = 0;
  #idleSinceMs: number;
  /** Takes nothing more; ends with what is on it. */
  retiring = false;
  /** Its failure was counted. */
  broken = false;

  constructor(target: RankedTarget, connection: OutboundConnection, nowMs: number) {
    this.target = target;
    this.connection = connection;
    this.#maxDepth = connection.pipelining ? MAX_DEPTH : 1;
    this.#idleSinceMs = nowMs;
  }

  get depth(): number {
    return this.#depth;
  }

  get idleSinceMs(): number {
    return this.#idleSinceMs;
  }

  get usable(): boolean {
    return this.connection.usable;
  }

  get hasRoom(): boolean {
    return !this.retiring && this.#depth < this.#maxDepth && this.connection.usable;
  }

  begin(): void {
    this.#depth += 1;
  }

  end(nowMs: number): void {
    this.#depth -= 1;
    this.#idleSinceMs = nowMs;
  }
}
