import { Inject, Injectable } from '@nestjs/common';
import type { PolicyApproval, PolicyDraft, PolicyRevision } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Fields } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import type { ApprovalDto, ApprovalsDto } from './approval.dto.js';
import { POLICY_NAME } from './policy-name.js';

/** Token of how many people must approve a document before it can be live; 0 asks for none. */
export const REQUIRED_APPROVALS = 'postern:required-approvals';

/** Something whose document can be approved. */
type Approvable = Pick<PolicyRevision, 'digest' | 'author' | 'contributors'>;

/** Four eyes: who wrote a document cannot be the one who approves it. Bound to the digest, so that nothing else is approved. */
@Injectable()
export class ApprovalsService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(REQUIRED_APPROVALS) private readonly required: number,
  ) {}

  async of(document: Approvable): Promise<ApprovalsDto> {
    const approvals = await this.database.current.drafts.approvals(document.digest, POLICY_NAME);
    const counting = countingFor(document, approvals).length;
    return {
      digest: document.digest,
      required: this.required,
      approved: counting >= this.required,
      data: approvals.map(approvalDto),
    };
  }

  async approve(
    document: Approvable,
    given: { digest: string; actor: string; reason: string | undefined },
  ): Promise<ApprovalsDto> {
    if (given.digest !== document.digest) {
      throw new Problem(
        'conflict',
        `the document is another one by now, with the digest \`${document.digest}\`; read it first`,
      );
    }
    if (authorsOf(document).includes(given.actor)) {
      throw new Problem('forbidden', `\`${given.actor}\` wrote this document, and cannot be the one who approves it`);
    }
    await this.database.current.drafts.approve({
      policy: POLICY_NAME,
      digest: given.digest,
      actor: given.actor,
      ...(given.reason !== undefined && { reason: given.reason }),
    });
    return this.of(document);
  }

  /** Of a document that becomes revision and release in one call: nobody can have approved it. */
  refuseUnapproved(): void {
    if (this.required === 0) return;
    throw new Problem(
      'conflict',
      `a policy needs ${this.approvalCount()} here: write a draft, have it approved, commit and release it; \`dryRun=true\` works`,
    );
  }

  /** What was in force before was approved then: going back to it must not wait. */
  async requireFor(revision: PolicyRevision): Promise<void> {
    if (this.required === 0) return;
    const { drafts, policies } = this.database.current;
    if (await policies.wasInForce(revision.revision, POLICY_NAME)) return;
    const counting = countingFor(revision, await drafts.approvals(revision.digest, POLICY_NAME));
    if (counting.length >= this.required) return;
    const who = authorsOf(revision)
      .map((name) => `\`${name}\``)
      .join(', ');
    throw new Problem(
      'conflict',
      `revision ${revision.revision} has ${counting.length} of the ${this.approvalCount()} it needs, by others than ${who}`,
    );
  }

  private approvalCount(): string {
    return this.required === 1 ? '1 approval' : `${this.required} approvals`;
  }
}

export function approvableDraft({ digest, createdBy, editors }: PolicyDraft): Approvable {
  return { digest, author: createdBy, contributors: editors };
}

function authorsOf({ author, contributors }: Approvable): readonly string[] {
  return [...new Set([author, ...contributors])];
}

function countingFor(document: Approvable, approvals: readonly PolicyApproval[]): readonly PolicyApproval[] {
  return approvals.filter(({ approver }) => !authorsOf(document).includes(approver));
}

function approvalDto({ approver, reason, approvedAt }: PolicyApproval): Fields<ApprovalDto> {
  return { approver, ...(reason !== undefined && { reason }), approvedAt: approvedAt.toISOString() };
}
