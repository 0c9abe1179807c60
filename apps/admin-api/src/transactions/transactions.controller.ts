import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { linkNext } from '../http/page.js';
import { ApiProblems } from '../http/problem.dto.js';
import { ExplainQuery, ExplanationDto } from './explanation.dto.js';
import { ExplanationsService } from './explanations.service.js';
import { TransactionDto, TransactionPageDto, TransactionPath, TransactionSearch } from './transaction.dto.js';
import { TransactionsService } from './transactions.service.js';

@ApiTags('transactions')
@ApiBearerAuth()
@RequiresRole('viewer')
@Controller('v1/transactions')
export class TransactionsController {
  constructor(
    @Inject(TransactionsService) private readonly transactions: TransactionsService,
    @Inject(ExplanationsService) private readonly explanations: ExplanationsService,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'searchTransactions',
    summary: 'Search the audit, newest first; all criteria must hold',
  })
  @ApiOkResponse({ type: TransactionPageDto })
  @ApiProblems()
  async search(
    @Query() query: TransactionSearch,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<TransactionPageDto> {
    const page = await this.transactions.search(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get(':txn')
  @ApiOperation({
    operationId: 'getTransaction',
    summary: 'The whole story of a transaction, attempts and their replies included',
  })
  @ApiOkResponse({ type: TransactionDto })
  @ApiProblems('not-found')
  one(@Param() path: TransactionPath): Promise<TransactionDto> {
    return this.transactions.one(path.txn);
  }

  @Get(':txn/explain')
  @ApiOperation({
    operationId: 'explainTransaction',
    summary: 'Why it was decided so: every step, judged again from the recorded facts',
  })
  @ApiOkResponse({ type: ExplanationDto })
  @ApiProblems('not-found', 'conflict')
  explain(@Param() path: TransactionPath, @Query() query: ExplainQuery): Promise<ExplanationDto> {
    return this.explanations.explain(path.txn, query.againstRevision);
  }
}
