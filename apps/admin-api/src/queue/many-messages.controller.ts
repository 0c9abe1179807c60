import { applyDecorators, Body, Controller, HttpStatus, Inject, Post, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { ApiReasonHeader } from '../http/change-headers.js';
import { NewChange, type Change } from '../http/change.decorator.js';
import { DryRunQuery } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import { begun, BeginsOperation } from '../operations/begun.js';
import { OperationDto } from '../operations/operation.dto.js';
import { ManyMessagesService } from './many-messages.service.js';
import { ManyDryRunDto, ManyRedirectRequest, ManyRequest, ManyRerouteRequest } from './message.dto.js';
import type { QueueWish } from './queue-changer.js';

/** A change of all that fits a filter. */
function ChangesMany(operationId: string, summary: string): MethodDecorator {
  return applyDecorators(
    RequiresRole('queue-operator'),
    Idempotent(),
    ApiOperation({
      operationId,
      summary,
      description:
        'An operation: its `result` counts `matched`, `changed`, `unchanged`, `refused` and `busy` recipients. Cancelled, it leaves what it has changed. Mail accepted later is not meant. `dryRun=true` answers at once.',
    }),
    ApiReasonHeader(),
    BeginsOperation(),
    ApiOkResponse({ type: ManyDryRunDto, description: 'With `dryRun=true`.' }),
    ApiProblems('malformed-body', 'body-too-large', 'unsupported-media-type', 'value-refused', 'not-found', 'conflict'),
  );
}

/** Beside the messages, because `:retry` is no id. */
@ApiTags('queue')
@ApiBearerAuth()
@Controller('v1')
export class ManyMessagesController {
  constructor(@Inject(ManyMessagesService) private readonly many: ManyMessagesService) {}

  @Post('messages\\:retry')
  @ChangesMany('retryMessages', 'Try them now')
  retry(
    @Body() body: ManyRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    return this.change({ body, query, change, response }, { action: 'retry' });
  }

  @Post('messages\\:hold')
  @ChangesMany('holdMessages', 'Keep them in the queue, without attempts, until they are released')
  hold(
    @Body() body: ManyRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    return this.change({ body, query, change, response }, { action: 'hold' });
  }

  @Post('messages\\:release')
  @ChangesMany('releaseMessages', 'Let them go on, now')
  release(
    @Body() body: ManyRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    return this.change({ body, query, change, response }, { action: 'release' });
  }

  @Post('messages\\:reroute')
  @ChangesMany('rerouteMessages', 'Choose their routes anew')
  reroute(
    @Body() body: ManyRerouteRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    const { route } = body;
    return this.change({ body, query, change, response }, { action: 'reroute', ...(route !== undefined && { route }) });
  }

  @Post('messages\\:redirect')
  @ChangesMany('redirectMessages', 'Send them to another address')
  redirect(
    @Body() body: ManyRedirectRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    const { to, route } = body;
    const wish = { action: 'redirect' as const, to, ...(route !== undefined && { route }) };
    return this.change({ body, query, change, response }, wish);
  }

  @Post('messages\\:expire')
  @ChangesMany('expireMessages', 'Give them up now')
  expire(
    @Body() body: ManyRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    return this.change({ body, query, change, response }, { action: 'expire' });
  }

  @Post('messages\\:drop')
  @ChangesMany('dropMessages', 'Throw them away; nobody is told. `Reason` is required')
  drop(
    @Body() body: ManyRequest,
    @Query() query: DryRunQuery,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationDto | ManyDryRunDto> {
    return this.change({ body, query, change, response }, { action: 'drop' });
  }

  private async change(asked: Asked, wish: QueueWish): Promise<OperationDto | ManyDryRunDto> {
    const { body, query, change, response } = asked;
    if (query.dryRun !== 'true') return begun(response, await this.many.begin(body, wish, change));
    response.status(HttpStatus.OK);
    return this.many.dryRun(body, wish, change);
  }
}

interface Asked {
  readonly body: ManyRequest;
  readonly query: DryRunQuery;
  readonly change: Change;
  readonly response: Response;
}
