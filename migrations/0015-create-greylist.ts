/** What a policy may ask of the database: a memory of strangers (greylist), and days of audit (settings.audit.retain). */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateGreylist1763800000015 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table greylist_entry (
        key bytea not null,
        first_seen_at timestamptz not null default now(),
        expires_at timestamptz not null,
        constraint greylist_entry_pkey primary key (key),
        constraint greylist_entry_key_check check (octet_length(key) = 16)
      )`);
    await runner.query(`create index greylist_entry_expires_idx on greylist_entry (expires_at)`);
    await runner.query(
      `comment on table greylist_entry is 'who was asked to come back (greylist), and who did; losing it delays mail, and loses none'`,
    );
    await runner.query(
      `comment on column greylist_entry.key is 'network of the client (/24, /64), sender and recipient, hashed'`,
    );
    await runner.query(
      `comment on column greylist_entry.expires_at is 'soon for who has not come back, after "remember" for who has'`,
    );
    await keepAuditLonger(runner);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}

/** The policy can only lengthen what the owner has set. */
async function keepAuditLonger(runner: QueryRunner): Promise<void> {
  await runner.query(`
    alter table retention add column policy_days integer,
      add constraint retention_policy_days_check check (policy_days between 6 and 36500)`);
  await runner.query(
    `comment on column retention.policy_days is 'what the policy in force promises; the longer of both is kept'`,
  );
  await runner.query(`
    create function keep_audit_days(days integer) returns void
    language sql security definer set search_path = public, pg_temp as $$
      update retention set policy_days = keep_audit_days.days where what = 'audit' and policy_days is distinct from keep_audit_days.days
    $$`);
  await runner.query(`comment on function keep_audit_days is 'notes what the policy in force promises; null: nothing'`);
  await runner.query(`revoke execute on function keep_audit_days from public`);
  await runner.query(`
    create or replace function expired_days() returns table (partition text, parent text)
    language sql stable security definer set search_path = public, pg_temp as $$
      select c.relname::text, p.relname::text
      from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
        join retention r on r.what = case when p.relname like 'audit%' then 'audit' else 'content' end
        cross join lateral (select to_date(right(c.relname, 8), 'YYYYMMDD') as day) d
      where p.relname in ('message', 'content_chunk', 'audit_event', 'audit_block') and p.relnamespace = 'public'::regnamespace
        and d.day < (now() at time zone 'UTC')::date - greatest(r.days, r.policy_days)
        and not (r.what = 'content' and exists (
          select from queue q where q.message_id >= uuid7_floor(d.day::timestamp at time zone 'UTC')
            and q.message_id < uuid7_floor((d.day + 1)::timestamp at time zone 'UTC')))
      order by c.relname
    $$`);
}
