import {
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
  type PipeTransform,
  type Type,
} from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../../auth/roles.js';
import { BasedChange, type ConditionalChange } from '../../http/change.decorator.js';
import { ApiChangeHeaders, ETAG_HEADER } from '../../http/change-headers.js';
import { entityTag } from '../../http/conditional.js';
import { Idempotent } from '../../http/idempotency.js';
import { linkNext } from '../../http/page.js';
import { PageQuery } from '../../http/page.dto.js';
import { ApiProblems } from '../../http/problem.dto.js';
import { tagged } from '../../http/shown.js';
import { invalidRequest, validationPipe } from '../../http/validation.js';
import { PublishQuery, spanMs } from '../confirm-within.js';
import { PublishResultDto } from '../policy.dto.js';
import type { Published } from '../publishing.service.js';
import { creation, merging, moving, removal, replacement, type SectionEdit } from './section-edits.js';
import {
  MoveQuery,
  NamedPath,
  NamedQuery,
  PhaseNamedPath,
  PhasePath,
  PHASES,
  PlacedQuery,
  SectionEntryDto,
  SectionPageDto,
} from './section.dto.js';
import { SectionsService } from './sections.service.js';

/** What a set of routes is about. */
interface SectionRoutes {
  /** Below the policy. */
  readonly path: string;
  /** Of the operations: `Rule` makes `listRules`, `getRule`, … */
  readonly one: string;
  readonly many?: string;
  readonly kind: 'sequence' | 'mapping';
  /** The section; absent where the path says the phase. */
  readonly section?: string;
}

interface SectionAddress {
  readonly phase?: string;
  readonly name: string;
}

/** Of a path without parameters. */
const AS_IT_IS: PipeTransform = { transform: (value: unknown) => value };
const ANY_OBJECT = { type: 'object', additionalProperties: true } as const;
const BODY_PROBLEMS = ['malformed-body', 'body-too-large', 'unsupported-media-type', 'policy-refused'] as const;
const CHANGE_PROBLEMS = ['not-found', 'conflict', 'precondition-failed', 'precondition-required'] as const;
const ONE_CALL =
  'One call checks, analyses and tests the whole policy with the change, keeps it as a new revision and makes it live. `If-Match` is the ETag of the live policy. With `dryRun=true` nothing changes, and the answer tells what would.';

/**
 * Of every section the same: read, create, replace, change, remove; and move where the order counts. Classes
 * of their own, because that is how Nest and the description know routes.
 */
