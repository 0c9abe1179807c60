/**
 * Large content in the database, for gateways that share no disk: written in chunks while it arrives, each durable before
 * the next, and complete before the message that names it is committed. Memory: one chunk.
 */
import type { Pool } from 'pg';
import { query } from './connections.js';
import { idFloor } from './new-id.js';
import { isMissingPartition } from './operational-error.js';

/** Longer than a session may take from the first octet of content to its commit. */
const ORPHAN_AGE_MS = 4 * 3_600_000;
/** Orphans older than this were swept before; their day is dropped anyway. */
const SWEPT_DAYS_MS = 3 * 86_400_000;

export class ContentChunks {
  readonly #pool: Pool;
  readonly #makePartitions: (ids: readonly string[]) => Promise<void>;

  constructor(pool: Pool, makePartitions: (ids: readonly string[]) => Promise<void>) {
    this.#pool = pool;
    this.#makePartitions = makePartitions;
  }

  /** `number` from 0. Resolves after COMMIT. */
  async append(messageId: string, number: number, octets: Uint8Array): Promise<void> {
    const statement = {
      name: 'append-chunk',
      text: 'insert into content_chunk (message_id, number, octets) values ($1, $2, $3)',
      values: [messageId, number, octets],
    };
    try {
      await query(this.#pool, statement);
    } catch (error) {
      if (!isMissingPartition(error)) throw error;
      await this.#makePartitions([messageId]);
      await query(this.#pool, statement);
    }
  }

  /** Chunk by chunk, in order; nothing when there is none. */
  async *read(messageId: string): AsyncGenerator<Buffer> {
    for (let number = 0; ; number += 1) {
      const { rows } = await query<{ octets: Buffer }>(this.#pool, {
        name: 'read-chunk',
        text: 'select octets from content_chunk where message_id = $1 and number = $2',
        values: [messageId, number],
      });
      if (rows[0] === undefined) return;
      yield rows[0].octets;
    }
  }

  /** Of a message that will not be accepted. */
  async remove(messageId: string): Promise<void> {
    await query(this.#pool, { text: 'delete from content_chunk where message_id = $1', values: [messageId] });
  }

  /** Chunks that a crash left without their message. What was delivered stays as long as retention keeps content. */
  async sweepOrphans(nowMs = Date.now()): Promise<number> {
    const { rowCount } = await query(this.#pool, {
      text: `delete from content_chunk c where c.message_id >= $1 and c.message_id < $2
               and not exists (select from message m where m.id = c.message_id)`,
      values: [idFloor(nowMs - SWEPT_DAYS_MS), idFloor(nowMs - ORPHAN_AGE_MS)],
    });
    return rowCount ?? 0;
  }
}
