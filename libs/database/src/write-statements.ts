/**
 * The statements that write mail and audit, and their parameters. Each is one implicit transaction: all rows of a
 * group or none. Named, so that a connection parses each once.
 */
import type { QueryConfig } from 'pg';
import { recordableJson } from '#audit';
import type { MessageToStore } from '#delivery';
import { BLOCK_PARAMETERS, blockInsert, blockValues, type Block } from './audit-chain.js';
import {
  AUDIT_COLUMNS,
  auditArrays,
  auditRow,
  auditSelect,
  auditUnnest,
  AUDIT_PARAMETERS,
  type AuditRow,
} from './audit-rows.js';
import { boolArray, byteaArray, int4Array, int8Array, textArray, uuidArray } from './binary-array.js';

/** Rows of `message` and `queue` come from $1..$10 and $11..$19; a null owner makes a row due for anybody. */
const ACCEPT = `
  with new_message as (
    insert into message (id, sender, size_bytes, body_8bit, policy_revision, content, content_file,
      ret, envelope_id, smtp_utf8)
    select * from unnest($1::uuid[], $2::text[], $3::int8[], $4::bool[], $5::int4[], $6::bytea[], $7::text[],
      $8::text[], $9::text[], $10::bool[])
  ), new_queue as (
    insert into queue (message_id, id, address, route, owner, notify, original_recipient, header_edits, review, state,
      next_attempt_at, accepted_at)
    select q.message_id, q.id, q.address, q.route, q.owner, q.notify, q.original_recipient, q.header_edits,
      q.review::jsonb, case when q.review is null then 'queued' else 'held' end,
      case when q.review is null then now() else to_timestamp((q.review::jsonb->>'expiresAtMs')::float8 / 1000) end, now()
    from unnest($11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::int4[], $16::text[], $17::text[], $18::text[],
      $19::text[]) as q (message_id, id, address, route, owner, notify, original_recipient, header_edits, review)
  )`;

const FIRST_AUDIT = 20;
const ACCEPT_ALONE = `${ACCEPT} select`;

const ACCEPT_AUDITED = `${ACCEPT}, block as (${blockInsert(FIRST_AUDIT + AUDIT_PARAMETERS, FIRST_AUDIT)})
  insert into audit_event (${AUDIT_COLUMNS}) select ${auditSelect()} from ${auditUnnest(FIRST_AUDIT)}`;

const APPEND = `
  with block as (${blockInsert(1, 1 + BLOCK_PARAMETERS)})
  insert into audit_event (${AUDIT_COLUMNS}) select ${auditSelect()} from ${auditUnnest(1 + BLOCK_PARAMETERS)}`;

/** Audit rows of a commit group: those of its messages, then `appended`. */
export function rowsOf(messages: readonly MessageToStore[], appended: readonly AuditRow[]): AuditRow[] {
  const rows = messages.flatMap((message) => message.events.map((event) => auditRow(event)));
  return appended.length === 0 ? rows : [...rows, ...appended];
}

/** What one accept statement writes. Without `audit` another statement of the transaction writes the events. */
export interface CommitGroup {
  readonly messages: readonly MessageToStore[];
  /** This node's incarnation, for messages that are `leased`. */
  readonly owner: number | null;
  readonly audit?: { readonly rows: readonly AuditRow[]; readonly block: Block };
}

export function acceptStatement({ messages, owner, audit }: CommitGroup): QueryConfig<unknown[]> {
  const recipients = messages.flatMap((message) =>
    message.recipients.map((recipient) => ({
      recipient,
      messageId: message.id,
      owner: message.leased && recipient.review === undefined ? owner : null,
    })),
  );
  return {
    ...(audit === undefined ? { name: 'accept-alone', text: ACCEPT_ALONE } : { name: 'accept', text: ACCEPT_AUDITED }),
    values: [
      uuidArray(messages.map((message) => message.id)),
      textArray(messages.map((message) => message.sender)),
      int8Array(messages.map((message) => message.sizeBytes)),
      boolArray(messages.map((message) => message.body8bit)),
      int4Array(messages.map((message) => message.policyRevision)),
      byteaArray(messages.map((message) => (message.content.kind === 'inline' ? message.content.bytes : null))),
      sparseArray(messages.map((message) => (message.content.kind === 'spool' ? message.content.file : null))),
      sparseArray(messages.map((message) => message.ret ?? null)),
      sparseArray(messages.map((message) => message.envelopeId ?? null)),
      boolArray(messages.map((message) => message.smtpUtf8 === true)),
      uuidArray(recipients.map((row) => row.messageId)),
      uuidArray(recipients.map((row) => row.recipient.id)),
      textArray(recipients.map((row) => row.recipient.address)),
      textArray(recipients.map((row) => row.recipient.route)),
      int4Array(recipients.map((row) => row.owner)),
      sparseArray(recipients.map(({ recipient }) => recipient.notify?.join(',') ?? null)),
      sparseArray(recipients.map(({ recipient }) => recipient.originalRecipient ?? null)),
      sparseArray(recipients.map(({ recipient }) => jsonOrNull(recipient.headerChanges))),
      sparseArray(recipients.map(({ recipient }) => jsonOrNull(recipient.review))),
      ...(audit === undefined ? [] : [...auditArrays(audit.rows), ...blockValues(audit.block)]),
    ],
  };
}

export function appendStatement(rows: readonly AuditRow[], block: Block): QueryConfig<unknown[]> {
  return { name: 'append', text: APPEND, values: [...blockValues(block), ...auditArrays(rows)] };
}

/** Texts that most messages do not have. None at all is no array: `unnest` fills its column with nulls. */
function sparseArray(texts: readonly (string | null)[]): Buffer | null {
  return texts.some((text) => text !== null) ? textArray(texts) : null;
}

function jsonOrNull(value: object | undefined): string | null {
  return value === undefined ? null : recordableJson(value);
}
