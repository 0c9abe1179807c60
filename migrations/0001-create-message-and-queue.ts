/** Accepted mail and the queue. Hot tables: no foreign keys (triggers per row; partitions could not be dropped). */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateMessageAndQueue1763800000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create function uuid7_floor(at timestamptz) returns uuid language sql immutable strict parallel safe as $$
        select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
      $$`);
    await runner.query(
      `comment on function uuid7_floor is 'smallest UUIDv7 of a moment: bound of day partitions and of time ranges'`,
    );

    // Envelope and content in one table: a second one costs 12 ms of PostgreSQL CPU per 1000 messages (measured).
    await runner.query(`
      create table message (
        id uuid not null,
        sender text not null,
        size_bytes bigint not null,
        body_8bit boolean not null,
        policy_revision integer not null,
        content bytea,
        content_file text,
        constraint message_pkey primary key (id),
        constraint message_content_check check (content is null or content_file is null)
      ) partition by range (id)`);
    // Mail does not compress well and is read whole: no pglz, and substrings can be read without the rest.
    await runner.query(`alter table message alter column content set storage external`);
    await runner.query(
      `comment on table message is 'accepted mail, one partition per UTC day of its id; dropped by the day'`,
    );
    await runner.query(
      `comment on column message.content_file is 'name of the spool file when the content is not inline'`,
    );

    await runner.query(`
      create table queue (
        message_id uuid not null,
        id uuid not null,
        address text not null,
        route text not null,
        state text not null default 'queued',
        owner integer,
        next_attempt_at timestamptz not null,
        accepted_at timestamptz not null,
        attempts integer not null default 0,
        takeovers integer not null default 0,
        last_reply text,
        constraint queue_pkey primary key (message_id, id),
        constraint queue_state_check check (state in ('queued', 'held', 'broken'))
      ) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
              autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
              autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000)`);
    // Leased rows are not in it: mail delivered from memory at once never costs an index entry here.
    await runner.query(`
      create index queue_due_idx on queue (route, next_attempt_at) where owner is null and state = 'queued'`);
    await runner.query(
      `comment on table queue is 'one row per recipient still to be delivered; deleted when finished'`,
    );
    await runner.query(
      `comment on column queue.owner is 'node.id of the incarnation holding the lease; null: due for anybody'`,
    );
    await runner.query(
      `comment on column queue.takeovers is 'how often its lease was taken from a node that had died'`,
    );
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
