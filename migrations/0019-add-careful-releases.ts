/** Drafts, approvals, and releases that must be confirmed: whether one is in force follows from what is stored and the time. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddCarefulReleases1763800000019 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table policy_revision add column contributors text[] not null default '{}', add column source_commit text`);
    await runner.query(`comment on column policy_revision.contributors is 'everybody who changed its draft'`);
    await runner.query(
      `comment on column policy_revision.source_commit is 'where its author keeps it, such as a Git commit'`,
    );
    await runner.query(`alter table policy_release add column confirm_by timestamptz`);
    await runner.query(
      `comment on column policy_release.confirm_by is 'from then on it is in force no longer, unless it was confirmed'`,
    );
    await runner.query(
      `comment on table policy_release is 'what was live when; the newest one that was not aborted and has not lapsed is live now'`,
    );
    await runner.query(`
      create table policy_release_end (
        release integer not null,
        kind text not null,
        actor text not null,
        reason text,
        ended_at timestamptz not null default now(),
        constraint policy_release_end_pkey primary key (release),
        constraint policy_release_end_release_fkey foreign key (release) references policy_release (id),
        constraint policy_release_end_kind_check check (kind in ('confirmed', 'aborted', 'lapsed'))
      )`);
    await runner.query(
      `comment on table policy_release_end is 'what became of releases that had to be confirmed; lapsed is only noted here, it follows from the time'`,
    );
    await runner.query(`
      create table policy_draft (
        id uuid not null,
        policy text not null,
        base integer not null,
        title text,
        source text not null,
        digest text not null,
        version integer not null default 1,
        editors text[] not null,
        created_by text not null,
        created_at timestamptz not null default now(),
        updated_by text not null,
        updated_at timestamptz not null default now(),
        constraint policy_draft_pkey primary key (id)
      )`);
    await runner.query(
      `comment on table policy_draft is 'documents that are being written; gone once they are committed'`,
    );
    await runner.query(`comment on column policy_draft.base is 'newest revision when it was begun, 0 for none'`);
    await runner.query(`
      create table policy_approval (
        policy text not null,
        digest text not null,
        approver text not null,
        reason text,
        approved_at timestamptz not null default now(),
        constraint policy_approval_pkey primary key (policy, digest, approver)
      )`);
    await runner.query(
      `comment on table policy_approval is 'who approved which document; another document needs another approval'`,
    );
    for (const table of ['policy_release_end', 'policy_approval']) {
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
