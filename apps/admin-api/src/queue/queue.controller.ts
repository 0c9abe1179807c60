import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { linkNext } from '../http/page.js';
import { ApiProblems } from '../http/problem.dto.js';
import { QueuePageDto, QueueSearch } from './queue.dto.js';
import { QueueService } from './queue.service.js';

@ApiTags('queue')
@ApiBearerAuth()
@RequiresRole('viewer')
@Controller('v1/queue')
export class QueueController {
  constructor(@Inject(QueueService) private readonly queue: QueueService) {}

  @Get()
  @ApiOperation({ operationId: 'listQueue', summary: 'What waits for delivery, oldest first' })
  @ApiOkResponse({ type: QueuePageDto })
  @ApiProblems()
  async list(
    @Query() query: QueueSearch,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<QueuePageDto> {
    const page = await this.queue.list(query);
    linkNext(request, response, page.next);
    return page;
  }
}
