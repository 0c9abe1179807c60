import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { applyDecorators } from '@nestjs/common';
import { ApiBearerAuth, ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { ApiReasonHeader, ETAG_HEADER } from '../http/change-headers.js';
import { VerbChange, type MatchedChange } from '../http/change.decorator.js';
import { DryRunQuery } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { linkNext } from '../http/page.js';
import { ApiProblems } from '../http/problem.dto.js';
import { tagged } from '../http/shown.js';
import { ChangedMessageDto, MessageDto, MessagePath, RedirectRequest, RerouteRequest } from './message.dto.js';
import { MessagesService } from './messages.service.js';
import { QueuePageDto, QueueSearch } from './queue.dto.js';
import { QueueService } from './queue.service.js';

/** A change of one message, or of one recipient. */
function ChangesMessage(operation: { operationId: string; summary: string; description?: string }): MethodDecorator {
  return applyDecorators(
    RequiresRole('queue-operator'),
    Idempotent(),
    HttpCode(HttpStatus.OK),
    ApiOperation(operation),
    ApiReasonHeader(),
    ApiHeader({
      name: 'If-Match',
      required: false,
      description: 'ETag of `GET /v1/messages/{message}`: refused when the message has moved on since.',
    }),
    ApiOkResponse({ type: ChangedMessageDto }),
    ApiProblems(
      'not-found',
      'conflict',
      'precondition-failed',
      'malformed-body',
      'body-too-large',
      'unsupported-media-type',
      'value-refused',
    ),
  );
}

@ApiTags('queue')
@ApiBearerAuth()
@Controller('v1/messages')
export class MessagesController {
  constructor(
    @Inject(QueueService) private readonly queue: QueueService,
    @Inject(MessagesService) private readonly messages: MessagesService,
  ) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listMessages', summary: 'Search the queue: one entry per recipient, oldest first' })
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

  @Get(':message')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getMessage', summary: 'One message in the queue, and what happened to it so far' })
  @ApiOkResponse({ type: MessageDto, description: 'With an ETag for `If-Match`.', headers: ETAG_HEADER })
  @ApiProblems('not-found')
  async one(@Param() path: MessagePath, @Res({ passthrough: true }) response: Response): Promise<MessageDto> {
    return tagged(response, await this.messages.one(path.message));
  }

  @Post(':message\\:retry')
  @ChangesMessage({ operationId: 'retryMessage', summary: 'Try it now', description: 'Also what was set aside.' })
  retry(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
  ): Promise<ChangedMessageDto> {
    return this.messages.change(path.message, { action: 'retry' }, { ...change, dryRun: isDryRun(query) });
  }

  @Post(':message\\:hold')
  @ChangesMessage({
    operationId: 'holdMessage',
    summary: 'Keep it in the queue, without attempts, until it is released',
  })
  hold(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
  ): Promise<ChangedMessageDto> {
    return this.messages.change(path.message, { action: 'hold' }, { ...change, dryRun: isDryRun(query) });
  }

  @Post(':message\\:release')
  @ChangesMessage({
    operationId: 'releaseMessage',
    summary: 'Let it go on, now',
    description: 'What an operator held or what was set aside. Mail held for review is released at `/v1/reviews`.',
  })
  release(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
  ): Promise<ChangedMessageDto> {
    return this.messages.change(path.message, { action: 'release' }, { ...change, dryRun: isDryRun(query) });
  }

  @Post(':message\\:reroute')
  @ChangesMessage({
    operationId: 'rerouteMessage',
    summary: 'Choose its route anew',
    description: 'By the routing rules of the policy in force, or the route that the body names. It is due now.',
  })
  reroute(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
    @Body() body: RerouteRequest,
  ): Promise<ChangedMessageDto> {
    const wish = { action: 'reroute' as const, ...(body.route !== undefined && { route: body.route }) };
    return this.messages.change(path.message, wish, { ...change, dryRun: isDryRun(query) });
  }

  @Post(':message\\:redirect')
  @ChangesMessage({
    operationId: 'redirectMessage',
    summary: 'Send it to another address',
    description:
      'Its route is chosen by the policy in force unless the body names one. A notice to its sender names the address as it was (ORCPT).',
  })
  redirect(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
    @Body() body: RedirectRequest,
  ): Promise<ChangedMessageDto> {
    const { to, route } = body;
    const wish = { action: 'redirect' as const, to, ...(route !== undefined && { route }) };
    return this.messages.change(path.message, wish, { ...change, dryRun: isDryRun(query) });
  }

  @Post(':message\\:expire')
  @ChangesMessage({
    operationId: 'expireMessage',
    summary: 'Give it up now',
    description: 'As if its time were over: its sender gets the notice that policy and NOTIFY say.',
  })
  expire(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
  ): Promise<ChangedMessageDto> {
    return this.messages.change(path.message, { action: 'expire' }, { ...change, dryRun: isDryRun(query) });
  }

  @Post(':message\\:drop')
  @ChangesMessage({ operationId: 'dropMessage', summary: 'Throw it away; nobody is told. `Reason` is required' })
  drop(
    @Param() path: MessagePath,
    @Query() query: DryRunQuery,
    @VerbChange() change: MatchedChange,
  ): Promise<ChangedMessageDto> {
    return this.messages.change(path.message, { action: 'drop' }, { ...change, dryRun: isDryRun(query) });
  }
}

function isDryRun({ dryRun }: DryRunQuery): boolean {
  return dryRun === 'true';
}
