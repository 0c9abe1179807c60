import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { NewChange, type Change } from '../http/change.decorator.js';
import { ApiReasonHeader } from '../http/change-headers.js';
import { ApiProblems } from '../http/problem.dto.js';
import { begun, BeginsOperation } from '../operations/begun.js';
import type { OperationDto } from '../operations/operation.dto.js';
import { CSV, NDJSON } from './entry-rows.js';
import { ListTransferService } from './list-transfer.service.js';
import { ExportQuery, ImportQuery, ListPath, LookupDto, LookupRequest } from './list.dto.js';

@ApiTags('lists')
@ApiBearerAuth()
@Controller('v1/lists/:list')
export class ListTransferController {
  constructor(@Inject(ListTransferService) private readonly transfer: ListTransferService) {}

  @Post('entries\\:import')
  @BeginsOperation()
  @ApiOperation({
    operationId: 'importEntries',
    summary: 'Bring a whole file of entries in, all or none',
    description:
      'One entry a line, `{ "value", "note", "owner", "expires" }`, or CSV with these columns. Every line is checked while it arrives: 422 names those that are refused, and nothing is done. Then an operation brings them in.',
  })
  @ApiConsumes(NDJSON, CSV)
  @ApiBody({ schema: { type: 'string' } })
  @ApiReasonHeader()
  @ApiProblems('not-found', 'conflict', 'malformed-body', 'body-too-large', 'unsupported-media-type', 'value-refused')
  async import(
    @Param() path: ListPath,
    @Query() query: ImportQuery,
    @NewChange() { actor, reason }: Change,
    @Req() request: Request,
  ): Promise<OperationDto> {
    const operation = await this.transfer.import(request, { list: path.list, query, actor, reason });
    if (request.res === undefined) throw new Error('a request without a response');
    return begun(request.res, operation);
  }

  @Get('entries\\:export')
  @RequiresRole('viewer')
  @ApiOperation({
    operationId: 'exportEntries',
    summary: 'All entries as a file',
    description: 'CSV is safe to open in a spreadsheet: a text that would be a formula there has a quote in front.',
  })
  @ApiOkResponse({ content: { [NDJSON]: { schema: { type: 'string' } }, [CSV]: { schema: { type: 'string' } } } })
  @ApiProblems('not-found', 'conflict')
  export(@Param() path: ListPath, @Query() query: ExportQuery, @Res() response: Response): Promise<void> {
    return this.transfer.export(path.list, query.format === 'csv' ? CSV : NDJSON, response);
  }

  @Post('entries\\:lookup')
  @RequiresRole('viewer')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'lookupEntry', summary: 'Which entry covers a value' })
  @ApiOkResponse({ type: LookupDto })
  @ApiProblems('not-found', 'conflict', 'value-refused', 'malformed-body', 'body-too-large', 'unsupported-media-type')
  lookup(@Param() path: ListPath, @Body() body: LookupRequest): Promise<LookupDto> {
    return this.transfer.lookup(path.list, body.value);
  }
}
