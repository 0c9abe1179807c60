import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RequiresRole } from '../auth/roles.js';
import { ApiReasonHeader } from '../http/change-headers.js';
import { NewChange, type Change } from '../http/change.decorator.js';
import { DryRunQuery } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import {
  DestinationDto,
  DestinationListQuery,
  DestinationPageDto,
  DestinationPath,
  ResolvedDto,
  ResolveRequest,
} from './destination.dto.js';
import { DestinationsService } from './destinations.service.js';

@ApiTags('destinations')
@ApiBearerAuth()
@Controller('v1/destinations')
export class DestinationsController {
  constructor(@Inject(DestinationsService) private readonly destinations: DestinationsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listDestinations', summary: 'Domains that are suspended, or that mail waits for' })
  @ApiOkResponse({ type: DestinationPageDto })
  @ApiProblems()
  list(@Query() query: DestinationListQuery): Promise<DestinationPageDto> {
    return this.destinations.list(query.limit);
  }

  @Get(':domain')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getDestination', summary: 'What waits for one domain, and what it was answered' })
  @ApiOkResponse({ type: DestinationDto })
  @ApiProblems()
  one(@Param() path: DestinationPath): Promise<DestinationDto> {
    return this.destinations.one(path.domain);
  }

  @Post(':domain\\:suspend')
  @RequiresRole('queue-operator')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'suspendDestination',
    summary: 'Let its mail wait',
    description: 'Mail is accepted and queued; no gateway attempts it, within a second and until it is resumed.',
  })
  @ApiReasonHeader()
  @ApiOkResponse({ type: DestinationDto })
  @ApiProblems()
  suspend(
    @Param() path: DestinationPath,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
  ): Promise<DestinationDto> {
    return this.destinations.suspend(path.domain, change, query.dryRun === 'true');
  }

  @Post(':domain\\:resume')
  @RequiresRole('queue-operator')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'resumeDestination',
    summary: 'Let its mail go on',
    description:
      'Little by little: a hundred recipients in the first five seconds, twice as many in the next, and so on.',
  })
  @ApiReasonHeader()
  @ApiOkResponse({ type: DestinationDto })
  @ApiProblems()
  resume(
    @Param() path: DestinationPath,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
  ): Promise<DestinationDto> {
    return this.destinations.resume(path.domain, change, query.dryRun === 'true');
  }

  @Post(':domain\\:resolve')
  @RequiresRole('viewer')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'resolveDestination',
    summary: 'Which route, hosts, TLS and source its mail would meet now',
    description:
      'Answered by the running gateways: what the DNS says, which hosts rest and why, what is under way. Changes nothing.',
  })
  @ApiOkResponse({ type: ResolvedDto })
  @ApiProblems('conflict', 'malformed-body', 'body-too-large', 'unsupported-media-type')
  resolve(@Param() path: DestinationPath, @Body() body: ResolveRequest): Promise<ResolvedDto> {
    return this.destinations.resolve(path.domain, body);
  }
}
