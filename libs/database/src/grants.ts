/**
 * What the roles of the processes may do. The gateway writes the audit and can never change it; the admin API does not
 * read mail. Every table stands here: one that does not is for its owner only.
 */
import type { Pool } from 'pg';
import { inTransaction } from './connections.js';

const LOCK_KEY = 0x706f7374_03;

export type ProcessKind = 'gateway' | 'admin-api';

type Rights = Readonly<Record<string, string>>;

/** Without its content. */
const ENVELOPE =
  'select (id, sender, size_bytes, body_8bit, policy_revision, content_file, ret, envelope_id, smtp_utf8)';

const APPEND_ONLY: Rights = {
  audit_event: 'select, insert',
  audit_block: 'select, insert',
};

const RIGHTS: Readonly<Record<ProcessKind, Rights>> = {
  gateway: {
    ...APPEND_ONLY,
    audit_checkpoint: 'select, insert',
    message: 'select, insert',
    content_chunk: 'select, insert, delete',
    queue: 'select, insert, update, delete',
    node: 'select, insert, update',
    suspended_destination: 'select',
    gateway_drain: 'select',
    gateway_question: 'select',
    gateway_answer: 'select, insert',
    limit_count: 'select, insert, update, delete',
    greylist_entry: 'select, insert, update, delete',
    policy_revision: 'select',
    policy_release: 'select',
    // Releases that nobody confirmed are noted by whichever gateway sees it first.
    policy_release_end: 'select, insert',
    // Entries that expire are removed by whichever gateway sees it first.
    managed_list: 'select, update',
    list_entry: 'select, delete',
    list_change: 'select, insert',
    smtp_account: 'select',
    scram_decoy: 'select',
    secret: 'select',
    retention: 'select',
    schema_migration: 'select',
  },
  'admin-api': {
    ...APPEND_ONLY,
    audit_checkpoint: 'select',
    message: ENVELOPE,
    // Operators may drop mail.
    queue: 'select, update, delete',
    suspended_destination: 'select, insert, delete',
    gateway_drain: 'select, insert, delete',
    gateway_question: 'select, insert, delete',
    gateway_answer: 'select, delete',
    node: 'select',
    policy_revision: 'select, insert',
    policy_release: 'select, insert',
    policy_release_end: 'select, insert',
    policy_draft: 'select, insert, update, delete',
    policy_approval: 'select, insert',
    managed_list: 'select, insert, update',
    list_entry: 'select, insert, update, delete',
    list_change: 'select, insert',
    api_key: 'select, insert, update',
    smtp_account: 'select, insert, update, delete',
    scram_decoy: 'select',
    secret: 'select, insert, update, delete',
    idempotent_request: 'select, insert, update, delete',
    operation: 'select, insert, update, delete',
    list_import: 'select, insert, delete',
    retention: 'select',
    schema_migration: 'select',
  },
};

const FUNCTIONS: Readonly<Record<ProcessKind, readonly string[]>> = {
  gateway: ['make_days(date[])', 'expired_days()', 'drop_expired_days(integer)', 'keep_audit_days(integer)'],
  'admin-api': ['make_days(date[])'],
};

/** Tables that some process may use; a test compares them with the schema. */
export const GRANTED_TABLES: readonly string[] = [...new Set(Object.values(RIGHTS).flatMap(Object.keys))].sort();

/** Takes every other right away first, so that rights of an older version do not stay. `create`: the role, if need be. */
export async function grant(
  pool: Pool,
  { role, to, create }: { readonly role: string; readonly to: ProcessKind; readonly create: boolean },
): Promise<void> {
  const name = `"${role.replaceAll('"', '""')}"`;
  await inTransaction(pool, async (client) => {
    // Two that start at once would make the role twice.
    await client.query('select pg_advisory_xact_lock($1)', [LOCK_KEY]);
    const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
    if (rowCount === 0 && create) await client.query(`create role ${name} login`);
    await client.query(`revoke all on all tables in schema public from ${name}`);
    await client.query(`grant usage on schema public to ${name}`);
    await client.query(`grant usage on all sequences in schema public to ${name}`);
    for (const [table, rights] of Object.entries(RIGHTS[to]))
      await client.query(`grant ${rights} on ${table} to ${name}`);
    for (const called of FUNCTIONS[to]) await client.query(`grant execute on function ${called} to ${name}`);
  });
}
