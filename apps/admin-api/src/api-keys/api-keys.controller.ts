import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Inject, Param, Post } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { Actor } from '../auth/actor.decorator.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import type { Principal } from '../http/request-context.js';
import { ApiKeyPageDto, ApiKeyPath, CreatedApiKeyDto, NewApiKeyRequest } from './api-key.dto.js';
import { ApiKeysService } from './api-keys.service.js';

@ApiTags('api-keys')
@ApiBearerAuth()
@Controller('v1/api-keys')
export class ApiKeysController {
  constructor(@Inject(ApiKeysService) private readonly keys: ApiKeysService) {}

  @Get()
  @ApiOperation({ operationId: 'listApiKeys', summary: 'All keys, revoked and expired ones too' })
  @ApiOkResponse({ type: ApiKeyPageDto })
  @ApiProblems()
  async all(): Promise<ApiKeyPageDto> {
    return { data: await this.keys.all() };
  }

  @Post()
  @Idempotent()
  @HttpCode(HttpStatus.CREATED)
  @ApiOperation({ operationId: 'createApiKey', summary: 'Create a key; the answer is the only place it is ever shown' })
  @ApiCreatedResponse({ type: CreatedApiKeyDto })
  @ApiProblems('malformed-body', 'value-refused', 'body-too-large', 'unsupported-media-type')
  create(@Body() body: NewApiKeyRequest, @Actor() actor: Principal): Promise<CreatedApiKeyDto> {
    return this.keys.create(body, actor.name);
  }

  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'revokeApiKey', summary: 'Make a key worthless at once' })
  @ApiNoContentResponse()
  @ApiProblems('not-found', 'conflict')
  revoke(@Param() path: ApiKeyPath, @Actor() actor: Principal): Promise<void> {
    return this.keys.revoke(path.id, actor.name);
  }
}
