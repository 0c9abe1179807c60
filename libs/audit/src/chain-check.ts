/**
 * Checks blocks against their rows, against each other and against the signed checkpoints. Fed block by block, chain
 * after chain; holds one block and a summary of each chain, however long the audit is.
 */
import { blockText, GENESIS, type BlockPlace, type ChainedRow } from './chain.js';
import { idTimeMs } from './ids.js';
import type { SignedChain, SignedHeads } from './signed-heads.js';

/** A block as it is stored: what it claims. */
export interface StoredBlock extends BlockPlace {
  readonly hash: string;
  readonly rowIds: readonly string[];
}

export type ChainFaultKind =
  /** A row of the block, or the block itself, is not what was hashed. */
  | 'altered'
  /** A row of the block is gone. */
  | 'row-removed'
  /** A row stands in no block. */
  | 'row-inserted'
  /** Blocks are missing before this one. */
  | 'removed'
  /** A second block at the same place. */
  | 'inserted'
  /** The block does not continue the one before it: order changed, or the one before was replaced. */
  | 'reordered'
  /** A checkpoint names this block, and the chain ends before it. */
  | 'truncated'
  /** Consistent in itself, but not what the checkpoint signed: rewritten. */
  | 'rewritten'
  /** Old enough to have been signed, and was not: made by somebody else. */
  | 'unsigned'
  /** A checkpoint that was signed is not in the database. */
  | 'checkpoint-removed'
  /** The signature of a checkpoint does not fit, or it does not continue the one before. */
  | 'checkpoint-altered';

export interface ChainFault {
  readonly kind: ChainFaultKind;
  /** What was found, as a sentence. */
  readonly message: string;
  /** When the block, row or checkpoint was made, milliseconds since the epoch. */
  readonly atMs: number;
  readonly node?: string;
  readonly chain?: string;
  readonly sequence?: number;
  readonly blockId?: string;
  readonly rowId?: string;
}

export interface ChainCheckOptions {
  /** SHA-256, hex. */
  readonly hash: (text: string) => string;
  readonly signed: SignedHeads;
  /** Start of the oldest day that is kept. */
  readonly floorMs: number;
  readonly onFault: (fault: ChainFault) => void;
}

/** A checkpoint is made each minute; a block this much older than one had to be in it. */
const SIGNED_WITHIN_MS = 300_000;

export class ChainCheck {
  readonly #options: ChainCheckOptions;
  #last: { chain: string; node: string; sequence: number; hash: string } | undefined;
  #unsignedTold = false;
  readonly #seen = new Set<string>();
  /** Blocks whose rows were partly dropped by retention: their place was checked, not their content. */
  partial = 0;
  blocks = 0;
  rows = 0;

  constructor(options: ChainCheckOptions) {
    this.#options = options;
  }

  /** Blocks in the order of chain and sequence; `rows` those found of its row ids, in any order. */
  block(block: StoredBlock, rows: readonly ChainedRow[]): void {
    if (this.#last?.chain !== block.chain) {
      this.#endChain();
      this.#beginChain(block);
    } else this.#checkLink(block, this.#last);
    this.blocks += 1;
    this.rows += rows.length;
    this.#checkRows(block, rows);
    this.#checkSigned(block);
    this.#last = { chain: block.chain, node: block.node, sequence: block.sequence, hash: block.hash };
  }

  /** After the last block. */
  finish(): void {
    this.#endChain();
    for (const [chain, signed] of this.#options.signed.chains()) {
      if (this.#seen.has(chain) || signed.firstKept === undefined) continue;
      this.#fault('truncated', { ...signed.highest, node: '' }, `chain ${chain} is gone: a checkpoint names it`);
    }
  }

  #beginChain(block: StoredBlock): void {
    this.#seen.add(block.chain);
    this.#unsignedTold = false;
    if (block.sequence === 1) {
      if (block.previous !== GENESIS)
        this.#fault('altered', block, 'the first block of its chain names a block before it');
      return;
    }
    const signed = this.#options.signed.of(block.chain);
    if (!this.#mayBeginAt(block, signed)) {
      this.#fault('removed', block, `the blocks before ${block.sequence} are gone, and not by retention`);
    } else if (signed?.lastDropped?.sequence === block.sequence - 1 && signed.lastDropped.hash !== block.previous) {
      this.#fault('reordered', block, 'it does not continue the block that was signed before it');
    }
  }

  /** Retention drops the oldest days: a chain may then begin in its middle, where no kept day lost anything. */
  #mayBeginAt(block: StoredBlock, signed: SignedChain | undefined): boolean {
    if (signed === undefined) return false;
    if (signed.firstSignedAtMs >= this.#options.floorMs + SIGNED_WITHIN_MS) return false;
    return signed.firstKept === undefined || signed.firstKept.sequence >= block.sequence;
  }

  #checkLink(block: StoredBlock, last: { sequence: number; hash: string }): void {
    if (block.sequence === last.sequence) {
      this.#fault('inserted', block, `two blocks claim to be number ${block.sequence}`);
    } else if (block.sequence > last.sequence + 1) {
      this.#fault('removed', block, `the blocks from ${last.sequence + 1} to ${block.sequence - 1} are gone`);
    } else if (block.previous !== last.hash) {
      this.#fault('reordered', block, 'it does not continue the block before it');
    }
  }

  #checkRows(block: StoredBlock, found: readonly ChainedRow[]): void {
    const byId = new Map(found.map((row) => [row.id, row]));
    const rows: ChainedRow[] = [];
    let dropped = 0;
    for (const id of block.rowIds) {
      const row = byId.get(id);
      if (row !== undefined) rows.push(row);
      else if (idTimeMs(id) < this.#options.floorMs) dropped += 1;
      else {
        this.#fault('row-removed', block, `row ${id} is gone`, id);
        return;
      }
    }
    if (dropped > 0) this.partial += 1;
    else if (this.#options.hash(blockText(block, rows)) !== block.hash) {
      this.#fault('altered', block, 'its rows, or the block itself, are not what was hashed');
    }
  }

  #checkSigned(block: StoredBlock): void {
    const highest = this.#options.signed.of(block.chain)?.highest;
    if (highest?.sequence === block.sequence && highest.hash !== block.hash) {
      this.#fault('rewritten', block, 'it is not the block that the checkpoint signed');
    }
    if (this.#unsignedTold || block.sequence <= (highest?.sequence ?? 0)) return;
    if (idTimeMs(block.id) + SIGNED_WITHIN_MS >= this.#options.signed.signedUntilMs(block.node)) return;
    this.#unsignedTold = true;
    this.#fault('unsigned', block, 'checkpoints made after it do not know it');
  }

  #endChain(): void {
    const last = this.#last;
    if (last === undefined) return;
    const highest = this.#options.signed.of(last.chain)?.highest;
    if (highest !== undefined && highest.sequence > last.sequence) {
      const place = { ...highest, node: last.node };
      this.#fault('truncated', place, `the chain ends at ${last.sequence}, a checkpoint names ${highest.sequence}`);
    }
    this.#last = undefined;
  }

  #fault(
    kind: ChainFaultKind,
    { chain, sequence, id, node }: { chain: string; sequence: number; id: string; node: string },
    message: string,
    rowId?: string,
  ): void {
    const place = { atMs: idTimeMs(id), node, chain, sequence, blockId: id };
    this.#options.onFault({ kind, message, ...place, ...(rowId === undefined ? {} : { rowId }) });
  }
}
