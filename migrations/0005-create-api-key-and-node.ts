/** Keys of the admin API, and the gateways that are or were alive. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateApiKeyAndNode1763800000005 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table api_key (
        id uuid not null,
        name text not null,
        prefix text not null,
        secret_sha256 bytea not null,
        role text not null,
        created_at timestamptz not null default now(),
        created_by text not null,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz,
        constraint api_key_pkey primary key (id),
        constraint api_key_secret_key unique (secret_sha256),
        constraint api_key_secret_check check (octet_length(secret_sha256) = 32)
      )`);
    await runner.query(`comment on table api_key is 'the secret itself is shown once and stored nowhere'`);
    await runner.query(`
      create table node (
        id integer generated always as identity,
        name text not null,
        started_at timestamptz not null default now(),
        alive_until timestamptz not null,
        stopped_at timestamptz,
        policy_revision integer,
        policy_digest text,
        constraint node_pkey primary key (id)
      )`);
    await runner.query(`create index node_running_idx on node (name) where stopped_at is null`);
    await runner.query(`comment on column node.policy_revision is 'policy it judges by, as it last said'`);
    await runner.query(`comment on table node is 'one row per start of a gateway: its id owns leases in queue'`);
    await runner.query(
      `comment on column node.stopped_at is 'set on an orderly stop, or when its leases were taken over'`,
    );
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
