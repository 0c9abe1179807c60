/** Policy revisions and releases: history only grows; the newest release of a policy is the live one. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreatePolicy1763800000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table policy_revision (
        policy text not null,
        revision integer not null,
        source text not null,
        digest text not null,
        author text not null,
        reason text,
        created_at timestamptz not null default now(),
        constraint policy_revision_pkey primary key (policy, revision),
        constraint policy_revision_revision_check check (revision > 0)
      )`);
    await runner.query(`comment on table policy_revision is 'immutable documents, numbered per policy'`);
    await runner.query(`
      create table policy_release (
        id integer generated always as identity,
        policy text not null,
        revision integer not null,
        previous integer,
        actor text not null,
        reason text,
        released_at timestamptz not null default now(),
        constraint policy_release_pkey primary key (id),
        constraint policy_release_revision_fkey foreign key (policy, revision) references policy_revision (policy, revision)
      )`);
    await runner.query(`create index policy_release_newest_idx on policy_release (policy, id)`);
    await runner.query(
      `comment on table policy_release is 'what was live when; the newest row of a policy is live now'`,
    );
    for (const table of ['policy_revision', 'policy_release']) {
      await runner.query(
        `create trigger ${table}_append_only before update or delete on ${table} for each row execute function refuse_change()`,
      );
      await runner.query(
        `create trigger ${table}_no_truncate before truncate on ${table} for each statement execute function refuse_change()`,
      );
    }
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
