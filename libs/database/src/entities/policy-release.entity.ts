import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { PolicyRevisionEntity } from './policy-revision.entity.js';

@Entity({
  name: 'policy_release',
  comment: 'what was live when; the newest one that was not aborted and has not lapsed is live now',
})
@Index('policy_release_newest_idx', ['policy', 'id'])
@ForeignKey(() => PolicyRevisionEntity, ['policy', 'revision'], ['policy', 'revision'], {
  name: 'policy_release_revision_fkey',
})
export class PolicyReleaseEntity {
  @PrimaryColumn({
    type: 'integer',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'policy_release_pkey',
  })
  id!: number;

  @Column({ type: 'text' })
  policy!: string;

  @Column({ type: 'integer' })
  revision!: number;

  @Column({ type: 'integer', nullable: true })
  previous!: number | null;

  @Column({ type: 'text' })
  actor!: string;

  @Column({ type: 'text', nullable: true })
  reason!: string | null;

  @Column({
    name: 'confirm_by',
    type: 'timestamptz',
    nullable: true,
    comment: 'from then on it is in force no longer, unless it was confirmed',
  })
  confirmBy!: Date | null;

  @Column({ name: 'released_at', type: 'timestamptz', default: () => 'now()' })
  releasedAt!: Date;
}
