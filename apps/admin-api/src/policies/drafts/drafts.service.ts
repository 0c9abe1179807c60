import { applyPatch, structuredPatch } from 'diff';
import { Inject, Injectable } from '@nestjs/common';
import { parsePublicId, publicId } from '#audit';
import type { CommitResult, DraftResult, PolicyDraft, PolicyRevision } from '#database';
import { DatabaseAccess } from '../../database-access.js';
import type { Change, ConditionalChange } from '../../http/change.decorator.js';
import { checkPrecondition, stale } from '../../http/conditional.js';
import type { Fields } from '../../http/fields.js';
import { readCursor, writeCursor } from '../../http/page.js';
import type { PageQuery } from '../../http/page.dto.js';
import { Problem } from '../../http/problem.js';
import type { Shown } from '../../http/shown.js';
import { patchAside } from '../../policy-aside.js';
import type { ApprovalsDto } from '../approval.dto.js';
import { approvableDraft, ApprovalsService } from '../approvals.service.js';
import { policyDigest } from '../digest.js';
import { PoliciesService, summaryOf } from '../policies.service.js';
import type { RevisionSummaryDto } from '../policy.dto.js';
import { inOwnLayout } from '../own-layout.js';
import { semanticDiff, textDiff } from '../policy-diff.js';
import { POLICY_NAME } from '../policy-name.js';
import { PublishingService } from '../publishing.service.js';
import type {
  CommitRequest,
  DiffQuery,
  DraftDto,
  DraftPageDto,
  DraftSummaryDto,
  NewDraftRequest,
  SemanticDiffDto,
  ValidationDto,
} from './draft.dto.js';
import { readJsonPatch } from './json-patch.js';

