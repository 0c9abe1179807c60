/** Leases that nobody knows of, and mail that was under way at every crash. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddLeaseRecovery1763800000009 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table queue add column claim bigint`);
    await runner.query(
      `comment on column queue.claim is 'claim that leased it: a claim whose answer was lost is found by it, and taken back'`,
    );
    await runner.query(
      `create index queue_suspect_idx on queue (owner, next_attempt_at) where takeovers >= 2 and state = 'queued'`,
    );
    await runner.query(
      `comment on column queue.takeovers is 'how often in a row its lease was taken from a node that had died; ended by an outcome'`,
    );
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
