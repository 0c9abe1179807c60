import { Body, Controller, Get, HttpCode, Inject, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { BasedChange, NewChange, type Change, type ConditionalChange } from '../http/change.decorator.js';
import { ApiReasonHeader, ETAG_HEADER } from '../http/change-headers.js';
import { entityTag } from '../http/conditional.js';
import { Idempotent } from '../http/idempotency.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { ApiProblems } from '../http/problem.dto.js';
import { ApprovalsDto, ApproveRequest } from './approval.dto.js';
import { PublishQuery, spanMs } from './confirm-within.js';
import { PoliciesService } from './policies.service.js';
import { inBothFormats, policyText, POLICY_BODY, represent, YAML } from './policy-text.js';
import {
  BlameDto,
  CheckResultDto,
  LivePolicyDto,
  PublishResultDto,
  RevisionDto,
  RevisionPageDto,
  RevisionPath,
  RulePath,
} from './policy.dto.js';
import { PublishingService } from './publishing.service.js';
import { sourceCommitHeader } from './source-commit.js';

@ApiTags('policies')
@ApiBearerAuth()
@Controller('v1')
export class PoliciesController {
  constructor(
    @Inject(PoliciesService) private readonly policies: PoliciesService,
    @Inject(PublishingService) private readonly publishing: PublishingService,
  ) {}

  @Get('policies/main')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getPolicy', summary: 'The live policy' })
  @ApiOkResponse({
    description: 'With an ETag for `If-Match`.',
    headers: ETAG_HEADER,
    content: inBothFormats('LivePolicyDto'),
  })
  @ApiProblems('not-found', 'not-acceptable')
  async live(@Req() request: Request, @Res({ passthrough: true }) response: Response): Promise<LivePolicyDto | string> {
    const policy = await this.policies.live();
    return represent(request, response, policy, this.policies.stateOf(policy));
  }

  @Put('policies/main')
  @ApiOperation({ operationId: 'putPolicy', summary: 'Check a policy, keep it as a new revision and make it live' })
  @ApiConsumes(YAML, 'application/json')
  @ApiBody(POLICY_BODY)
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'ETag of the live policy this change is based on; needed once there is one.',
  })
  @ApiHeader({ name: 'If-None-Match', required: false, description: '`*` when no policy is live yet.' })
  @ApiHeader({ name: 'Reason', required: false, description: 'Why; kept with the revision.' })
  @ApiHeader({
    name: 'Source-Commit',
    required: false,
    description: 'Where its author keeps it, such as a Git commit; kept with the revision.',
  })
  @ApiOkResponse({ type: PublishResultDto, description: 'What is live now' })
  @ApiProblems(
    'malformed-body',
    'conflict',
    'precondition-failed',
    'body-too-large',
    'unsupported-media-type',
    'policy-refused',
    'precondition-required',
  )
  async put(
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
    @Query() query: PublishQuery,
    @BasedChange() change: ConditionalChange,
  ): Promise<PublishResultDto> {
    const { state, body } = await this.publishing.publish({
      ...change,
      source: policyText(request),
      sourceCommit: sourceCommitHeader(request),
      dryRun: query.dryRun === 'true',
      confirmWithinMs: spanMs(query.confirmWithin),
    });
    if (state !== undefined) response.setHeader('ETag', entityTag(state));
    return body;
  }

  @Post('policies\\:check')
  @RequiresRole('viewer')
  @HttpCode(200)
  @ApiOperation({ operationId: 'checkPolicy', summary: 'Check a policy and run its tests; nothing changes' })
  @ApiConsumes(YAML, 'application/json')
  @ApiBody(POLICY_BODY)
  @ApiOkResponse({ type: CheckResultDto, description: 'It could be published' })
  @ApiProblems('malformed-body', 'body-too-large', 'unsupported-media-type', 'policy-refused')
  async check(@Req() request: Request): Promise<CheckResultDto> {
    return { ok: true, findings: await this.policies.check(policyText(request)) };
  }

  @Get('policies/main/revisions')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listRevisions', summary: 'All revisions, newest first' })
  @ApiOkResponse({ type: RevisionPageDto })
  @ApiProblems()
  async revisions(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RevisionPageDto> {
    const page = await this.policies.revisions(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get('policies/main/revisions/:revision')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getRevision', summary: 'One revision' })
  @ApiOkResponse({ content: inBothFormats('RevisionDto') })
  @ApiProblems('not-found', 'not-acceptable')
  async revision(
    @Param() path: RevisionPath,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RevisionDto | string> {
    const revision = await this.policies.revision(path.revision);
    return represent(request, response, revision, `r${revision.revision}`);
  }

  @Get('policies/main/revisions/:revision/rules/:section/:name')
  @RequiresRole('viewer')
  @ApiOperation({
    operationId: 'getRuleOrigin',
    summary: 'Who wrote a rule: the revision, author and source commit it came with',
  })
  @ApiOkResponse({ type: BlameDto })
  @ApiProblems('not-found', 'conflict')
  blame(@Param() path: RulePath): Promise<BlameDto> {
    return this.policies.blame(path);
  }

  @Get('policies/main/revisions/:revision/approvals')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listRevisionApprovals', summary: 'Who approved a revision' })
  @ApiOkResponse({ type: ApprovalsDto })
  @ApiProblems('not-found')
  approvals(@Param() path: RevisionPath): Promise<ApprovalsDto> {
    return this.policies.approvals(path.revision);
  }

  @Post('policies/main/revisions/:revision/approvals')
  @Idempotent()
  @HttpCode(200)
  @ApiOperation({ operationId: 'approveRevision', summary: 'Approve a revision that somebody else wrote' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ApprovalsDto })
  @ApiProblems('not-found', 'conflict', 'malformed-body', 'body-too-large', 'unsupported-media-type')
  approve(
    @Param() path: RevisionPath,
    @Body() body: ApproveRequest,
    @NewChange() change: Change,
  ): Promise<ApprovalsDto> {
    return this.policies.approve(path.revision, { ...change, digest: body.digest });
  }
}
