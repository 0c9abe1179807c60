/**
 * Walks the whole audit and finds what was changed behind its back: rows against their blocks, blocks against each other,
 * chains against the signed checkpoints, and rows that no block knows. Streams: memory does not grow with the audit.
 */
import type { KeyObject } from 'node:crypto';
import { verify } from 'node:crypto';
import type { Pool } from 'pg';
import {
  ChainCheck,
  readCheckpoint,
  SignedHeads,
  type ChainedRow,
  type ChainFault,
  type CheckpointBody,
  type SignedCheckpoint,
  type StoredBlock,
} from '#audit';
import { sha256Hex } from './audit-chain.js';
import { uuidArray } from './binary-array.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { query } from './connections.js';
import { idFloor, idTimeMs } from './new-id.js';

const DAY_MS = 86_400_000;
const BLOCKS_AT_ONCE = 500;
const ROWS_AT_ONCE = 4_000;
const MOST_FAULTS = 100;
const NEIGHBOURHOOD_MS = 3_600_000;

export interface VerifyOptions {
  /** Public keys that checkpoints may be signed with, by fingerprint. */
  readonly keys: ReadonlyMap<string, KeyObject>;
  /** Copies of checkpoints kept outside of the database, in any order. */
  readonly kept?: AsyncIterable<SignedCheckpoint> | Iterable<SignedCheckpoint>;
  readonly signal?: AbortSignal;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly blocks: number;
  readonly rows: number;
  readonly chains: number;
  readonly checkpoints: number;
  /** Blocks written after the newest checkpoint: consistent, not signed yet. */
  readonly unsignedBlocks: number;
  /** Blocks of which retention dropped some rows: their place was checked, not their content. */
  readonly partialBlocks: number;
  /** Rows from before the chain began. */
  readonly unchainedRows: number;
  /** Fingerprints of keys that signed checkpoints and are not trusted here: those checkpoints prove nothing. */
  readonly unknownKeys: readonly string[];
  /** Start of the oldest day that is kept. */
  readonly since: Date;
  /** Oldest first, at most 100. */
  readonly faults: readonly ChainFault[];
}

interface BlockRow {
  [column: string]: unknown;
  id: string;
  chain: string;
  sequence: string;
  node: string;
  previous: string;
  hash: string;
  row_ids: string[];
}

interface AuditColumns {
  [column: string]: unknown;
  id: string;
  kind: string;
  session_id: string | null;
  transaction_id: string | null;
  recipient_id: string | null;
  recipient: string | null;
  sender: string | null;
  sender_domain: string | null;
  client: string | null;
  data: string;
}

export class AuditVerifier {
  readonly #pool: Pool;
  readonly #checkpoints: CheckpointStore;

  constructor(pool: Pool, checkpoints: CheckpointStore) {
    this.#pool = pool;
    this.#checkpoints = checkpoints;
  }

  async verify(options: VerifyOptions): Promise<VerifyReport> {
    const floorMs = await this.#floorMs();
    const faults: ChainFault[] = [];
    const onFault = (fault: ChainFault): void => {
      if (faults.length < MOST_FAULTS) faults.push(fault);
    };
    const signed = new SignedHeads(floorMs);
    const checkpoints = new CheckpointReader(options.keys, signed, onFault);
    // The copies first: what is signed meanwhile is stored before it is copied.
    for await (const checkpoint of options.kept ?? []) checkpoints.kept(checkpoint);
    for await (const page of this.#checkpoints.all()) for (const checkpoint of page) checkpoints.stored(checkpoint);
    checkpoints.finish();
    const check = new ChainCheck({ hash: sha256Hex, signed, floorMs, onFault });
    const walk = await this.#walk(check, signed, options.signal);
    check.finish();
    const unchainedRows = await this.#findStrangers({ oldest: walk.oldest, signal: options.signal, onFault });
    faults.sort((one, other) => one.atMs - other.atMs);
    const { blocks, rows, partial: partialBlocks } = check;
    return {
      ok: faults.length === 0,
      ...{ blocks, rows, partialBlocks, unchainedRows, faults },
      chains: walk.chains,
      unsignedBlocks: walk.unsigned,
      checkpoints: checkpoints.count,
      unknownKeys: [...checkpoints.unknownKeys],
      since: new Date(floorMs),
    };
  }

  async #walk(
    check: ChainCheck,
    signed: SignedHeads,
    signal: AbortSignal | undefined,
  ): Promise<{ chains: number; unsigned: number; oldest: string | undefined }> {
    const seen = { chains: 0, unsigned: 0, oldest: undefined as string | undefined };
    let chain: string | undefined;
    for await (const blocks of this.#blocks()) {
      signal?.throwIfAborted();
      const rows = await this.#rowsOf(blocks);
      for (const block of blocks) {
        if (block.chain !== chain) seen.chains += 1;
        chain = block.chain;
        if (block.sequence > (signed.of(chain)?.highest.sequence ?? 0)) seen.unsigned += 1;
        if (seen.oldest === undefined || block.id < seen.oldest) seen.oldest = block.id;
        check.block(
          block,
          block.rowIds.flatMap((id) => rows.get(id) ?? []),
        );
      }
    }
    return seen;
  }

