import { Body, Controller, HttpCode, HttpStatus, Inject, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RequiresRole } from '../auth/roles.js';
import { ApiProblems } from '../http/problem.dto.js';
import { SimulationDto, SimulationRequest } from './simulation.dto.js';
import { SimulationsService } from './simulations.service.js';

@ApiTags('policies')
@ApiBearerAuth()
@RequiresRole('viewer')
@Controller('v1/simulations')
export class SimulationsController {
  constructor(@Inject(SimulationsService) private readonly simulations: SimulationsService) {}

  @Post()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'simulate',
    summary: 'Ask a policy what it would do with mail that nobody sent; changes nothing',
  })
  @ApiOkResponse({ type: SimulationDto })
  @ApiProblems(
    'malformed-body',
    'invalid-request',
    'not-found',
    'conflict',
    'body-too-large',
    'unsupported-media-type',
    'policy-refused',
  )
  simulate(@Body() request: SimulationRequest): Promise<SimulationDto> {
    return this.simulations.simulate(request);
  }
}
