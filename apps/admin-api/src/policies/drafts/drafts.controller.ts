import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  HttpStatus,
  Inject,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../../auth/roles.js';
import { BasedChange, NewChange, type Change, type ConditionalChange } from '../../http/change.decorator.js';
import { ApiChangeHeaders, ApiReasonHeader, ETAG_HEADER } from '../../http/change-headers.js';
import { Idempotent } from '../../http/idempotency.js';
import { linkNext } from '../../http/page.js';
import { PageQuery } from '../../http/page.dto.js';
import { ApiProblems } from '../../http/problem.dto.js';
import { tagged } from '../../http/shown.js';
import { ApprovalsDto, ApproveRequest } from '../approval.dto.js';
import { inBothFormats, policyText, POLICY_BODY, represent, YAML } from '../policy-text.js';
import { RevisionSummaryDto } from '../policy.dto.js';
import {
  CommitRequest,
  DiffQuery,
  DraftDto,
  DraftPageDto,
  DraftPath,
  NewDraftRequest,
  SemanticDiffDto,
  ValidationDto,
} from './draft.dto.js';
import { DraftsService } from './drafts.service.js';
import { JSON_PATCH_SCHEMA } from './json-patch.js';

const BODY = ['malformed-body', 'body-too-large', 'unsupported-media-type'] as const;
const CHANGE = ['not-found', 'precondition-failed', 'precondition-required'] as const;

@ApiTags('drafts')
@ApiBearerAuth()
@ApiExtraModels(DraftDto, SemanticDiffDto)
@Controller('v1/policies/main/drafts')
export class DraftsController {
  constructor(@Inject(DraftsService) private readonly drafts: DraftsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listDrafts', summary: 'Drafts, newest first' })
  @ApiOkResponse({ type: DraftPageDto })
  @ApiProblems()
  async list(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DraftPageDto> {
    const page = await this.drafts.list(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Post()
  @Idempotent()
  @ApiOperation({
    operationId: 'createDraft',
    summary: 'Begin a draft with the text of what is live, or of a revision',
  })
  @ApiReasonHeader()
  @ApiCreatedResponse({ type: DraftDto, headers: ETAG_HEADER })
  @ApiProblems('not-found', ...BODY)
  async create(
    @Body() body: NewDraftRequest,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DraftDto> {
    const made = await this.drafts.create(body, change);
    response.setHeader('Location', `/v1/policies/main/drafts/${made.body.id}`);
    return tagged(response, made);
  }

  @Get(':draft')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getDraft', summary: 'One draft' })
  @ApiOkResponse({ headers: ETAG_HEADER, content: inBothFormats('DraftDto') })
  @ApiProblems('not-found', 'not-acceptable')
  async get(
    @Param() path: DraftPath,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DraftDto | string> {
    const { body, state } = await this.drafts.get(path.draft);
    return represent(request, response, body, state);
  }

  @Put(':draft')
  @ApiOperation({ operationId: 'putDraft', summary: 'Replace the text; it need not be valid' })
  @ApiConsumes(YAML, 'application/json')
  @ApiBody(POLICY_BODY)
  @ApiChangeHeaders()
  @ApiOkResponse({ type: DraftDto, headers: ETAG_HEADER })
  @ApiProblems(...CHANGE, ...BODY)
  async put(
    @Param() path: DraftPath,
    @Req() request: Request,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DraftDto> {
    return tagged(response, await this.drafts.replace(path.draft, policyText(request), change));
  }

  @Patch(':draft')
  @ApiOperation({
    operationId: 'patchDraft',
    summary: 'Change the text by JSON Patch (RFC 6902), comments kept',
    description: 'All operations or none; 409 when one does not fit.',
  })
  @ApiConsumes('application/json-patch+json', 'application/json')
  @ApiBody({ schema: JSON_PATCH_SCHEMA })
  @ApiChangeHeaders()
  @ApiOkResponse({ type: DraftDto, headers: ETAG_HEADER })
  @ApiProblems(...CHANGE, 'conflict', 'policy-refused', ...BODY)
  async patch(
    @Param() path: DraftPath,
    @Req() request: Request,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DraftDto> {
    return tagged(response, await this.drafts.patch(path.draft, request.body, change));
  }

  @Delete(':draft')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'deleteDraft', summary: 'Throw a draft away' })
  @ApiChangeHeaders()
  @ApiNoContentResponse()
  @ApiProblems(...CHANGE)
  remove(@Param() path: DraftPath, @BasedChange() change: ConditionalChange): Promise<void> {
    return this.drafts.remove(path.draft, change);
  }

  @Post(':draft\\:validate')
  @RequiresRole('viewer')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'validateDraft', summary: 'Everything that is wrong with it; nothing changes' })
  @ApiOkResponse({ type: ValidationDto })
  @ApiProblems('not-found')
  validate(@Param() path: DraftPath): Promise<ValidationDto> {
    return this.drafts.validate(path.draft);
  }

  @Get(':draft/diff')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'diffDraft', summary: 'How it differs, as a unified diff or entry by entry' })
  @ApiOkResponse({
    content: {
      'text/x-diff': { schema: { type: 'string' } },
      'application/json': { schema: { $ref: '#/components/schemas/SemanticDiffDto' } },
    },
  })
  @ApiProblems('not-found', 'conflict')
  async diff(
    @Param() path: DraftPath,
    @Query() query: DiffQuery,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SemanticDiffDto | string> {
    const diff = await this.drafts.diff(path.draft, query);
    if (typeof diff === 'string') response.type('text/x-diff; charset=utf-8');
    return diff;
  }

  @Post(':draft\\:rebase')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'rebaseDraft', summary: 'Bring its changes onto the newest revision' })
  @ApiChangeHeaders()
  @ApiOkResponse({ type: DraftDto, headers: ETAG_HEADER })
  @ApiProblems(...CHANGE, 'conflict')
  async rebase(
    @Param() path: DraftPath,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DraftDto> {
    return tagged(response, await this.drafts.rebase(path.draft, change));
  }

  @Post(':draft\\:commit')
  @Idempotent()
  @HttpCode(HttpStatus.CREATED)
  @ApiOperation({
    operationId: 'commitDraft',
    summary: 'Make it a revision, which can be approved and released',
    description: 'It is live only when it is released. 409 when another revision came since the draft was begun.',
  })
  @ApiChangeHeaders()
  @ApiCreatedResponse({ type: RevisionSummaryDto })
  @ApiProblems(...CHANGE, 'conflict', 'policy-refused', ...BODY)
  async commit(
    @Param() path: DraftPath,
    @Body() body: CommitRequest,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RevisionSummaryDto> {
    const revision = await this.drafts.commit(path.draft, body, change);
    response.setHeader('Location', `/v1/policies/main/revisions/${revision.revision}`);
    return revision;
  }

  @Get(':draft/approvals')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listDraftApprovals', summary: 'Who approved it as it is' })
  @ApiOkResponse({ type: ApprovalsDto })
  @ApiProblems('not-found')
  approvals(@Param() path: DraftPath): Promise<ApprovalsDto> {
    return this.drafts.approvals(path.draft);
  }

  @Post(':draft/approvals')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'approveDraft',
    summary: 'Approve what somebody else wrote',
    description: 'Bound to the digest: any change of the text needs another approval.',
  })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ApprovalsDto })
  @ApiProblems('not-found', 'conflict', ...BODY)
  approve(@Param() path: DraftPath, @Body() body: ApproveRequest, @NewChange() change: Change): Promise<ApprovalsDto> {
    return this.drafts.approve(path.draft, { ...change, digest: body.digest });
  }
}
