import { Controller, Delete, Get, HttpCode, HttpStatus, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Actor } from '../auth/actor.decorator.js';
import { RequiresRole } from '../auth/roles.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { ApiProblems } from '../http/problem.dto.js';
import type { Principal } from '../http/request-context.js';
import { OperationDto, OperationPageDto, OperationPath } from './operation.dto.js';
import { OperationsService } from './operations.service.js';

@ApiTags('operations')
@ApiBearerAuth()
@Controller('v1/operations')
export class OperationsController {
  constructor(@Inject(OperationsService) private readonly operations: OperationsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listOperations', summary: 'Long work of the last 30 days, newest first' })
  @ApiOkResponse({ type: OperationPageDto })
  @ApiProblems()
  async list(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationPageDto> {
    const page = await this.operations.list(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get(':operation')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getOperation', summary: 'How far it is, and what it came to' })
  @ApiOkResponse({ type: OperationDto })
  @ApiProblems('not-found')
  get(@Param() path: OperationPath): Promise<OperationDto> {
    return this.operations.get(path.operation);
  }

  @Delete(':operation')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    operationId: 'cancelOperation',
    summary: 'Ask it to stop',
    description: 'It has stopped when its state says so; what it had begun and not finished is undone.',
  })
  @ApiAcceptedResponse({ type: OperationDto })
  @ApiProblems('not-found', 'conflict')
  cancel(@Param() path: OperationPath, @Actor() actor: Principal): Promise<OperationDto> {
    return this.operations.cancel(path.operation, actor.name);
  }
}
