/** Audit events inside a transaction of administration: they commit with the change they tell of. */
import type { AuditEvent } from '#audit';
import { blockAfter, blockInsert, BLOCK_PARAMETERS, blockValues } from './audit-chain.js';
import { AUDIT_COLUMNS, auditArrays, auditRow, auditSelect, auditUnnest } from './audit-rows.js';

/** All processes write administration to one chain: few rows, and its place is taken only at the commit. */
const CHAIN = '00000000-0000-7000-8000-61646d696e00';
/** Advisory lock: one transaction at a time continues the chain, until it ends. */
const LOCK_KEY = 0x706f7374_02;

const INSERT = `
  with block as (${blockInsert(1, 1 + BLOCK_PARAMETERS)})
  insert into audit_event (${AUDIT_COLUMNS}) select ${auditSelect()} from ${auditUnnest(1 + BLOCK_PARAMETERS)}`;

/** `pg` clients and TypeORM managers both have it. */
export interface Querying {
  query(text: string, values: unknown[]): Promise<unknown>;
}

interface HeadRow {
  sequence: string;
  hash: string;
}

export async function writeEvents(connection: Querying, events: readonly AuditEvent[]): Promise<void> {
  await connection.query('select pg_advisory_xact_lock($1)', [LOCK_KEY]);
  const found = await connection.query(
    `select sequence, encode(hash, 'hex') as hash from audit_block where chain = $1 order by sequence desc limit 1`,
    [CHAIN],
  );
  const [head] = rowsIn(found) as readonly HeadRow[];
  const rows = events.map((event) => auditRow(event));
  const last = head === undefined ? undefined : { sequence: Number(head.sequence), hash: head.hash };
  const block = blockAfter({ chain: CHAIN, node: '' }, last, rows);
  await connection.query(INSERT, [...blockValues(block), ...auditArrays(rows)]);
}

/** `pg` answers with an object that has the rows, TypeORM with the rows. */
export function rowsIn(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? (answer as unknown[]) : (answer as { rows: unknown[] }).rows;
}
