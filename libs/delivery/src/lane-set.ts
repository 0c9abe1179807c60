/**
 * The open connections of one destination. A connection counts against the budget from before it is opened until it is
 * closed or says goodbye, whichever comes first.
 */
import type { ConnectionBudget } from './connection-budget.js';
import { Lane } from './lane.js';
import type { RankedTarget } from './next-hop.js';
import type { OutboundConnection } from './ports.js';

const IDLE_MS = 5_000;

export class LaneSet {
  readonly #budget: ConnectionBudget;
  readonly #lost: () => void;
  readonly #lanes = new Set<Lane>();
  /** Every open connection, those that are saying QUIT included. */
  readonly #connections = new Set<OutboundConnection>();

  /** `lost` is called when a lane's connection ended by itself. */
  constructor(budget: ConnectionBudget, lost: () => void) {
    this.#budget = budget;
    this.#lost = lost;
  }

  get size(): number {
    return this.#lanes.size;
  }

  /** Lanes that take more. */
  get open(): number {
    let count = 0;
    for (const lane of this.#lanes) if (!lane.retiring) count += 1;
    return count;
  }

  add(target: RankedTarget, connection: OutboundConnection, nowMs: number): Lane {
    const lane = new Lane(target, connection, nowMs);
    this.#lanes.add(lane);
    this.#connections.add(connection);
    connection.onClose(() => this.#closed(lane));
    return lane;
  }

  countTo(key: string): number {
    let count = 0;
    for (const lane of this.#lanes) if (lane.target.key === key) count += 1;
    return count;
  }

  to(target: RankedTarget): Lane | undefined {
    for (const lane of this.#lanes) if (lane.target.key === target.key) return lane;
    return undefined;
  }

  withRoomTo(target: RankedTarget): Lane | undefined {
    for (const lane of this.#lanes) if (lane.target.key === target.key && lane.hasRoom) return lane;
    return undefined;
  }

  /** A lane with nothing on it, to a host of this rank or a better one; idle lanes to worse ones are given up. */
  idle(rank: number): Lane | undefined {
    for (const lane of this.#lanes) {
      if (lane.depth > 0) continue;
      if (lane.target.rank <= rank && lane.hasRoom) return lane;
      this.retire(lane);
    }
    return undefined;
  }

  /** Gives up one idle lane that leads elsewhere, to make room. */
  retireOneNotTo(target: RankedTarget): boolean {
    for (const lane of this.#lanes) {
      if (lane.depth > 0 || lane.target.key === target.key) continue;
      this.retire(lane);
      return true;
    }
    return false;
  }

  /** The least busy lane that takes one more job behind what is on it. */
  roomiest(): Lane | undefined {
    let found: Lane | undefined;
    for (const lane of this.#lanes) if (lane.hasRoom && (found === undefined || lane.depth < found.depth)) found = lane;
    return found;
  }

  retire(lane: Lane): void {
    if (!this.#lanes.delete(lane)) return;
    lane.connection.quit();
    this.#budget.give();
  }

  /** Nothing more goes to this host: idle lanes end now, busy ones with what is on them. */
  retireTo(target: RankedTarget): void {
    for (const lane of this.#lanes) {
      if (lane.target.key !== target.key) continue;
      lane.retiring = true;
      if (lane.depth === 0) this.retire(lane);
    }
  }

  /** `wanted`: others wait for a connection. */
  retireIdle(nowMs: number, wanted: boolean): void {
    const idleMs = wanted ? 0 : IDLE_MS;
    for (const lane of this.#lanes) if (lane.depth === 0 && nowMs - lane.idleSinceMs >= idleMs) this.retire(lane);
  }

  retireAll(): void {
    for (const lane of this.#lanes) this.retire(lane);
  }

  destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #closed(lane: Lane): void {
    this.#connections.delete(lane.connection);
    if (!this.#lanes.delete(lane)) return;
    this.#budget.give();
    this.#lost();
  }
}
