/** Audit events as rows: which fields become columns, and the arrays that carry a group of them in one statement. */
import { z } from 'zod';
import { canonicalAddress, recordableJson, recordableText, type AuditEvent, type ChainedRow } from '#audit';
import { jsonArray, textArray, uuidArray } from './binary-array.js';

/** A row as it is stored, and as it is hashed. */
export type AuditRow = ChainedRow;

/** Domain of an address, lower case; '' for the null sender. A quoted local part may hold an `@`: the last one counts. */
export function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 0 ? '' : address.slice(at + 1).toLowerCase();
}

/** An address PostgreSQL's inet takes, without IPv6 zone, IPv4-mapped ones as IPv4; null for anything else. */
function inetText(address: string): string | null {
  const bare = (address.split('%', 1)[0] ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
  if (z.regexes.ipv4.test(bare)) return bare;
  return z.regexes.ipv6.test(bare) ? canonicalAddress(bare) : null;
}

/** `recipientId`, when given, is the queue row the event is about. */
export function auditRow(event: AuditEvent, recipientId?: string): AuditRow {
  const sender = event.sender === undefined ? null : recordableText(event.sender);
  const recipient = event.recipient ?? onlyRecipient(event);
  return {
    id: event.id,
    kind: event.kind,
    sessionId: event.sessionId ?? null,
    transactionId: event.transactionId ?? null,
    recipientId: recipientId ?? event.recipientId ?? null,
    recipient: recipient === undefined ? null : recordableText(recipient),
    sender,
    senderDomain: sender === null ? null : domainOf(sender),
    client: event.clientAddress === undefined ? null : inetText(event.clientAddress),
    data: recordableJson(event.data),
  };
}

function onlyRecipient(event: AuditEvent): string | undefined {
  if (
    event.kind !== 'transaction.accepted' &&
    event.kind !== 'transaction.refused' &&
    event.kind !== 'transaction.abandoned'
  ) {
    return undefined;
  }
  return event.data.recipients.length === 1 ? event.data.recipients[0]?.address : undefined;
}

/** Columns of audit_event filled by the program, in the order of auditArrays(). */
export const AUDIT_COLUMNS =
  'id, kind, session_id, transaction_id, recipient_id, recipient, sender, sender_domain, client_address, data';

/** How many arrays auditArrays() makes. */
export const AUDIT_PARAMETERS = 10;

/** `unnest` of the ten arrays that start at parameter `first`. */
export function auditUnnest(first: number): string {
  const types = ['uuid', 'text', 'uuid', 'uuid', 'uuid', 'text', 'text', 'text', 'text', 'json'];
  return `unnest(${types.map((type, index) => `$${first + index}::${type}[]`).join(', ')}) as e (${AUDIT_COLUMNS})`;
}

/** What to select from auditUnnest(). */
export function auditSelect(): string {
  return (
    'e.id, e.kind, e.session_id, e.transaction_id, e.recipient_id, e.recipient, e.sender, e.sender_domain, ' +
    'e.client_address::inet, e.data'
  );
}

export function auditArrays(rows: readonly AuditRow[]): Buffer[] {
  return [
    uuidArray(rows.map((row) => row.id)),
    textArray(rows.map((row) => row.kind)),
    uuidArray(rows.map((row) => row.sessionId)),
    uuidArray(rows.map((row) => row.transactionId)),
    uuidArray(rows.map((row) => row.recipientId)),
    textArray(rows.map((row) => row.recipient)),
    textArray(rows.map((row) => row.sender)),
    textArray(rows.map((row) => row.senderDomain)),
    textArray(rows.map((row) => row.client)),
    jsonArray(rows.map((row) => row.data)),
  ];
}
