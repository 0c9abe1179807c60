import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiCreatedResponse, ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../../auth/roles.js';
import { NewChange, type Change } from '../../http/change.decorator.js';
import { ApiReasonHeader } from '../../http/change-headers.js';
import { entityTag, readPrecondition } from '../../http/conditional.js';
import { DryRunQuery } from '../../http/dry-run.dto.js';
import { Idempotent } from '../../http/idempotency.js';
import { linkNext } from '../../http/page.js';
import { PageQuery } from '../../http/page.dto.js';
import { ApiProblems } from '../../http/problem.dto.js';
import { spanMs } from '../confirm-within.js';
import { PoliciesService } from '../policies.service.js';
import { PublishResultDto } from '../policy.dto.js';
import { PublishingService } from '../publishing.service.js';
import { ReleasePageDto, ReleasePath, ReleaseRequest, ReleaseStatusDto } from './release.dto.js';
import { ReleasesService } from './releases.service.js';

@ApiTags('releases')
@ApiBearerAuth()
@Controller('v1/policies/main/releases')
export class ReleasesController {
  constructor(
    @Inject(ReleasesService) private readonly releases: ReleasesService,
    @Inject(PoliciesService) private readonly policies: PoliciesService,
    @Inject(PublishingService) private readonly publishing: PublishingService,
  ) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listReleases', summary: 'What was live when, newest first' })
  @ApiOkResponse({ type: ReleasePageDto })
  @ApiProblems()
  async list(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ReleasePageDto> {
    const page = await this.releases.list(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get(':release')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getRelease', summary: 'One release, and which gateways follow' })
  @ApiOkResponse({ type: ReleaseStatusDto })
  @ApiProblems('not-found')
  get(@Param() path: ReleasePath): Promise<ReleaseStatusDto> {
    return this.releases.get(path.release);
  }

  @Post()
  @Idempotent()
  @HttpCode(HttpStatus.CREATED)
  @ApiOperation({
    operationId: 'createRelease',
    summary: 'Make an existing revision live: a rollback, when it is an older one',
  })
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'ETag of the live policy, to refuse when another one is live by now.',
  })
  @ApiReasonHeader()
  @ApiCreatedResponse({ type: PublishResultDto, description: 'What is live now' })
  @ApiOkResponse({ type: PublishResultDto, description: 'Of a dry run' })
  @ApiProblems(
    'not-found',
    'conflict',
    'precondition-failed',
    'policy-refused',
    'malformed-body',
    'body-too-large',
    'unsupported-media-type',
  )
  async create(
    @Body() body: ReleaseRequest,
    @Query() query: DryRunQuery,
    @Req() request: Request,
    @NewChange() change: Change,
  ): Promise<PublishResultDto> {
    const result = await this.publishing.release(await this.policies.find(body.revision), {
      condition: readPrecondition(request.get('if-match') ?? '*', undefined),
      actor: change.actor,
      reason: body.reason ?? change.reason,
      confirmWithinMs: spanMs(body.confirmWithin),
      dryRun: query.dryRun === 'true',
    });
    const response = request.res;
    if (response === undefined) throw new Error('a request without a response');
    if (result.state !== undefined) response.setHeader('ETag', entityTag(result.state));
    if (result.body.dryRun) response.status(HttpStatus.OK);
    else if (result.body.release !== undefined) {
      response.setHeader('Location', `/v1/policies/main/releases/${result.body.release}`);
    }
    return result.body;
  }

  @Post(':release\\:confirm')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'confirmRelease', summary: 'Keep a release that would lapse otherwise' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ReleaseStatusDto })
  @ApiProblems('not-found', 'conflict')
  confirm(@Param() path: ReleasePath, @NewChange() change: Change): Promise<ReleaseStatusDto> {
    return this.releases.end(path.release, 'confirmed', change);
  }

  @Post(':release\\:abort')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'abortRelease', summary: 'Go back to the release before it, at once' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ReleaseStatusDto })
  @ApiProblems('not-found', 'conflict')
  abort(@Param() path: ReleasePath, @NewChange() change: Change): Promise<ReleaseStatusDto> {
    return this.releases.end(path.release, 'aborted', change);
  }
}
