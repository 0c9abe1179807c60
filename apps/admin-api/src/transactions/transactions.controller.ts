import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { linkNext } from '../http/page.js';
import { ApiProblems } from '../http/problem.dto.js';
import { TransactionDto, TransactionPageDto, TransactionPath, TransactionSearch } from './transaction.dto.js';
import { TransactionsService } from './transactions.service.js';

@ApiTags('transactions')
@ApiBearerAuth()
@RequiresRole('viewer')
@Controller('v1/transactions')
export class TransactionsController {
  constructor(@Inject(TransactionsService) private readonly transactions: TransactionsService) {}

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
}
