import { Inject, Injectable } from '@nestjs/common';
import type { LivePolicy, PolicyRevision, PublishResult } from '#database';
import { readPolicy, type Finding } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import { checkPrecondition, stale, type Precondition } from '../http/conditional.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import { policyDigest } from './digest.js';
import { examine, examineInPlace, type Examined } from './examine.js';
import { LivePolicyReader, noPolicy } from './live-policy-reader.js';
import type {
  LivePolicyDto,
  PublishResultDto,
  RevisionDto,
  RevisionPageDto,
  RevisionSummaryDto,
} from './policy.dto.js';
import { POLICY_NAME } from './policy-name.js';

/** Who changes what is live, why, and which state they saw. */
export interface Change {
  readonly condition: Precondition;
  readonly actor: string;
  readonly reason: string | undefined;
}

export interface DocumentChange extends Change {
  readonly source: string;
}

export interface Published {
  /** State of the live policy afterwards, for its ETag; undefined when none is live. */
  readonly state: string | undefined;
  readonly body: PublishResultDto;
}

@Injectable()
export class PoliciesService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
  ) {}

  async live(): Promise<LivePolicyDto> {
    const live = await this.reader.live();
    if (live === undefined) throw noPolicy();
    const { id, revision, previous, actor, reason, releasedAt } = live.release;
    return {
      ...withSource(live, true),
      release: {
        id,
        revision,
        ...(previous !== undefined && { previous }),
        actor,
        ...(reason !== undefined && { reason }),
        releasedAt: releasedAt.toISOString(),
      },
    };
  }

  stateOf(live: LivePolicyDto): string {
    return stateText(live.revision, live.release.id);
  }

  async check(source: string): Promise<readonly Finding[]> {
    return (await examine(source)).findings;
  }

  async dryRun(change: DocumentChange): Promise<Published> {
    const live = await this.reader.live();
    checkPrecondition(change.condition, stateOfLive(live));
    const { findings } = await this.examineAll(change.source);
    const digest = policyDigest(change.source);
    const changed = live?.digest !== digest;
    const revision = live === undefined ? {} : { revision: live.revision };
    return { state: stateOfLive(live), body: { ...revision, digest, changed, dryRun: true, findings } };
  }

  /** Revision, release, audit and notice commit together; whatever is refused leaves everything as it was. */
  async publish(change: DocumentChange): Promise<Published> {
    const live = await this.reader.live();
    checkPrecondition(change.condition, stateOfLive(live));
    const { findings } = await this.examineAll(change.source);
    const digest = policyDigest(change.source);
    if (live?.digest === digest) return unchanged(live, findings);
    const result = await this.database.current.policies.publishDocument({
      policy: POLICY_NAME,
      source: change.source,
      digest,
      actor: change.actor,
      expected: live?.revision ?? 0,
      ...(change.reason !== undefined && { reason: change.reason }),
    });
    return published(result, digest, findings);
  }

  /** Makes an existing revision live: checked again, because compiler, queue and lists may have moved on. */
  async release(number: number, change: Change): Promise<Published> {
    const live = await this.reader.live();
    checkPrecondition(change.condition, stateOfLive(live));
    const revision = await this.find(number);
    const { findings } = await this.examineAll(revision.source);
    if (live?.revision === number) return unchanged(live, findings);
    const result = await this.database.current.policies.publish({
      policy: POLICY_NAME,
      revision: number,
      actor: change.actor,
      expected: live?.revision ?? 0,
      ...(change.reason !== undefined && { reason: change.reason }),
    });
    return published(result, revision.digest, findings);
  }

  async revisions(query: PageQuery): Promise<RevisionPageDto> {
    const { policies } = this.database.current;
    const after = readCursor(query.after, (text) => /^\d{1,9}$/u.test(text));
    const [page, live] = await Promise.all([
      policies.revisions({ policy: POLICY_NAME, limit: query.limit, ...(after !== undefined && { after }) }),
      policies.liveRelease(POLICY_NAME),
    ]);
    return {
      data: page.data.map((revision) => summaryOf(revision, revision.revision === live?.revision)),
      ...(page.next !== undefined && { next: writeCursor(page.next) }),
    };
  }

  async revision(number: number): Promise<RevisionDto> {
    const [revision, live] = await Promise.all([
      this.find(number),
      this.database.current.policies.liveRelease(POLICY_NAME),
    ]);
    return withSource(revision, revision.revision === live?.revision);
  }

  private async find(number: number): Promise<PolicyRevision> {
    const revision = await this.database.current.policies.revision(number, POLICY_NAME);
    if (revision === undefined) throw new Problem('not-found', `there is no revision ${number}`);
    return revision;
  }

  private async examineAll(source: string): Promise<Examined> {
    const examined = await examine(source);
    const warnings = await examineInPlace(this.database.current, examined.policy);
    return { ...examined, findings: [...examined.findings, ...warnings] };
  }
}

function stateText(revision: number, release: number): string {
  return `${revision}.${release}`;
}

function stateOfLive(live: LivePolicy | undefined): string | undefined {
  return live === undefined ? undefined : stateText(live.revision, live.release.id);
}

function unchanged(live: LivePolicy, findings: readonly Finding[]): Published {
  const { revision, digest } = live;
  return { state: stateOfLive(live), body: { revision, digest, changed: false, dryRun: false, findings } };
}

function published(result: PublishResult, digest: string, findings: readonly Finding[]): Published {
  if (!result.ok) {
    if (result.fault === 'stale') throw stale();
    throw new Problem('not-found', 'there is no such revision');
  }
  const { id, revision, previous } = result.release;
  const before = previous === undefined ? {} : { previous };
  return {
    state: stateText(revision, id),
    body: { revision, ...before, digest, changed: true, dryRun: false, findings },
  };
}

function summaryOf(revision: Omit<PolicyRevision, 'source'>, live: boolean): Fields<RevisionSummaryDto> {
  return {
    name: revision.policy,
    revision: revision.revision,
    digest: revision.digest,
    author: revision.author,
    ...(revision.reason !== undefined && { reason: revision.reason }),
    createdAt: revision.createdAt.toISOString(),
    live,
  };
}

function withSource(revision: PolicyRevision, live: boolean): Fields<RevisionDto> {
  return { ...summaryOf(revision, live), document: documentOf(revision.source), source: revision.source };
}

/** The source as a JSON document; null for one that this version cannot read any more. */
function documentOf(source: string): unknown {
  const read = readPolicy(source);
  return read.ok ? read.document : null;
}
