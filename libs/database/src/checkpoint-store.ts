/**
 * Checkpoints of the audit's chains. A gateway signs what it remembers of its own chains; from the database it takes only
 * the ends of chains that nobody remembers any more (its predecessor's, those of processes that are no gateway).
 */
import type { Pool } from 'pg';
import { readCheckpoint, type ChainHead, type SignedCheckpoint } from '#audit';
import { sha256Hex, type AuditChains } from './audit-chain.js';
import { query } from './connections.js';
import { idFloor } from './new-id.js';
import type { Page } from './types.js';

/** A block becomes visible at most this much later than its id says: a commit's longest wait, and then some. */
const LATE_COMMIT_MS = 120_000;
const MOST = 500;

export interface StoredCheckpoint extends SignedCheckpoint {
  readonly node: string;
  readonly sequence: number;
  readonly madeAt: Date;
  readonly key: string;
}

interface CheckpointRow {
  [column: string]: unknown;
  node: string;
  sequence: string;
  made_at: Date;
  key: string;
  body: string;
  signature: Buffer;
}

const COLUMNS = 'node, sequence, made_at, key, body, signature';

export class CheckpointStore {
  readonly #pool: Pool;
  readonly #chains: AuditChains;

  constructor(pool: Pool, chains: AuditChains) {
    this.#pool = pool;
    this.#chains = chains;
  }

  /**
   * Heads of the chains that grew since `sinceMs`: this process's from memory. `predecessors`: also chains of this node
   * that it does not remember; only right after the start, because later nobody else has business with the name.
   */
  async heads(given: {
    readonly node: string;
    readonly sinceMs: number;
    readonly predecessors: boolean;
  }): Promise<readonly ChainHead[]> {
    const { rows } = await query<{ chain: string; sequence: string; hash: string; id: string }>(this.#pool, {
      text: `select distinct on (chain) chain, sequence, encode(hash, 'hex') as hash, id from audit_block
             where id >= $1 and (node = '' or node = $2 and ($3 or chain = any($4))) order by chain, sequence desc`,
      values: [idFloor(given.sinceMs - LATE_COMMIT_MS), given.node, given.predecessors, [...this.#chains.abandoned]],
    });
    // Read after the query: a block committed meanwhile is then signed as it is remembered.
    const own = this.#chains.heads();
    const remembered = new Set(own.map(({ chain }) => chain));
    const others = rows.filter(({ chain }) => !remembered.has(chain));
    return [...own, ...others.map((row) => ({ ...row, sequence: Number(row.sequence) }))];
  }

  /** Storing the same checkpoint twice does no harm: its outcome may have been unknown. */
  async store({ body, signature }: SignedCheckpoint): Promise<void> {
    const read = readCheckpoint(body);
    if (read === undefined) throw new TypeError('this is no checkpoint');
    await query(this.#pool, {
      text: `insert into audit_checkpoint (node, sequence, made_at, key, hash, body, signature)
             values ($1, $2, to_timestamp($3::float8 / 1000), $4, decode($5, 'hex'), $6, decode($7, 'base64'))
             on conflict (node, sequence) do nothing`,
      values: [read.node, read.sequence, read.atMs, read.key, sha256Hex(body), body, signature],
    });
  }

  async last(node: string): Promise<StoredCheckpoint | undefined> {
    const { rows } = await query<CheckpointRow>(this.#pool, {
      text: `select ${COLUMNS} from audit_checkpoint where node = $1 order by sequence desc limit 1`,
      values: [node],
    });
    return rows[0] === undefined ? undefined : checkpointOf(rows[0]);
  }

  /** Newest first. `after` is the `next` of the page before. */
  async list(given: { readonly limit?: number; readonly after?: string } = {}): Promise<Page<StoredCheckpoint>> {
    const limit = Math.min(given.limit ?? 50, MOST);
    const [, afterMs, sequence, node] = /^(\d+)\.(\d+)\.(.*)$/.exec(given.after ?? '') ?? [];
    const { rows } = await query<CheckpointRow>(this.#pool, {
      text: `select ${COLUMNS} from audit_checkpoint
             where $1::float8 is null or (made_at, node, sequence) < (to_timestamp($1::float8 / 1000), $2::text, $3::bigint)
             order by made_at desc, node desc, sequence desc limit $4`,
      values: [afterMs ?? null, node ?? null, sequence ?? null, limit + 1],
    });
    const data = rows.slice(0, limit).map(checkpointOf);
    const last = data.at(-1);
    if (rows.length <= limit || last === undefined) return { data };
    return { data, next: `${last.madeAt.getTime()}.${last.sequence}.${last.node}` };
  }

  /** Node by node in their order, a page at a time. */
  async *all(): AsyncGenerator<readonly StoredCheckpoint[]> {
    let node = '';
    let sequence = 0;
    for (;;) {
      const { rows } = await query<CheckpointRow>(this.#pool, {
        text: `select ${COLUMNS} from audit_checkpoint where (node, sequence) > ($1, $2) order by node, sequence limit $3`,
        values: [node, sequence, MOST],
      });
      const last = rows.at(-1);
      if (last === undefined) return;
      yield rows.map(checkpointOf);
      node = last.node;
      sequence = Number(last.sequence);
    }
  }
}

function checkpointOf(row: CheckpointRow): StoredCheckpoint {
  const { node, made_at: madeAt, key, body } = row;
  return { node, sequence: Number(row.sequence), madeAt, key, body, signature: row.signature.toString('base64') };
}
