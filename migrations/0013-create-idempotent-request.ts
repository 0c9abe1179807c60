/** Requests of the admin API that carried an Idempotency-Key, and what they were answered. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateIdempotentRequest1763800000013 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table idempotent_request (
        api_key uuid not null,
        key text not null,
        fingerprint bytea not null,
        started_at timestamptz not null default now(),
        answer bytea,
        constraint idempotent_request_pkey primary key (api_key, key),
        constraint idempotent_request_fingerprint_check check (octet_length(fingerprint) = 32)
      )`);
    await runner.query(`create index idempotent_request_started_idx on idempotent_request (started_at)`);
    await runner.query(
      `comment on table idempotent_request is 'kept for a day: a request that is sent again gets the answer of the first'`,
    );
    await runner.query(
      `comment on column idempotent_request.answer is 'sealed with the API key of the caller, which is stored nowhere: an answer may show a secret'`,
    );
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
