/** Work of the admin API that takes longer than a request, and the rows of an import that is under way. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateOperation1763800000018 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table operation (
        id uuid not null,
        kind text not null,
        actor text not null,
        state text not null default 'running',
        done bigint not null default 0,
        total bigint,
        result jsonb,
        problem jsonb,
        cancel_requested_by text,
        started_at timestamptz not null default now(),
        alive_until timestamptz not null,
        ended_at timestamptz,
        constraint operation_pkey primary key (id),
        constraint operation_state_check check (state in ('running', 'succeeded', 'failed', 'cancelled', 'interrupted')),
        constraint operation_ended_check check ((state = 'running') = (ended_at is null))
      )`);
    await runner.query(
      `comment on table operation is 'long work of the admin API: progress, then result or problem; kept for 30 days'`,
    );
    await runner.query(
      `comment on column operation.alive_until is 'renewed while it runs; past: the process that did it is gone, and nothing of it was done'`,
    );
    // A crash of the server forgets them, and their operation was interrupted anyway.
    await runner.query(`
      create unlogged table list_import (
        operation uuid not null,
        line integer not null,
        value text not null,
        note text,
        owner text,
        expires_at timestamptz,
        constraint list_import_pkey primary key (operation, line)
      )`);
    await runner.query(`comment on table list_import is 'entries that were uploaded and are not yet in their list'`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
