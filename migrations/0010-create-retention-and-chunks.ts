/**
 * Days that are made ahead and dropped when they are old, by functions that the roles of the processes may call: a gateway
 * can neither create nor drop a table by itself. And content in chunks, for gateways that share no disk.
 */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateRetentionAndChunks1763800000010 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createChunks(runner);
    await createRetention(runner);
    await createMaking(runner);
    await createDropping(runner);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}

async function createChunks(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create table content_chunk (
      message_id uuid not null,
      number integer not null,
      octets bytea not null,
      constraint content_chunk_pkey primary key (message_id, number)
    ) partition by range (message_id)`);
  await runner.query(`alter table content_chunk alter column octets set storage external`);
  await runner.query(
    `comment on table content_chunk is 'large content, written while it arrives and before its message is committed; by day'`,
  );
  await runner.query(
    `comment on column message.content_file is 'where content is that is not inline: a file of the spool, or chunks:ID'`,
  );
}

async function createRetention(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create table retention (
      what text not null,
      days integer not null,
      constraint retention_pkey primary key (what),
      constraint retention_what_check check (what in ('audit', 'content')),
      constraint retention_days_check check (days >= 6)
    )`);
  await runner.query(
    `comment on table retention is 'days that are kept; set by the owner from the environment, obeyed by drop_expired_days()'`,
  );
  await runner.query(`insert into retention (what, days) values ('audit', 365), ('content', 30)`);
}

async function createMaking(runner: QueryRunner): Promise<void> {
  await runner.query(`
    create function day_partition(parent text, day date) returns text language sql immutable strict parallel safe as $$
      select parent || '_' || to_char(day, 'YYYYMMDD')
    $$`);
  await runner.query(`comment on function day_partition is 'name of the partition of a UTC day'`);
  // Attaching an empty table does not stop writers; creating it as a partition would.
  await runner.query(`
    create function make_days(days date[]) returns integer
    language plpgsql security definer set search_path = public, pg_temp as $$
    declare
      parent text;
      wanted date;
      name text;
      made integer := 0;
    begin
      perform pg_advisory_xact_lock(482804429825);
      foreach parent in array array['message', 'content_chunk', 'audit_event', 'audit_block'] loop
        foreach wanted in array days loop
          name := day_partition(parent, wanted);
          continue when to_regclass(name) is not null;
          execute format('create table %I (like %I including defaults including constraints including storage)', name, parent);
          -- Row triggers come with the parent; this one guards the partition itself.
          if parent like 'audit%' then
            execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()',
              name || '_no_truncate', name);
          end if;
          execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, name,
            uuid7_floor(wanted::timestamp at time zone 'UTC'), uuid7_floor((wanted + 1)::timestamp at time zone 'UTC'));
          made := made + 1;
        end loop;
      end loop;
      return made;
    end $$`);
  await runner.query(`comment on function make_days is 'makes the partitions of these UTC days that are missing'`);
  await runner.query(`revoke execute on function make_days from public`);
}

async function createDropping(runner: QueryRunner): Promise<void> {
  // Content is kept as long as its mail waits, whatever the setting says.
  await runner.query(`
    create function expired_days() returns table (partition text, parent text)
    language sql stable security definer set search_path = public, pg_temp as $$
      select c.relname::text, p.relname::text
      from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
        join retention r on r.what = case when p.relname like 'audit%' then 'audit' else 'content' end
        cross join lateral (select to_date(right(c.relname, 8), 'YYYYMMDD') as day) d
      where p.relname in ('message', 'content_chunk', 'audit_event', 'audit_block') and p.relnamespace = 'public'::regnamespace
        and d.day < (now() at time zone 'UTC')::date - r.days
        and not (r.what = 'content' and exists (
          select from queue q where q.message_id >= uuid7_floor(d.day::timestamp at time zone 'UTC')
            and q.message_id < uuid7_floor((d.day + 1)::timestamp at time zone 'UTC')))
      order by c.relname
    $$`);
  await runner.query(`comment on function expired_days is 'partitions that retention would drop now'`);
  await runner.query(`revoke execute on function expired_days from public`);
  // Who waits for a lock on the parent stops every writer behind him: he gives up soon, and comes back later.
  await runner.query(`
    create function drop_expired_days(most integer) returns setof text
    language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '300ms' as $$
    declare
      name text;
    begin
      for name in select e.partition from expired_days() e limit most loop
        execute format('drop table %I', name);
        return next name;
      end loop;
    end $$`);
  await runner.query(
    `comment on function drop_expired_days is 'retention: drops whole days, and only those the owner set'`,
  );
  await runner.query(`revoke execute on function drop_expired_days from public`);
}
