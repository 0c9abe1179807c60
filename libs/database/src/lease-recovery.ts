/**
 * Takes back leases that this process does not know of: a claim, or the accept of a leased message, that was committed
 * although its answer was lost. Without it those rows would wait for a restart, because their owner lives.
 */
import type { Pool } from 'pg';
import { uuidArray } from './binary-array.js';
import { query } from './connections.js';

/** Longer than a server works on a statement that nobody waits for any more. */
const WATCHED_MS = 20_000;
const PAUSE_MS = 500;

const RECOVER = `
  with mine as (
    select q.message_id, q.id from queue q where q.owner = $1 and q.claim = any($2::bigint[])
    union select q.message_id, q.id from queue q where q.owner = $1 and q.message_id = any($3::uuid[])
  )
  update queue q set owner = null, next_attempt_at = now() from mine m
  where q.message_id = m.message_id and q.id = m.id and q.owner = $1`;

interface Lost {
  readonly owner: number;
  readonly claim?: string;
  readonly messageIds?: readonly string[];
  readonly atMs: number;
}

export class LeaseRecovery {
  readonly #pool: Pool;
  #lost: Lost[] = [];
  #ranAtMs = Number.NEGATIVE_INFINITY;
  #running = false;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  claimLost(owner: number, claim: string): void {
    this.#lost.push({ owner, claim, atMs: performance.now() });
  }

  acceptLost(owner: number, messageIds: readonly string[]): void {
    this.#lost.push({ owner, messageIds, atMs: performance.now() });
  }

  /** Cheap when nothing is lost. Called with every claim; a statement that comes through late is found by the next. */
  async run(): Promise<void> {
    const startedAtMs = performance.now();
    if (this.#lost.length === 0 || this.#running || startedAtMs - this.#ranAtMs < PAUSE_MS) return;
    this.#running = true;
    try {
      for (const owner of new Set(this.#lost.map((lost) => lost.owner))) await this.#recover(owner);
      this.#ranAtMs = startedAtMs;
      this.#lost = this.#lost.filter(({ atMs }) => startedAtMs - atMs < WATCHED_MS);
    } finally {
      this.#running = false;
    }
  }

  async #recover(owner: number): Promise<void> {
    const lost = this.#lost.filter((one) => one.owner === owner);
    const claims = lost.flatMap(({ claim }) => claim ?? []);
    const messageIds = lost.flatMap((one) => one.messageIds ?? []);
    await query(this.#pool, { text: RECOVER, values: [owner, claims, uuidArray(messageIds)] });
  }
}