  /** In the order of chain and sequence; parts small enough that their rows fit in memory. */
  async *#blocks(): AsyncGenerator<StoredBlock[]> {
    let last = {
      chain: '00000000-0000-0000-0000-000000000000',
      sequence: 0,
      id: '00000000-0000-0000-0000-000000000000',
    };
    for (;;) {
      const { rows } = await query<BlockRow>(this.#pool, {
        name: 'verify-blocks',
        text: `select id, chain, sequence, node, encode(previous, 'hex') as previous, encode(hash, 'hex') as hash, row_ids
               from audit_block where (chain, sequence, id) > ($1::uuid, $2::bigint, $3::uuid)
               order by chain, sequence, id limit ${BLOCKS_AT_ONCE}`,
        values: [last.chain, last.sequence, last.id],
      });
      let part: StoredBlock[] = [];
      let held = 0;
      for (const row of rows) {
        if (part.length > 0 && held + row.row_ids.length > ROWS_AT_ONCE) {
          yield part;
          part = [];
          held = 0;
        }
        held += row.row_ids.length;
        part.push(blockOf(row));
      }
      const newest = part.at(-1);
      if (newest === undefined) return;
      yield part;
      last = newest;
    }
  }

  async #rowsOf(blocks: readonly StoredBlock[]): Promise<ReadonlyMap<string, ChainedRow>> {
    const ids = blocks.flatMap(({ rowIds }) => rowIds);
    if (ids.length === 0) return new Map();
    const [least, most] = bounds(ids);
    const { rows } = await query<AuditColumns>(this.#pool, {
      // The bounds let the planner skip the other days.
      text: `select id, kind, session_id, transaction_id, recipient_id, recipient, sender, sender_domain,
               host(client_address) as client, data::text as data
             from audit_event where id = any($1::uuid[]) and id >= $2::uuid and id <= $3::uuid`,
      values: [uuidArray(ids), least, most],
    });
    return new Map(rows.map((row) => [row.id, rowOf(row)]));
  }

  /** Rows that stand in no block, day by day. Returns how many are older than the chain itself. */
  async #findStrangers({
    oldest,
    signal,
    onFault,
  }: {
    oldest: string | undefined;
    signal: AbortSignal | undefined;
    onFault: (fault: ChainFault) => void;
  }): Promise<number> {
    const beganMs = oldest === undefined ? Infinity : idTimeMs(oldest);
    let unchained = 0;
    for (const dayMs of await this.#days()) {
      signal?.throwIfAborted();
      const rows = await this.#strangersOf(dayMs);
      for (const { id, kind } of rows) {
        if (idTimeMs(id) < beganMs) unchained += 1;
        else
          onFault({
            kind: 'row-inserted',
            message: `row ${id} (${kind}) is in no block`,
            atMs: idTimeMs(id),
            rowId: id,
          });
      }
    }
    return unchained;
  }

  /** Mostly a row's block is of its own day; what is not found there is looked for in every other one. */
  async #strangersOf(dayMs: number): Promise<readonly { id: string; kind: string }[]> {
    const range = [idFloor(dayMs), idFloor(dayMs + DAY_MS)];
    const { rows } = await query<{ id: string; kind: string }>(this.#pool, {
      text: `select e.id, e.kind from audit_event e where e.id >= $1::uuid and e.id < $2::uuid and not exists (
               select from (select unnest(row_ids) as id from audit_block where id >= $1::uuid and id < $3::uuid) b
               where b.id = e.id)
             order by e.id limit ${MOST_FAULTS}`,
      values: [...range, idFloor(dayMs + DAY_MS + NEIGHBOURHOOD_MS)],
    });
    if (rows.length === 0) return rows;
    const elsewhere = await query<{ id: string }>(this.#pool, {
      text: `select b.id from (select unnest(row_ids) as id from audit_block) b where b.id = any($1::uuid[])`,
      values: [uuidArray(rows.map(({ id }) => id))],
    });
    const known = new Set(elsewhere.rows.map(({ id }) => id));
    return rows.filter(({ id }) => !known.has(id));
  }

  async #floorMs(): Promise<number> {
    return (await this.#days())[0] ?? 0;
  }

  /** Days that have a partition, oldest first, milliseconds since the epoch. */
  async #days(): Promise<readonly number[]> {
    const { rows } = await query<{ name: string }>(this.#pool, {
      text: `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
             where i.inhparent = 'audit_event'::regclass order by c.relname`,
    });
    return rows.flatMap(({ name }) => {
      const day = /_(\d{4})(\d\d)(\d\d)$/.exec(name);
      return day === null ? [] : [Date.UTC(Number(day[1]), Number(day[2]) - 1, Number(day[3]))];
    });
  }
}

