import { Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RequiresRole } from '../auth/roles.js';
import { ApiReasonHeader } from '../http/change-headers.js';
import { NewChange, type Change } from '../http/change.decorator.js';
import { DryRunQuery } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import { GatewayDto, GatewayPageDto, GatewayPath } from './gateway.dto.js';
import { GatewaysService } from './gateways.service.js';

@ApiTags('gateways')
@ApiBearerAuth()
@Controller('v1/gateways')
export class GatewaysController {
  constructor(@Inject(GatewaysService) private readonly gateways: GatewaysService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listGateways', summary: 'The gateways, and the policy revision each runs' })
  @ApiOkResponse({ type: GatewayPageDto })
  @ApiProblems()
  async all(): Promise<GatewayPageDto> {
    return { data: await this.gateways.all() };
  }

  @Get(':gateway')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getGateway', summary: 'One gateway' })
  @ApiOkResponse({ type: GatewayDto })
  @ApiProblems('not-found')
  one(@Param() path: GatewayPath): Promise<GatewayDto> {
    return this.gateways.one(path.gateway);
  }

  @Post(':gateway\\:drain')
  @RequiresRole('queue-operator')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'drainGateway',
    summary: 'Empty it, so that it can be stopped',
    description:
      'New sessions get 421, and so does the next MAIL of open ones; it takes nothing more from the queue. What is in flight ends as it would have. Lasts until it is resumed, also over a restart.',
  })
  @ApiReasonHeader()
  @ApiOkResponse({ type: GatewayDto })
  @ApiProblems('not-found')
  drain(@Param() path: GatewayPath, @Query() query: DryRunQuery, @NewChange() change: Change): Promise<GatewayDto> {
    return this.gateways.drain(path.gateway, change, query.dryRun === 'true');
  }

  @Post(':gateway\\:resume')
  @RequiresRole('queue-operator')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'resumeGateway', summary: 'Let it take sessions and mail again' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: GatewayDto })
  @ApiProblems('not-found')
  resume(@Param() path: GatewayPath, @Query() query: DryRunQuery, @NewChange() change: Change): Promise<GatewayDto> {
    return this.gateways.resume(path.gateway, change, query.dryRun === 'true');
  }
}
