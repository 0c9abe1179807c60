import { Inject, Injectable } from '@nestjs/common';
import type { LivePolicy, PolicyRevision, PublishResult } from '#database';
import type { Finding } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import { checkPrecondition, stale, type Precondition } from '../http/conditional.js';
import { Problem } from '../http/problem.js';
import { ApprovalsService } from './approvals.service.js';
import { policyDigest } from './digest.js';
import { examine, examineInPlace, type Examined } from './examine.js';
import { LivePolicyReader } from './live-policy-reader.js';
import { semanticDiff, textDiff } from './policy-diff.js';
import type { PublishResultDto } from './policy.dto.js';
import { POLICY_NAME } from './policy-name.js';

/** Who changes what is live, why, and which state they saw. */
export interface LiveChange {
  readonly condition: Precondition;
  readonly actor: string;
  readonly reason: string | undefined;
  readonly confirmWithinMs?: number | undefined;
  readonly dryRun?: boolean;
}

export interface DocumentChange extends LiveChange {
  readonly source: string;
  readonly sourceCommit?: string | undefined;
}

export interface Published {
  /** State of the live policy afterwards, for its ETag; undefined when none is live. */
  readonly state: string | undefined;
  readonly body: PublishResultDto;
}

/** The one way in which a policy becomes live: examined, based on what is live, approved where that is asked for. */
@Injectable()
export class PublishingService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
    @Inject(ApprovalsService) private readonly approvals: ApprovalsService,
  ) {}

  /** Revision, release, audit and notice commit together; whatever is refused leaves everything as it was. */
  async publish(change: DocumentChange): Promise<Published> {
    const live = await this.reader.live();
    checkPrecondition(change.condition, stateOfLive(live));
    const { findings } = await this.examineAll(change.source);
    const digest = policyDigest(change.source);
    if (change.dryRun === true) return tried(live, { source: change.source, digest, name: 'draft' }, findings);
    if (live?.digest === digest) return unchanged(live, findings);
    this.approvals.refuseUnapproved();
    const result = await this.database.current.policies.publishDocument({
      source: change.source,
      digest,
      ...(change.sourceCommit !== undefined && { sourceCommit: change.sourceCommit }),
      ...released(change, live),
    });
    return published(result, digest, findings);
  }

  /** Makes an existing revision live: checked again, because compiler, queue and lists may have moved on. */
  async release(revision: PolicyRevision, change: LiveChange): Promise<Published> {
    const live = await this.reader.live();
    checkPrecondition(change.condition, stateOfLive(live));
    const { findings } = await this.examineAll(revision.source);
    if (change.dryRun === true) return tried(live, { ...revision, name: `revision ${revision.revision}` }, findings);
    if (live?.revision === revision.revision) return unchanged(live, findings);
    await this.approvals.requireFor(revision);
    const result = await this.database.current.policies.publish({
      revision: revision.revision,
      ...released(change, live),
    });
    return published(result, revision.digest, findings);
  }

  async examineAll(source: string): Promise<Examined> {
    const examined = await examine(source);
    const warnings = await examineInPlace(this.database.current, examined.policy);
    return { ...examined, findings: [...examined.findings, ...warnings] };
  }
}

function released(
  { actor, reason, confirmWithinMs }: LiveChange,
  live: LivePolicy | undefined,
): { policy: string; actor: string; expected: number; reason?: string; confirmWithinMs?: number } {
  return {
    policy: POLICY_NAME,
    actor,
    expected: live?.revision ?? 0,
    ...(reason !== undefined && { reason }),
    ...(confirmWithinMs !== undefined && { confirmWithinMs }),
  };
}

export function stateText(revision: number, release: number): string {
  return `${revision}.${release}`;
}

export function stateOfLive(live: LivePolicy | undefined): string | undefined {
  return live === undefined ? undefined : stateText(live.revision, live.release.id);
}

function tried(
  live: LivePolicy | undefined,
  wanted: { readonly source: string; readonly digest: string; readonly name: string },
  findings: readonly Finding[],
): Published {
  const before = live?.source ?? '';
  const changes = semanticDiff(before, wanted.source);
  const name = live === undefined ? 'nothing' : `revision ${live.revision}`;
  return {
    state: stateOfLive(live),
    body: {
      ...(live !== undefined && { revision: live.revision }),
      digest: wanted.digest,
      changed: live?.digest !== wanted.digest,
      dryRun: true,
      findings,
      diff: textDiff({ name, text: before }, { name: wanted.name, text: wanted.source }),
      ...(changes !== undefined && { changes }),
    },
  };
}

function unchanged(live: LivePolicy, findings: readonly Finding[]): Published {
  const { revision, digest } = live;
  return { state: stateOfLive(live), body: { revision, digest, changed: false, dryRun: false, findings } };
}

function published(result: PublishResult, digest: string, findings: readonly Finding[]): Published {
  if (!result.ok) throw refusalOf(result);
  const { id, revision, previous, confirmBy } = result.release;
  return {
    state: stateText(revision, id),
    body: {
      revision,
      release: id,
      ...(previous !== undefined && { previous }),
      ...(confirmBy !== undefined && { confirmBy: confirmBy.toISOString() }),
      digest,
      changed: true,
      dryRun: false,
      findings,
    },
  };
}

function refusalOf(result: Extract<PublishResult, { ok: false }>): Problem {
  switch (result.fault) {
    case 'stale':
      return stale();
    case 'no-such-revision':
      return new Problem('not-found', 'there is no such revision');
    case 'awaiting-confirmation': {
      const { id, confirmBy } = result.release;
      const until = confirmBy?.toISOString() ?? '';
      return new Problem(
        'conflict',
        `release ${id} waits until ${until} to be confirmed; \`:confirm\` or \`:abort\` it first`,
      );
    }
  }
}