/** Reads checkpoints in order, believes those that a trusted key signed. */
class CheckpointReader {
  readonly unknownKeys = new Set<string>();
  count = 0;
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #signed: SignedHeads;
  readonly #onFault: (fault: ChainFault) => void;
  #last: { node: string; sequence: number; hash: string } | undefined;
  /** Newest stored of each node, and newest of which a copy was kept. */
  readonly #newest = new Map<string, number>();
  readonly #newestKept = new Map<string, CheckpointBody>();

  constructor(keys: ReadonlyMap<string, KeyObject>, signed: SignedHeads, onFault: (fault: ChainFault) => void) {
    this.#keys = keys;
    this.#signed = signed;
    this.#onFault = onFault;
  }

  stored(
    checkpoint: SignedCheckpoint & { readonly node: string; readonly sequence: number; readonly madeAt: Date },
  ): void {
    this.count += 1;
    const body = readCheckpoint(checkpoint.body);
    const place = { node: checkpoint.node, sequence: checkpoint.sequence, atMs: checkpoint.madeAt.getTime() };
    if (body?.node !== checkpoint.node || body.sequence !== checkpoint.sequence || !this.#isSigned(checkpoint, body)) {
      this.#tell('checkpoint-altered', place, 'it is not what was signed');
    } else this.#believe(body);
    const expected = this.#last?.node === checkpoint.node ? this.#last.sequence + 1 : 1;
    if (checkpoint.sequence !== expected) this.#tell('checkpoint-removed', place, `checkpoint ${expected} is gone`);
    else if (body !== undefined && this.#last?.node === checkpoint.node && body.previous !== this.#last.hash)
      this.#tell('checkpoint-altered', place, 'it does not continue the checkpoint before it');
    this.#last = { node: checkpoint.node, sequence: checkpoint.sequence, hash: sha256Hex(checkpoint.body) };
    this.#newest.set(checkpoint.node, checkpoint.sequence);
  }

  kept(checkpoint: SignedCheckpoint): void {
    const body = readCheckpoint(checkpoint.body);
    // A line of the file that was cut by a crash, or a copy that proves nothing.
    if (body === undefined || !this.#keys.has(body.key) || !this.#isSigned(checkpoint, body)) return;
    this.#believe(body);
    const known = this.#newestKept.get(body.node);
    if (known === undefined || known.sequence < body.sequence) this.#newestKept.set(body.node, body);
  }

  /** Older copies are covered by the links between checkpoints. */
  finish(): void {
    for (const { node, sequence, atMs } of this.#newestKept.values()) {
      if (sequence <= (this.#newest.get(node) ?? 0)) continue;
      this.#tell('checkpoint-removed', { node, sequence, atMs }, 'it was signed, and is not in the database');
    }
  }

  #believe(body: CheckpointBody): void {
    if (this.#keys.has(body.key)) this.#signed.add(body);
    else this.unknownKeys.add(body.key);
  }

  /** True also for a key that nobody here knows: then nothing is known, and nothing believed. */
  #isSigned({ body, signature }: SignedCheckpoint, { key }: CheckpointBody): boolean {
    const known = this.#keys.get(key);
    return known === undefined || verify(null, Buffer.from(body), known, Buffer.from(signature, 'base64'));
  }

  #tell(
    kind: 'checkpoint-altered' | 'checkpoint-removed',
    place: { node: string; sequence: number; atMs: number },
    message: string,
  ): void {
    this.#onFault({ kind, message: `checkpoint ${place.sequence} of ${place.node}: ${message}`, ...place });
  }
}

function bounds(ids: readonly string[]): [string, string] {
  let [least = '', most = ''] = [ids[0], ids[0]];
  for (const id of ids) {
    if (id < least) least = id;
    if (id > most) most = id;
  }
  return [least, most];
}

function blockOf(row: BlockRow): StoredBlock {
  const { id, chain, node, previous, hash } = row;
  return { id, chain, sequence: Number(row.sequence), node, previous, hash, rowIds: row.row_ids };
}

function rowOf(row: AuditColumns): ChainedRow {
  return {
    id: row.id,
    kind: row.kind,
    sessionId: row.session_id,
    transactionId: row.transaction_id,
    recipientId: row.recipient_id,
    recipient: row.recipient,
    sender: row.sender,
    senderDomain: row.sender_domain,
    client: row.client,
    data: row.data,
  };
}
