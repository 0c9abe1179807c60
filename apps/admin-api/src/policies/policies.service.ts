import { Inject, Injectable } from '@nestjs/common';
import type { PolicyRevision } from '#database';
import { policySection, readPolicy, sectionEntries, type Finding } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import type { Change } from '../http/change.decorator.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import type { ApprovalsDto } from './approval.dto.js';
import { ApprovalsService } from './approvals.service.js';
import { examine } from './examine.js';
import { LivePolicyReader, noPolicy } from './live-policy-reader.js';
import type {
  BlameDto,
  LivePolicyDto,
  RevisionDto,
  RevisionPageDto,
  RevisionSummaryDto,
  RulePath,
} from './policy.dto.js';
import { POLICY_NAME } from './policy-name.js';
import { stateText } from './publishing.service.js';
import { originOf } from './rule-history.js';

/** What is live, and every revision there was. */
@Injectable()
export class PoliciesService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
    @Inject(ApprovalsService) private readonly approving: ApprovalsService,
  ) {}

  async live(): Promise<LivePolicyDto> {
    const live = await this.reader.live();
    if (live === undefined) throw noPolicy();
    const { id, revision, previous, actor, reason, releasedAt, confirmBy, end } = live.release;
    return {
      ...withSource(live, true),
      release: {
        id,
        revision,
        ...(previous !== undefined && { previous }),
        actor,
        ...(reason !== undefined && { reason }),
        releasedAt: releasedAt.toISOString(),
        ...(confirmBy !== undefined && end === undefined && { confirmBy: confirmBy.toISOString() }),
      },
    };
  }

  stateOf(live: LivePolicyDto): string {
    return stateText(live.revision, live.release.id);
  }

  async check(source: string): Promise<readonly Finding[]> {
    return (await examine(source)).findings;
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
    const [revision, live] = await Promise.all([this.find(number), this.liveNumber()]);
    return withSource(revision, revision.revision === live);
  }

  async blame({ revision: number, section, name }: RulePath): Promise<BlameDto> {
    const [revision, live] = await Promise.all([this.find(number), this.liveNumber()]);
    const read = readPolicy(revision.source);
    if (!read.ok) throw new Problem('conflict', `revision ${number} is not understood by this version`);
    const entry = sectionEntries(read.document, policySection(section)).find((each) => each.name === name);
    if (entry === undefined) throw new Problem('not-found', `revision ${number} has no \`${name}\` in \`${section}\``);
    const earlier = (wanted: number): Promise<PolicyRevision | undefined> =>
      this.database.current.policies.revision(wanted, POLICY_NAME);
    const { changed, introduced } = await originOf(revision, { section, name }, earlier);
    const told = (it: PolicyRevision): RevisionSummaryDto => summaryOf(it, it.revision === live);
    return {
      rule: `${section}/${name}`,
      value: entry.value,
      changed: told(changed),
      ...(introduced !== undefined && { introduced: told(introduced) }),
    };
  }

  async approvals(number: number): Promise<ApprovalsDto> {
    return this.approving.of(await this.find(number));
  }

  async approve(number: number, given: Change & { readonly digest: string }): Promise<ApprovalsDto> {
    return this.approving.approve(await this.find(number), given);
  }

  async find(number: number): Promise<PolicyRevision> {
    const revision = await this.database.current.policies.revision(number, POLICY_NAME);
    if (revision === undefined) throw new Problem('not-found', `there is no revision ${number}`);
    return revision;
  }

  async revisionOrLive(number: number | undefined): Promise<PolicyRevision> {
    if (number !== undefined) return this.find(number);
    const live = await this.reader.live();
    if (live === undefined) throw noPolicy();
    return live;
  }

  private async liveNumber(): Promise<number | undefined> {
    return (await this.database.current.policies.liveRelease(POLICY_NAME))?.revision;
  }
}

export function summaryOf(revision: Omit<PolicyRevision, 'source'>, live: boolean): Fields<RevisionSummaryDto> {
  return {
    name: revision.policy,
    revision: revision.revision,
    digest: revision.digest,
    author: revision.author,
    ...(revision.contributors.length > 0 && { contributors: revision.contributors }),
    ...(revision.reason !== undefined && { reason: revision.reason }),
    ...(revision.sourceCommit !== undefined && { sourceCommit: revision.sourceCommit }),
    createdAt: revision.createdAt.toISOString(),
    live,
  };
}

function withSource(revision: PolicyRevision, live: boolean): Fields<RevisionDto> {
  return { ...summaryOf(revision, live), document: documentOf(revision.source), source: revision.source };
}

/** The source as a JSON document; null for one that this version cannot read any more. */
export function documentOf(source: string): unknown {
  const read = readPolicy(source);
  return read.ok ? read.document : null;
}
