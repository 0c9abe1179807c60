/** The hash chain of the audit: one block per commit, and the signed checkpoints. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateAuditChain1763800000008 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table audit_block (
        id uuid not null,
        chain uuid not null,
        sequence bigint not null,
        node text not null,
        previous bytea not null,
        hash bytea not null,
        row_ids uuid[] not null,
        constraint audit_block_pkey primary key (id),
        constraint audit_block_sequence_check check (sequence > 0),
        constraint audit_block_hash_check check (octet_length(previous) = 32 and octet_length(hash) = 32)
      ) partition by range (id)`);
    // Ids do not compress.
    await runner.query(`alter table audit_block alter column row_ids set storage external`);
    await runner.query(`create index audit_block_chain_idx on audit_block (chain, sequence)`);
    await runner.query(
      `comment on table audit_block is 'one row per commit that wrote audit rows: which, in which order, and their hash'`,
    );
    await runner.query(`comment on column audit_block.chain is 'every process has chains of its own'`);
    await runner.query(`comment on column audit_block.node is 'gateway that wrote it; empty for other processes'`);

    // Not partitioned, never dropped: a checkpoint a minute, and it must outlive what it proves.
    await runner.query(`
      create table audit_checkpoint (
        node text not null,
        sequence bigint not null,
        made_at timestamptz not null,
        key text not null,
        hash bytea not null,
        body text not null,
        signature bytea not null,
        constraint audit_checkpoint_pkey primary key (node, sequence),
        constraint audit_checkpoint_hash_check check (octet_length(hash) = 32)
      )`);
    await runner.query(`create index audit_checkpoint_made_at_idx on audit_checkpoint (made_at)`);
    await runner.query(
      `comment on table audit_checkpoint is 'heads of the chains as a gateway knew them, signed with the key of its data directory'`,
    );
    await runner.query(`comment on column audit_checkpoint.body is 'canonical JSON, the octets that were signed'`);
    for (const table of ['audit_block', 'audit_checkpoint']) {
      await runner.query(
        `create trigger ${table}_append_only before update or delete on ${table} for each row execute function refuse_change()`,
      );
      await runner.query(
        `create trigger ${table}_no_truncate before truncate on ${table} for each statement execute function refuse_change()`,
      );
    }
    // Raised inside the statement that records outcomes, so that it takes nothing back halfway.
    await runner.query(`
      create function refuse_lost_lease() returns boolean language plpgsql as $$
      begin
        raise exception 'a lease is lost' using errcode = 'P0L01';
      end $$`);
    await runner.query(
      `comment on function refuse_lost_lease is 'ends a statement whose rows belong to another node now'`,
    );
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
