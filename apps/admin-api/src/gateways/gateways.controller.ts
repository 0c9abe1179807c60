import { Controller, Get, Inject } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RequiresRole } from '../auth/roles.js';
import { ApiProblems } from '../http/problem.dto.js';
import { GatewayPageDto } from './gateway.dto.js';
import { GatewaysService } from './gateways.service.js';

@ApiTags('gateways')
@ApiBearerAuth()
@RequiresRole('viewer')
@Controller('v1/gateways')
export class GatewaysController {
  constructor(@Inject(GatewaysService) private readonly gateways: GatewaysService) {}

  @Get()
  @ApiOperation({ operationId: 'listGateways', summary: 'The gateways, and the policy revision each runs' })
  @ApiOkResponse({ type: GatewayPageDto })
  @ApiProblems()
  async all(): Promise<GatewayPageDto> {
    return { data: await this.gateways.all() };
  }
}
