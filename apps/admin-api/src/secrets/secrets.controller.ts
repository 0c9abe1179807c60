import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  HttpStatus,
  Inject,
  Param,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { ApiChangeHeaders, ApiReasonHeader, ETAG_HEADER } from '../http/change-headers.js';
import { BasedChange, NewChange, type Change, type ConditionalChange } from '../http/change.decorator.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { CanBeTried } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import { tagged } from '../http/shown.js';
import { PublicKeyDto, ResealDto, SecretDto, SecretPageDto, SecretPath, SecretRequest } from './secret.dto.js';
import { SecretsService } from './secrets.service.js';

const CHANGE_PROBLEMS = ['precondition-failed', 'precondition-required'] as const;

@ApiTags('secrets')
@ApiBearerAuth()
@Controller('v1/secrets')
export class SecretsController {
  constructor(@Inject(SecretsService) private readonly secrets: SecretsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listSecrets', summary: 'The secrets of the relay, by name; never their values' })
  @ApiOkResponse({ type: SecretPageDto })
  @ApiProblems()
  async all(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SecretPageDto> {
    const page = await this.secrets.all(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get(':secret')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getSecret', summary: 'One secret; never its value' })
  @ApiOkResponse({ type: SecretDto, description: 'With an ETag for `If-Match`.', headers: ETAG_HEADER })
  @ApiProblems('not-found')
  async one(@Param() path: SecretPath, @Res({ passthrough: true }) response: Response): Promise<SecretDto> {
    return tagged(response, await this.secrets.one(path.secret));
  }

  @Get(':secret/public-key')
  @RequiresRole('viewer')
  @ApiOperation({
    operationId: 'getSecretPublicKey',
    summary: 'The public half of a key that mail is signed with',
    description: 'As a DNS record. 409 for a secret that is no such key, or that can not be opened.',
  })
  @ApiOkResponse({ type: PublicKeyDto })
  @ApiProblems('not-found', 'conflict')
  publicKey(@Param() path: SecretPath): Promise<PublicKeyDto> {
    return this.secrets.publicKey(path.secret);
  }

  @Put(':secret')
  @CanBeTried()
  @ApiOperation({
    operationId: 'setSecret',
    summary: 'Make a secret, or replace its value and note',
    description: 'Counts from the next connection of the relay on. 201 for a new secret, 200 for one that was there.',
  })
  @ApiChangeHeaders()
  @ApiHeader({ name: 'If-None-Match', required: false, description: '`*` when there is no such secret yet.' })
  @ApiOkResponse({ type: SecretDto, headers: ETAG_HEADER })
  @ApiCreatedResponse({ type: SecretDto, headers: ETAG_HEADER })
  @ApiProblems(
    'conflict',
    'malformed-body',
    'body-too-large',
    'unsupported-media-type',
    'value-refused',
    ...CHANGE_PROBLEMS,
  )
  async set(
    @Param() path: SecretPath,
    @Body() body: SecretRequest,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SecretDto> {
    const set = await this.secrets.set(path.secret, body, change);
    response.status(set.created ? HttpStatus.CREATED : HttpStatus.OK);
    return tagged(response, set);
  }

  @Delete(':secret')
  @HttpCode(HttpStatus.NO_CONTENT)
  @CanBeTried()
  @ApiOperation({ operationId: 'removeSecret', summary: 'Remove a secret' })
  @ApiChangeHeaders()
  @ApiNoContentResponse()
  @ApiProblems('not-found', 'conflict', ...CHANGE_PROBLEMS)
  remove(@Param() path: SecretPath, @BasedChange() change: ConditionalChange): Promise<void> {
    return this.secrets.remove(path.secret, change);
  }
}

/** Verbs for all of them; beside the resource, because `:reseal` is no name. */
@ApiTags('secrets')
@ApiBearerAuth()
@Controller('v1')
export class SecretVerbsController {
  constructor(@Inject(SecretsService) private readonly secrets: SecretsService) {}

  @Post('secrets\\:reseal')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'resealSecrets',
    summary: 'Seal every secret with the first key of the key file',
    description: 'The second half of a key rotation. Values and ETags stay.',
  })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ResealDto })
  @ApiProblems('conflict')
  reseal(@NewChange() change: Change): Promise<ResealDto> {
    return this.secrets.reseal(change);
  }
}
