/** Fair claims between the destinations of a route: due rows by domain, when one domain has more than its share. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddQueueDomainIndex1763800000017 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Like queue_due_idx it holds no leased rows: mail delivered from memory at once costs it nothing.
    await runner.query(`
      create index queue_domain_idx on queue (route, address_domain(address), next_attempt_at)
        where owner is null and state = 'queued'`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
