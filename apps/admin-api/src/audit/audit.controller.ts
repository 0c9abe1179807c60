import { Body, Controller, Get, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { ApiProblems } from '../http/problem.dto.js';
import { CheckpointPageDto, VerifyReportDto, VerifyRequest } from './audit.dto.js';
import { AuditService } from './audit.service.js';

/** Below the patience of HTTP clients and proxies. */
const SIGN_OF_LIFE_MS = 20_000;

@ApiTags('audit')
@ApiBearerAuth()
@RequiresRole('viewer')
@Controller('v1')
export class AuditController {
  constructor(@Inject(AuditService) private readonly audit: AuditService) {}

  @Get('audit/checkpoints')
  @ApiOperation({ operationId: 'listCheckpoints', summary: 'Signed heads of the audit’s chains, newest first' })
  @ApiOkResponse({ type: CheckpointPageDto })
  @ApiProblems()
  async checkpoints(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<CheckpointPageDto> {
    const page = await this.audit.checkpoints(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Post('audit\\:verify')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'verifyAudit',
    summary: 'Check the audit against its hash chain and its signed checkpoints',
    description:
      'Reads the whole audit, which may take minutes; the answer then begins with spaces, one every 20 seconds.',
  })
  @ApiOkResponse({ type: VerifyReportDto })
  @ApiProblems('conflict', 'malformed-body', 'body-too-large', 'unsupported-media-type')
  async verify(@Body() body: VerifyRequest, @Res() response: Response): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const alive = setInterval(() => {
      if (!response.headersSent) response.status(200).type('application/json');
      response.write(' ');
    }, SIGN_OF_LIFE_MS);
    try {
      const report = await this.audit.verify(body.checkpoints ?? [], gone.signal);
      if (!response.headersSent) response.status(200).type('application/json');
      response.end(JSON.stringify(report));
    } catch (error) {
      if (!response.headersSent) throw error;
      response.destroy(error instanceof Error ? error : undefined);
    } finally {
      clearInterval(alive);
    }
  }
}
