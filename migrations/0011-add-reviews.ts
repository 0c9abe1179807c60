/** Mail that waits for a person, changes to headers, and refusals that were decided while mail waited. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddReviews1763800000011 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table queue add column header_edits text, add column review jsonb, add column refusal text`);
    await runner.query(
      `comment on column queue.header_edits is 'JSON: changes to the header when the mail goes out; the stored content stays as it came'`,
    );
    await runner.query(
      `comment on column queue.review is 'for held mail: review queue, rule, expiry, preview, and what a person asked for'`,
    );
    await runner.query(
      `comment on column queue.refusal is 'reply that a review gave: the mail is not attempted, its sender gets a notice'`,
    );
    await runner.query(`create index queue_held_idx on queue (next_attempt_at) where review is not null`);
    await runner.query(`create index queue_held_id_idx on queue (id) where review is not null`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