// eslint-disable-next-line max-lines-per-function -- three classes, each a list of routes
export function sectionController(routes: SectionRoutes): Type {
  const { one, kind } = routes;
  const many = routes.many ?? `${one}s`;
  const pathOf = routes.section === undefined ? validationPipe(PhasePath) : AS_IT_IS;
  const namedPathOf = validationPipe(routes.section === undefined ? PhaseNamedPath : NamedPath);
  const sectionOf = ({ phase }: Partial<SectionAddress>): string => routes.section ?? phase ?? '';
  const phaseParam = (): MethodDecorator =>
    routes.section === undefined ? ApiParam({ name: 'phase', enum: PHASES, required: true }) : none;
  const nameParam = (): MethodDecorator => ApiParam({ name: 'name', type: String, required: true });

  @ApiTags('policies')
  @ApiBearerAuth()
  @Controller(`v1/policies/main/${routes.path}`)
  class SectionController {
    constructor(@Inject(SectionsService) readonly sections: SectionsService) {}

    @Get()
    @RequiresRole('viewer')
    @ApiOperation({ operationId: `list${many}`, summary: 'Entries of the live policy, in its order' })
    @phaseParam()
    @ApiOkResponse({ type: SectionPageDto, headers: ETAG_HEADER })
    @ApiProblems('not-found', 'conflict')
    async list(
      @Param(pathOf) path: Partial<SectionAddress>,
      @Query() query: PageQuery,
      @Req() request: Request,
      @Res({ passthrough: true }) response: Response,
    ): Promise<SectionPageDto> {
      const page = await this.sections.list(sectionOf(path), query);
      linkNext(request, response, page.body.next);
      return tagged(response, page);
    }

    @Get(':name')
    @RequiresRole('viewer')
    @ApiOperation({ operationId: `get${one}`, summary: 'One entry of the live policy' })
    @phaseParam()
    @nameParam()
    @ApiOkResponse({ type: SectionEntryDto, headers: ETAG_HEADER })
    @ApiProblems('not-found', 'conflict')
    async get(
      @Param(namedPathOf) path: SectionAddress,
      @Res({ passthrough: true }) response: Response,
    ): Promise<SectionEntryDto> {
      return tagged(response, await this.sections.get(sectionOf(path), path.name));
    }

    @Put(':name')
    @ApiOperation({ operationId: `put${one}`, summary: 'Replace an entry', description: ONE_CALL })
    @phaseParam()
    @nameParam()
    @ApiBody({ schema: ANY_OBJECT })
    @ApiChangeHeaders()
    @ApiOkResponse({ type: PublishResultDto, description: 'What is live now' })
    @ApiProblems(...CHANGE_PROBLEMS, ...BODY_PROBLEMS)
    put(
      @Param(namedPathOf) path: SectionAddress,
      @Query() query: PublishQuery,
      @BasedChange() change: ConditionalChange,
      @Req() request: Request,
    ): Promise<PublishResultDto> {
      return this.apply(request, { path, query, change }, replacement(path.name, objectIn(request)));
    }

    @Patch(':name')
    @ApiOperation({
      operationId: `patch${one}`,
      summary: 'Change fields of an entry (JSON Merge Patch, RFC 7396)',
      description: ONE_CALL,
    })
    @phaseParam()
    @nameParam()
    @ApiConsumes('application/merge-patch+json', 'application/json')
    @ApiBody({ schema: ANY_OBJECT })
    @ApiChangeHeaders()
    @ApiOkResponse({ type: PublishResultDto, description: 'What is live now' })
    @ApiProblems(...CHANGE_PROBLEMS, ...BODY_PROBLEMS)
    patch(
      @Param(namedPathOf) path: SectionAddress,
      @Query() query: PublishQuery,
      @BasedChange() change: ConditionalChange,
      @Req() request: Request,
    ): Promise<PublishResultDto> {
      return this.apply(request, { path, query, change }, merging(path.name, objectIn(request)));
    }

    @Delete(':name')
    @ApiOperation({ operationId: `delete${one}`, summary: 'Remove an entry', description: ONE_CALL })
    @phaseParam()
    @nameParam()
    @ApiChangeHeaders()
    @ApiOkResponse({ type: PublishResultDto, description: 'What is live now' })
    @ApiProblems(...CHANGE_PROBLEMS, 'policy-refused')
    remove(
      @Param(namedPathOf) path: SectionAddress,
      @Query() query: PublishQuery,
      @BasedChange() change: ConditionalChange,
      @Req() request: Request,
    ): Promise<PublishResultDto> {
      return this.apply(request, { path, query, change }, removal(path.name));
    }

    protected async apply(
      request: Request,
      asked: { path: Partial<SectionAddress>; query: PublishQuery; change: ConditionalChange },
      edit: SectionEdit,
    ): Promise<PublishResultDto> {
      const change = {
        ...asked.change,
        dryRun: asked.query.dryRun === 'true',
        confirmWithinMs: spanMs(asked.query.confirmWithin),
      };
      return shown(request, await this.sections.change(sectionOf(asked.path), change, edit));
    }
  }

  @ApiTags('policies')
  @ApiBearerAuth()
  @Controller(`v1/policies/main/${routes.path}`)
  class SequenceController extends SectionController {
    @Post()
    @Idempotent()
    @ApiOperation({ operationId: `create${one}`, summary: 'Add an entry, at a place', description: ONE_CALL })
    @phaseParam()
    @ApiBody({ schema: ANY_OBJECT })
    @ApiChangeHeaders()
    @ApiCreatedResponse({ type: PublishResultDto, description: 'What is live now' })
    @ApiOkResponse({ type: PublishResultDto, description: 'Of a dry run' })
    @ApiProblems(...CHANGE_PROBLEMS, ...BODY_PROBLEMS)
    create(
      @Param(pathOf) path: Partial<SectionAddress>,
      @Query() query: PlacedQuery,
      @BasedChange() change: ConditionalChange,
      @Req() request: Request,
    ): Promise<PublishResultDto> {
      const { position } = query;
      const edit = creation(objectIn(request), position === undefined ? {} : { position });
      return this.apply(request, { path, query, change }, edit);
    }

    @Post(':name\\:move')
    @Idempotent()
    @HttpCode(HttpStatus.OK)
    @ApiOperation({ operationId: `move${one}`, summary: 'Move an entry to another place', description: ONE_CALL })
    @phaseParam()
    @nameParam()
    @ApiChangeHeaders()
    @ApiOkResponse({ type: PublishResultDto, description: 'What is live now' })
    @ApiProblems(...CHANGE_PROBLEMS, 'policy-refused')
    move(
      @Param(namedPathOf) path: SectionAddress,
      @Query() query: MoveQuery,
      @BasedChange() change: ConditionalChange,
      @Req() request: Request,
    ): Promise<PublishResultDto> {
      return this.apply(request, { path, query, change }, moving(path.name, query.position));
    }
  }

  @ApiTags('policies')
  @ApiBearerAuth()
  @Controller(`v1/policies/main/${routes.path}`)
  class MappingController extends SectionController {
    @Post()
    @Idempotent()
    @ApiOperation({ operationId: `create${one}`, summary: 'Add an entry', description: ONE_CALL })
    @ApiBody({ schema: ANY_OBJECT })
    @ApiChangeHeaders()
    @ApiCreatedResponse({ type: PublishResultDto, description: 'What is live now' })
    @ApiOkResponse({ type: PublishResultDto, description: 'Of a dry run' })
    @ApiProblems(...CHANGE_PROBLEMS, ...BODY_PROBLEMS)
    create(
      @Query() query: NamedQuery,
      @BasedChange() change: ConditionalChange,
      @Req() request: Request,
    ): Promise<PublishResultDto> {
      return this.apply(request, { path: {}, query, change }, creation(objectIn(request), { name: query.name }));
    }
  }

  const controller = kind === 'sequence' ? SequenceController : MappingController;
  // Nest tells controllers apart by class, the description by its name.
  Object.defineProperty(controller, 'name', { value: `${many}Controller` });
  return controller;
}

function none(): void {
  // no decorator
}

function objectIn(request: Request): object {
  const body: unknown = request.body;
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw invalidRequest([{ code: 'invalid-field', pointer: '', message: 'expected a JSON object' }]);
}

function shown({ res: response }: Request, { state, body }: Published): PublishResultDto {
  if (response === undefined) throw new Error('a request without a response');
  if (state !== undefined) response.setHeader('ETag', entityTag(state));
  if (body.dryRun) response.status(HttpStatus.OK);
  return body;
}
