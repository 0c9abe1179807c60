/**
 * The audit: appended, never changed. Grants for installations with several roles: the gateway's role needs insert and
 * select here and nothing else; only the owner may drop a partition (retention).
 */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateAuditEvent1763800000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create function refuse_change() returns trigger language plpgsql as $$
      begin
        raise exception '% is append-only: % refused', tg_table_name, lower(tg_op) using errcode = 'insufficient_privilege';
      end $$`);
    await runner.query(`comment on function refuse_change is 'trigger of append-only tables'`);
    await runner.query(`
      create table audit_event (
        id uuid not null,
        kind text not null,
        session_id uuid,
        transaction_id uuid,
        recipient_id uuid,
        recipient text,
        sender text,
        sender_domain text,
        client_address inet,
        group_xid xid8 not null default pg_current_xact_id(),
        data json not null,
        constraint audit_event_pkey primary key (id)
      ) partition by range (id)`);
    await runner.query(
      `comment on table audit_event is 'append-only record of everything that happened, one partition per UTC day'`,
    );
    await runner.query(`comment on column audit_event.group_xid is
      'transaction that wrote the row: names the commit group, and lets readers that follow the table wait for older writers'`);
    await runner.query(
      `comment on column audit_event.recipient_id is 'queue row the event is about; null where recipient is only judged'`,
    );

    await runner.query(
      `create index audit_event_transaction_idx on audit_event (transaction_id) where transaction_id is not null`,
    );
    await runner.query(`create index audit_event_session_idx on audit_event (session_id) where session_id is not null`);
    // Deliveries are found through their transaction: only rows that introduce a transaction pay for the search indexes.
    await runner.query(`
      create index audit_event_recipient_idx on audit_event (lower(recipient), id)
      where recipient is not null and recipient_id is null`);
    await runner.query(`
      create index audit_event_sender_domain_idx on audit_event (sender_domain, id)
      where sender_domain is not null and recipient_id is null`);
    await runner.query(`
      create index audit_event_client_idx on audit_event (client_address, id)
      where client_address is not null and recipient_id is null`);
    // What operators and gateways did, apart from mail: few rows, asked for by kind.
    await runner.query(`
      create index audit_event_operation_idx on audit_event (kind, id)
      where session_id is null and transaction_id is null`);
    await runner.query(`
      create trigger audit_event_append_only before update or delete on audit_event
      for each row execute function refuse_change()`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
