import { Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { ReviewAction } from '#audit';
import { RequiresRole } from '../auth/roles.js';
import { ApiReasonHeader } from '../http/change-headers.js';
import { NewChange, type Change } from '../http/change.decorator.js';
import { linkNext } from '../http/page.js';
import { DryRunQuery } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import { ReviewDto, ReviewOutcomeDto, ReviewPageDto, ReviewPath, ReviewSearch } from './review.dto.js';
import { ReviewsService } from './reviews.service.js';

@ApiTags('reviews')
@ApiBearerAuth()
@Controller('v1/reviews')
export class ReviewsController {
  constructor(@Inject(ReviewsService) private readonly reviews: ReviewsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listReviews', summary: 'Mail that waits for a person, oldest first' })
  @ApiOkResponse({ type: ReviewPageDto })
  @ApiProblems()
  async list(
    @Query() query: ReviewSearch,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ReviewPageDto> {
    const page = await this.reviews.list(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get(':id')
  @RequiresRole('helpdesk')
  @ApiOperation({ operationId: 'getReview', summary: 'Held mail with its header and the beginning of its text' })
  @ApiOkResponse({ type: ReviewDto })
  @ApiProblems('not-found')
  one(@Param() path: ReviewPath): Promise<ReviewDto> {
    return this.reviews.one(path.id);
  }

  @Post(':id\\:release')
  @RequiresRole('helpdesk')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'releaseReview',
    summary: 'Let it through',
    description:
      'It is judged again by the policy in force, from the message phase on, without the rule that held it. Where another rule objects it is `kept`.',
  })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ReviewOutcomeDto })
  @ApiProblems('not-found', 'conflict')
  release(
    @Param() path: ReviewPath,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
  ): Promise<ReviewOutcomeDto> {
    return this.decide(path.id, 'release', query, change);
  }

  @Post(':id\\:reject')
  @RequiresRole('helpdesk')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'rejectReview', summary: 'Refuse it; its sender gets a notice that says so' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ReviewOutcomeDto })
  @ApiProblems('not-found', 'conflict')
  reject(
    @Param() path: ReviewPath,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
  ): Promise<ReviewOutcomeDto> {
    return this.decide(path.id, 'reject', query, change);
  }

  @Post(':id\\:return')
  @RequiresRole('helpdesk')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'returnReview', summary: 'Send it back without a judgement; its sender gets a notice' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ReviewOutcomeDto })
  @ApiProblems('not-found', 'conflict')
  return(
    @Param() path: ReviewPath,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
  ): Promise<ReviewOutcomeDto> {
    return this.decide(path.id, 'return', query, change);
  }

  @Post(':id\\:discard')
  @RequiresRole('helpdesk')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ operationId: 'discardReview', summary: 'Throw it away; nobody is told. `Reason` is required' })
  @ApiReasonHeader()
  @ApiOkResponse({ type: ReviewOutcomeDto })
  @ApiProblems('not-found', 'conflict')
  discard(
    @Param() path: ReviewPath,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
  ): Promise<ReviewOutcomeDto> {
    return this.decide(path.id, 'discard', query, change);
  }

  private decide(id: string, action: ReviewAction, query: DryRunQuery, change: Change): Promise<ReviewOutcomeDto> {
    if (query.dryRun === 'true') return this.reviews.dryRun(id, action, change.reason);
    return this.reviews.act(id, action, change);
  }
}
