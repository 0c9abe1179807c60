/** Counts of the policy's limits, shared between gateways; and whether a gateway has to count alone. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateLimitCount1763800000014 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create unlogged table limit_count (
        key bytea not null,
        slot_ms bigint not null,
        process uuid not null,
        per_ms bigint not null,
        count bigint not null,
        expires_at timestamptz not null,
        changed_at timestamptz not null default now(),
        constraint limit_count_pkey primary key (key, slot_ms, process),
        constraint limit_count_key_check check (octet_length(key) = 16)
      )`);
    await runner.query(`create index limit_count_changed_idx on limit_count (changed_at)`);
    await runner.query(`create index limit_count_expires_idx on limit_count (expires_at)`);
    await runner.query(
      `comment on table limit_count is 'what each process counted per slot of time; unlogged: a crash of the server forgets it, the gateways do not'`,
    );
    await runner.query(`comment on column limit_count.key is 'limit and the values of its key, hashed'`);
    await runner.query(`alter table node add column limits_alone_since timestamptz`);
    await runner.query(`comment on column node.limits_alone_since is 'it can not share counts of limits'`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
