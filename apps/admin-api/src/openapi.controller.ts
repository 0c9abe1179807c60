import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Public } from './auth/roles.js';
import { OpenApiHolder } from './openapi-holder.js';

@ApiTags('health')
@Public()
@Controller()
export class OpenApiController {
  constructor(@Inject(OpenApiHolder) private readonly holder: OpenApiHolder) {}

  @Get('openapi.json')
  @ApiOperation({ operationId: 'getDescription', summary: 'This description (OpenAPI 3.1)', security: [] })
  @ApiOkResponse({ schema: { type: 'object', additionalProperties: true } })
  describe(): object {
    return this.holder.document;
  }
}
