import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiPropertyOptional, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Public } from '../auth/roles.js';
import { HealthService } from './health.service.js';

class HealthDto {
  @ApiProperty({ type: String, enum: ['ok', 'unavailable'] })
  status!: 'ok' | 'unavailable';

  @ApiPropertyOptional({ type: String, description: 'What is missing.' })
  detail?: string;
}

@ApiTags('health')
@Public()
@Controller()
export class HealthController {
  constructor(@Inject(HealthService) private readonly health: HealthService) {}

  @Get('healthz')
  @ApiOperation({ operationId: 'getHealth', summary: 'Whether the process runs', security: [] })
  @ApiOkResponse({ type: HealthDto })
  alive(): HealthDto {
    return { status: 'ok' };
  }

  @Get('readyz')
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Whether requests can be served: database reached, a policy live',
    security: [],
  })
  @ApiOkResponse({ type: HealthDto })
  @ApiResponse({ status: 503, type: HealthDto, description: 'Not now' })
  async ready(@Res({ passthrough: true }) response: Response): Promise<HealthDto> {
    const detail = await this.health.whatIsMissing();
    if (detail === undefined) return { status: 'ok' };
    response.status(503);
    return { status: 'unavailable', detail };
  }
}
