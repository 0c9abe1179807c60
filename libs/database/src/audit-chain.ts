/**
 * Makes the blocks of the audit's hash chain (canonical form: libs/audit/src/chain.ts). A block is written by the
 * statement that writes its rows, so that there is never one without the other.
 *
 * A chain is a line, and the next block needs the hash of the last one: each of this process's chains has one commit
 * under way at a time, and there are as many chains as commits at once. A commit whose outcome is unknown ends its chain:
 * whether its last block is stored or not, every block before it stays provable.
 */
import { hash, randomUUID } from 'node:crypto';
import { blockText, GENESIS, type ChainHead } from '#audit';
import type { AuditRow } from './audit-rows.js';
import { newId } from './new-id.js';
import { OperationalError } from './operational-error.js';

export interface Block extends ChainHead {
  readonly node: string;
  readonly previous: string;
}

/** Columns of audit_block that stand for parameters $first…; `row_ids` is a parameter of the statement anyway. */
export function blockInsert(first: number, rowIds: number): string {
  const types = ['uuid', 'uuid', 'bigint', 'text', 'bytea', 'bytea'];
  const values = types.map((type, index) => `$${first + index}::${type}`).join(', ');
  return `insert into audit_block (id, chain, sequence, node, previous, hash, row_ids) values (${values}, $${rowIds}::uuid[])`;
}

export const BLOCK_PARAMETERS = 6;

export function blockValues(block: Block): unknown[] {
  const { id, chain, sequence, node, previous, hash } = block;
  return [id, chain, sequence, node, Buffer.from(previous, 'hex'), Buffer.from(hash, 'hex')];
}

/** SHA-256 in hex: the hash of every block. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The block that follows `last` (undefined: the first of `chain`) and holds `rows`. */
export function blockAfter(
  place: { readonly chain: string; readonly node: string },
  last: { readonly sequence: number; readonly hash: string } | undefined,
  rows: readonly AuditRow[],
): Block {
  const block = {
    ...place,
    id: newId(),
    sequence: (last?.sequence ?? 0) + 1,
    previous: last?.hash ?? GENESIS,
  };
  return { ...block, hash: sha256Hex(blockText(block, rows)) };
}

/** Long signed, when so many came after. */
const MOST_ABANDONED = 1_000;

interface Chain {
  readonly id: string;
  head: Block | undefined;
}

/** Rows of audit that were committed together, and how long their statement took. */
export type CommitListener = (rows: readonly { readonly kind: string }[], tookMs: number) => void;

export class AuditChains {
  readonly #node: () => string;
  readonly #chains = new Set<Chain>();
  readonly #idle: Chain[] = [];
  /** Chains that ended with a commit of unknown outcome: only the database knows their last block. */
  readonly abandoned = new Set<string>();
  /** Told of every group of rows once it is committed, with the time that took. Must not throw. */
  onCommit: CommitListener | undefined;

  /** `node` is asked for every block: '' before this process joined as a gateway. */
  constructor(node: () => string) {
    this.#node = node;
  }

  /** Newest committed block of each chain of this process: the truth, whatever the database says. */
  heads(): ChainHead[] {
    return [...this.#chains].flatMap(({ head }) => {
      if (head === undefined) return [];
      const { chain, sequence, hash, id } = head;
      return [{ chain, sequence, hash, id }];
    });
  }

  /** `write` commits the rows and the block, or throws; it must not be tried again with the same block. */
  async withBlock<T>(rows: readonly AuditRow[], write: (block: Block) => Promise<T>): Promise<T> {
    const chain = this.#idle.pop() ?? this.#begin();
    const block = blockAfter({ chain: chain.id, node: this.#node() }, chain.head, rows);
    const startedAtMs = performance.now();
    try {
      const result = await write(block);
      chain.head = block;
      this.#idle.push(chain);
      this.onCommit?.(rows, performance.now() - startedAtMs);
      return result;
    } catch (error) {
      if (error instanceof OperationalError && !error.outcomeKnown) this.#abandon(chain);
      else this.#idle.push(chain);
      throw error;
    }
  }

  #abandon(chain: Chain): void {
    this.#chains.delete(chain);
    this.abandoned.add(chain.id);
    const [oldest] = this.abandoned;
    if (this.abandoned.size > MOST_ABANDONED && oldest !== undefined) this.abandoned.delete(oldest);
  }

  #begin(): Chain {
    const chain = { id: randomUUID(), head: undefined };
    this.#chains.add(chain);
    return chain;
  }
}
