/** Audit events inside a transaction of administration: they commit with the change they tell of. */
import type { AuditEvent } from '#audit';
import { AUDIT_COLUMNS, auditArrays, auditRow, auditSelect, auditUnnest } from './audit-rows.js';

/** `pg` clients and TypeORM managers both have it. */
interface Querying {
  query(text: string, values: unknown[]): Promise<unknown>;
}

export async function writeEvents(connection: Querying, events: readonly AuditEvent[]): Promise<void> {
  await connection.query(
    `insert into audit_event (${AUDIT_COLUMNS}) select ${auditSelect()} from ${auditUnnest(1)}`,
    auditArrays(events.map((event) => auditRow(event))),
  );
}
