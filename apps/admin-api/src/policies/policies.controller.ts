import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Actor } from '../auth/actor.decorator.js';
import { RequiresRole } from '../auth/roles.js';
import { entityTag, readPrecondition } from '../http/conditional.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import { reasonHeader } from '../http/reason.js';
import { contextOf, type Principal } from '../http/request-context.js';
import { PoliciesService } from './policies.service.js';
import {
  CheckResultDto,
  DryRunQuery,
  LivePolicyDto,
  PublishResultDto,
  ReleaseRequest,
  RevisionDto,
  RevisionPageDto,
  RevisionPath,
} from './policy.dto.js';

const YAML = 'application/yaml';
/** One body in two formats; `ApiBody` knows only one schema, so both are given as what a client sends: text. */
const POLICY_BODY = {
  description: 'The whole policy, as YAML or as JSON. Kept as it is written, comments included.',
  schema: { type: 'string' },
} as const;

@ApiTags('policies')
@ApiBearerAuth()
@Controller('v1')
export class PoliciesController {
  constructor(@Inject(PoliciesService) private readonly policies: PoliciesService) {}

  @Get('policies/main')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getPolicy', summary: 'The live policy' })
  @ApiOkResponse({
    description: 'With an ETag for `If-Match`.',
    headers: { ETag: { schema: { type: 'string' } } },
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/LivePolicyDto' } },
      [YAML]: { schema: { type: 'string' } },
    },
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
  @ApiOkResponse({ type: PublishResultDto, description: 'What is live now' })
  @ApiProblems(
    'malformed-body',
    'precondition-failed',
    'body-too-large',
    'unsupported-media-type',
    'policy-refused',
    'precondition-required',
  )
  async put(
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
    @Query() query: DryRunQuery,
    @Actor() actor: Principal,
  ): Promise<PublishResultDto> {
    const condition = readPrecondition(request.get('if-match'), request.get('if-none-match'));
    const change = { source: policyText(request), condition, actor: actor.name, reason: reasonHeader(request) };
    const result = query.dryRun === 'true' ? await this.policies.dryRun(change) : await this.policies.publish(change);
    if (result.state !== undefined) response.setHeader('ETag', entityTag(result.state));
    return result.body;
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
  @ApiOkResponse({
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/RevisionDto' } },
      [YAML]: { schema: { type: 'string' } },
    },
  })
  @ApiProblems('not-found', 'not-acceptable')
  async revision(
    @Param() path: RevisionPath,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RevisionDto | string> {
    const revision = await this.policies.revision(path.revision);
    return represent(request, response, revision, `r${revision.revision}`);
  }

  @Post('policies/main/releases')
  @Idempotent()
  @HttpCode(201)
  @ApiOperation({
    operationId: 'createRelease',
    summary: 'Make an existing revision live: a rollback, when it is an older one',
  })
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'ETag of the live policy, to refuse when another one is live by now.',
  })
  @ApiCreatedResponse({ type: PublishResultDto, description: 'What is live now' })
  @ApiProblems(
    'not-found',
    'precondition-failed',
    'policy-refused',
    'malformed-body',
    'body-too-large',
    'unsupported-media-type',
  )
  async release(
    @Body() body: ReleaseRequest,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
    @Actor() actor: Principal,
  ): Promise<PublishResultDto> {
    const condition = readPrecondition(ifMatch ?? '*', undefined);
    const { revision, reason } = body;
    const result = await this.policies.release(revision, { condition, actor: actor.name, reason });
    if (result.state !== undefined) response.setHeader('ETag', entityTag(result.state));
    return result.body;
  }
}

function policyText(request: Request): string {
  const { text } = contextOf(request);
  if (text === undefined) throw new Problem('malformed-body', 'the body must be a policy, as YAML or JSON');
  return text;
}

/** JSON unless the caller prefers YAML, which is the author's own text. */
function represent<Body extends { readonly source: string }>(
  request: Request,
  response: Response,
  body: Body,
  state: string,
): Body | string {
  response.vary('Accept');
  const format = request.accepts('application/json', YAML);
  if (format === false) throw new Problem('not-acceptable', `there is \`application/json\` and \`${YAML}\``);
  response.setHeader('ETag', format === YAML ? entityTag(state, 'yaml') : entityTag(state));
  if (format !== YAML) return body;
  response.type(`${YAML}; charset=utf-8`);
  return body.source;
}
