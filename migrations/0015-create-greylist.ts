/** What the gateways remember of strangers that a rule greylists. */
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
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
