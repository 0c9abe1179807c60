import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  HttpStatus,
  Inject,
  Param,
  Patch,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiConsumes,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { RequiresRole } from '../auth/roles.js';
import { ApiChangeHeaders, ApiReasonHeader, ETAG_HEADER } from '../http/change-headers.js';
import { BasedChange, NewChange, type Change, type ConditionalChange } from '../http/change.decorator.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { CanBeTried } from '../http/dry-run.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import { tagged } from '../http/shown.js';
import {
  AccountDto,
  AccountPageDto,
  AccountPatch,
  AccountPath,
  AccountWithPasswordDto,
  NewAccountRequest,
  PasswordRequest,
} from './account.dto.js';
import { AccountsService } from './accounts.service.js';

const BODY_PROBLEMS = ['malformed-body', 'body-too-large', 'unsupported-media-type', 'value-refused'] as const;
const CHANGE_PROBLEMS = ['not-found', 'precondition-failed', 'precondition-required'] as const;

@ApiTags('accounts')
@ApiBearerAuth()
@Controller('v1/accounts')
export class AccountsController {
  constructor(@Inject(AccountsService) private readonly accounts: AccountsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listAccounts', summary: 'The accounts that SMTP clients sign in with, by name' })
  @ApiOkResponse({ type: AccountPageDto })
  @ApiProblems()
  async all(
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AccountPageDto> {
    const page = await this.accounts.all(query);
    linkNext(request, response, page.next);
    return page;
  }

  @Post()
  @Idempotent()
  @CanBeTried()
  @ApiOperation({ operationId: 'createAccount', summary: 'Create an account; a password that is not given is made' })
  @ApiReasonHeader()
  @ApiCreatedResponse({ type: AccountWithPasswordDto, headers: ETAG_HEADER })
  @ApiProblems('conflict', ...BODY_PROBLEMS)
  async create(
    @Body() body: NewAccountRequest,
    @NewChange() change: Change,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AccountWithPasswordDto> {
    const created = await this.accounts.create(body, change);
    response.setHeader('Location', `/v1/accounts/${encodeURIComponent(created.body.name)}`);
    return tagged(response, created);
  }

  @Get(':account')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getAccount', summary: 'One account' })
  @ApiOkResponse({ type: AccountDto, description: 'With an ETag for `If-Match`.', headers: ETAG_HEADER })
  @ApiProblems('not-found')
  async one(@Param() path: AccountPath, @Res({ passthrough: true }) response: Response): Promise<AccountDto> {
    return tagged(response, await this.accounts.one(path.account));
  }

  @Patch(':account')
  @CanBeTried()
  @ApiOperation({
    operationId: 'changeAccount',
    summary: 'Change identities, note, expiry, or disable and enable it',
    description: 'A JSON merge patch: what is absent stays, null removes. Counts from the next sign-in on.',
  })
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiChangeHeaders()
  @ApiOkResponse({ type: AccountDto, headers: ETAG_HEADER })
  @ApiProblems(...CHANGE_PROBLEMS, ...BODY_PROBLEMS)
  async change(
    @Param() path: AccountPath,
    @Body() patch: AccountPatch,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AccountDto> {
    return tagged(response, await this.accounts.change(path.account, patch, change));
  }

  @Post(':account\\:password')
  @Idempotent()
  @HttpCode(HttpStatus.OK)
  @CanBeTried()
  @ApiOperation({
    operationId: 'setAccountPassword',
    summary: 'Replace the password; one that is not given is made',
    description: 'The old one is worthless at once. Sessions that are signed in go on to their end.',
  })
  @ApiChangeHeaders()
  @ApiOkResponse({ type: AccountWithPasswordDto, headers: ETAG_HEADER })
  @ApiProblems(...CHANGE_PROBLEMS, ...BODY_PROBLEMS)
  async setPassword(
    @Param() path: AccountPath,
    @Body() body: PasswordRequest,
    @BasedChange() change: ConditionalChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AccountWithPasswordDto> {
    return tagged(response, await this.accounts.setPassword(path.account, body.password, change));
  }

  @Delete(':account')
  @HttpCode(HttpStatus.NO_CONTENT)
  @CanBeTried()
  @ApiOperation({ operationId: 'removeAccount', summary: 'Remove an account' })
  @ApiChangeHeaders()
  @ApiNoContentResponse()
  @ApiProblems(...CHANGE_PROBLEMS)
  remove(@Param() path: AccountPath, @BasedChange() change: ConditionalChange): Promise<void> {
    return this.accounts.remove(path.account, change);
  }
}
