/** Managed lists: current entries, and every change, so that the members at any revision can be told again. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateManagedList1763800000004 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table managed_list (
        name text not null,
        revision integer not null default 0,
        created_at timestamptz not null default now(),
        constraint managed_list_pkey primary key (name)
      )`);
    await runner.query(`comment on table managed_list is 'head of each list: its newest revision'`);
    await runner.query(`
      create table list_entry (
        list text not null,
        value text not null,
        note text,
        owner text,
        expires_at timestamptz,
        added_at timestamptz not null default now(),
        added_by text not null,
        revision integer not null,
        constraint list_entry_pkey primary key (list, value),
        constraint list_entry_list_fkey foreign key (list) references managed_list (name)
      )`);
    await runner.query(`create index list_entry_expires_idx on list_entry (expires_at) where expires_at is not null`);
    await runner.query(`comment on table list_entry is 'members now'`);
    await runner.query(`
      create table list_change (
        list text not null,
        revision integer not null,
        value text not null,
        operation text not null,
        note text,
        actor text not null,
        reason text,
        changed_at timestamptz not null default now(),
        constraint list_change_pkey primary key (list, revision, value),
        constraint list_change_operation_check check (operation in ('add', 'remove'))
      )`);
    await runner.query(
      `comment on table list_change is 'append-only: the members at revision n are the values whose last change up to n is an add'`,
    );
    await runner.query(
      `create trigger list_change_append_only before update or delete on list_change for each row execute function refuse_change()`,
    );
    await runner.query(
      `create trigger list_change_no_truncate before truncate on list_change for each statement execute function refuse_change()`,
    );
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