/** Documents that are being written: nothing here touches what is live. */
@Injectable()
export class DraftsService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(PoliciesService) private readonly policies: PoliciesService,
    @Inject(PublishingService) private readonly publishing: PublishingService,
    @Inject(ApprovalsService) private readonly approving: ApprovalsService,
  ) {}

  async create(request: NewDraftRequest, { actor, reason }: Change): Promise<Shown<DraftDto>> {
    const { source, digest } = await this.policies.revisionOrLive(request.revision);
    const draft = await this.database.current.drafts.create({
      policy: POLICY_NAME,
      source,
      digest,
      actor,
      ...(request.title !== undefined && { title: request.title }),
      ...(reason !== undefined && { reason }),
    });
    return shown(draft);
  }

  async list(query: PageQuery): Promise<DraftPageDto> {
    const after = readCursor(query.after, (text) => /^[0-9a-f-]{36}$/u.test(text));
    const page = await this.database.current.drafts.list({
      policy: POLICY_NAME,
      limit: query.limit,
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(summaryDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  async get(id: string): Promise<Shown<DraftDto>> {
    return shown(await this.find(id));
  }

  async replace(id: string, source: string, change: ConditionalChange): Promise<Shown<DraftDto>> {
    const draft = await this.based(id, change);
    return shown(await this.write(draft, { source }, change));
  }

  async patch(id: string, body: unknown, change: ConditionalChange): Promise<Shown<DraftDto>> {
    const steps = readJsonPatch(body);
    const draft = await this.based(id, change);
    const edited = await patchAside(draft.source, steps);
    if (edited.ok) return shown(await this.write(draft, { source: inOwnLayout(draft.source, edited) }, change));
    if ('findings' in edited) {
      throw new Problem(
        'policy-refused',
        'the draft cannot be read, and so not be patched; replace it',
        edited.findings,
      );
    }
    const { step, message } = edited.fault;
    throw new Problem('conflict', message, [{ code: 'patch', pointer: `/${step}`, message }]);
  }

  async remove(id: string, change: ConditionalChange): Promise<void> {
    const draft = await this.based(id, change);
    taken(await this.database.current.drafts.remove(draft.id, contextOf(draft, change)));
  }

  async validate(id: string): Promise<ValidationDto> {
    const { source, digest } = await this.find(id);
    try {
      return { ok: true, digest, findings: (await this.publishing.examineAll(source)).findings };
    } catch (error) {
      if (!(error instanceof Problem) || error.errors.length === 0) throw error;
      return { ok: false, digest, findings: error.errors };
    }
  }

  async diff(id: string, { against = 'live', format = 'text' }: DiffQuery): Promise<SemanticDiffDto | string> {
    const draft = await this.find(id);
    const wanted = against === 'base' ? draft.base : against === 'live' ? undefined : Number(against);
    const { source, revision } = await this.policies.revisionOrLive(wanted);
    const name = `revision ${revision}`;
    if (format === 'text')
      return textDiff({ name, text: source }, { name: publicId('drf', draft.id), text: draft.source });
    const changes = semanticDiff(source, draft.source);
    if (changes === undefined) {
      throw new Problem('conflict', 'only a draft without faults can be compared so; `format=text` always works');
    }
    return { against: name, changes };
  }

  /** Brings the draft's changes onto the newest revision, where they do not touch the same lines. */
  async rebase(id: string, change: ConditionalChange): Promise<Shown<DraftDto>> {
    const draft = await this.based(id, change);
    const [newest] = (await this.database.current.policies.revisions({ policy: POLICY_NAME, limit: 1 })).data;
    if (newest === undefined || newest.revision === draft.base) return shown(draft);
    const [base, onto] = [await this.policies.find(draft.base), await this.policies.find(newest.revision)];
    const patch = structuredPatch('', '', base.source, draft.source, undefined, undefined, {
      context: 2,
      timeout: 2_000,
    });
    const source = patch === undefined ? false : applyPatch(onto.source, patch);
    if (source === false) {
      throw new Problem(
        'conflict',
        `revision ${onto.revision} changed the same lines; compare with \`diff?against=${onto.revision}\` and put the whole text`,
      );
    }
    return shown(await this.write(draft, { source, base: onto.revision }, change));
  }

  async commit(id: string, request: CommitRequest, change: ConditionalChange): Promise<RevisionSummaryDto> {
    const draft = await this.based(id, change);
    await this.publishing.examineAll(draft.source);
    const reason = request.reason ?? change.reason;
    const result = await this.database.current.drafts.commit(draft.id, {
      actor: change.actor,
      ifVersion: draft.version,
      ...(reason !== undefined && { reason }),
      ...(request.sourceCommit !== undefined && { sourceCommit: request.sourceCommit }),
    });
    return summaryOf(committed(result, draft), false);
  }

  async approvals(id: string): Promise<ApprovalsDto> {
    return this.approving.of(approvableDraft(await this.find(id)));
  }

  async approve(id: string, given: Change & { readonly digest: string }): Promise<ApprovalsDto> {
    return this.approving.approve(approvableDraft(await this.find(id)), given);
  }

  async find(text: string): Promise<PolicyDraft> {
    const id = parsePublicId('drf', text);
    const draft = id === undefined ? undefined : await this.database.current.drafts.get(id);
    if (draft === undefined) throw noDraft();
    return draft;
  }

  private async based(id: string, { condition }: ConditionalChange): Promise<PolicyDraft> {
    const draft = await this.find(id);
    checkPrecondition(condition, stateOf(draft));
    return draft;
  }

  private async write(
    draft: PolicyDraft,
    { source, base }: { readonly source: string; readonly base?: number },
    change: ConditionalChange,
  ): Promise<PolicyDraft> {
    const changes = { source, digest: policyDigest(source), ...(base !== undefined && { base }) };
    return taken(await this.database.current.drafts.change(draft.id, changes, contextOf(draft, change)));
  }
}

function contextOf(
  draft: PolicyDraft,
  { actor, reason }: Change,
): { actor: string; ifVersion: number; reason?: string } {
  return { actor, ifVersion: draft.version, ...(reason !== undefined && { reason }) };
}

function taken(result: DraftResult): PolicyDraft {
  if (result.ok) return result.draft;
  throw result.fault === 'stale' ? stale() : noDraft();
}

function committed(result: CommitResult, draft: PolicyDraft): PolicyRevision {
  if (result.ok) return result.revision;
  switch (result.fault) {
    case 'stale':
      throw stale();
    case 'no-such-draft':
      throw noDraft();
    case 'no-change':
      throw new Problem('conflict', `the draft says what revision ${result.newest} says`);
    case 'base-moved':
      throw new Problem(
        'conflict',
        `the draft is based on revision ${draft.base}, and revision ${result.newest} came since; \`:rebase\` it first`,
      );
  }
}

function stateOf({ id, version }: PolicyDraft): string {
  return `${id.slice(-12)}.${version}`;
}

function shown(draft: PolicyDraft): Shown<DraftDto> {
  return { body: { ...summaryDto(draft), source: draft.source }, state: stateOf(draft) };
}

function summaryDto(draft: Omit<PolicyDraft, 'source'>): Fields<DraftSummaryDto> {
  return {
    id: publicId('drf', draft.id),
    ...(draft.title !== undefined && { title: draft.title }),
    base: draft.base,
    digest: draft.digest,
    editors: draft.editors,
    createdBy: draft.createdBy,
    createdAt: draft.createdAt.toISOString(),
    updatedBy: draft.updatedBy,
    updatedAt: draft.updatedAt.toISOString(),
  };
}

function noDraft(): Problem {
  return new Problem('not-found', 'there is no such draft');
}
