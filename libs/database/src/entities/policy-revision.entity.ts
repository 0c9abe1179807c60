import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ name: 'policy_revision', comment: 'immutable documents, numbered per policy' })
@Check('policy_revision_revision_check', 'revision > 0')
export class PolicyRevisionEntity {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'policy_revision_pkey' })
  policy!: string;

  @PrimaryColumn({ type: 'integer', primaryKeyConstraintName: 'policy_revision_pkey' })
  revision!: number;

  @Column({ type: 'text' })
  source!: string;

  @Column({ type: 'text' })
  digest!: string;

  @Column({ type: 'text' })
  author!: string;

  @Column({ type: 'text', nullable: true })
  reason!: string | null;

  @Column({ type: 'text', array: true, default: () => `'{}'`, comment: 'everybody who changed its draft' })
  contributors!: string[];

  @Column({
    name: 'source_commit',
    type: 'text',
    nullable: true,
    comment: 'where its author keeps it, such as a Git commit',
  })
  sourceCommit!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  createdAt!: Date;
}
