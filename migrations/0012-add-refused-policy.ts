/** Which released revision a gateway does not take, and why: what it told only its log before. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddRefusedPolicy1763800000012 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table node add column refused_revision integer, add column refused_reason text`);
    await runner.query(
      `alter table node add constraint node_refused_check check ((refused_revision is null) = (refused_reason is null))`,
    );
    await runner.query(`comment on column node.refused_revision is 'released policy that it does not take'`);
    await runner.query(`comment on column node.refused_reason is 'why, in a sentence for the operator'`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
