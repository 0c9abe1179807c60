import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  HttpStatus,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { Actor } from '../auth/actor.decorator.js';
import { RequiresRole } from '../auth/roles.js';
import { linkNext } from '../http/page.js';
import { PageQuery } from '../http/page.dto.js';
import { Idempotent } from '../http/idempotency.js';
import { ApiProblems } from '../http/problem.dto.js';
import type { Principal } from '../http/request-context.js';
import {
  AddedEntryDto,
  EntryPath,
  ListEntryDto,
  ListEntryPageDto,
  ListPath,
  ManagedListPageDto,
  NewEntryRequest,
  RemoveEntryQuery,
} from './list.dto.js';
import { ListsService } from './lists.service.js';

@ApiTags('lists')
@ApiBearerAuth()
@Controller('v1/lists')
export class ListsController {
  constructor(@Inject(ListsService) private readonly lists: ListsService) {}

  @Get()
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listLists', summary: 'The managed lists of the live policy' })
  @ApiOkResponse({ type: ManagedListPageDto })
  @ApiProblems('not-found', 'conflict')
  async all(): Promise<ManagedListPageDto> {
    return { data: await this.lists.all() };
  }

  @Get(':list/entries')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'listEntries', summary: 'Entries of a list, in the order of their values' })
  @ApiOkResponse({ type: ListEntryPageDto })
  @ApiProblems('not-found', 'conflict')
  async entries(
    @Param() path: ListPath,
    @Query() query: PageQuery,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ListEntryPageDto> {
    const page = await this.lists.entries(path.list, query);
    linkNext(request, response, page.next);
    return page;
  }

  @Get(':list/entries/:value')
  @RequiresRole('viewer')
  @ApiOperation({ operationId: 'getEntry', summary: 'One entry' })
  @ApiOkResponse({ type: ListEntryDto })
  @ApiProblems('not-found', 'conflict', 'value-refused')
  entry(@Param() path: EntryPath): Promise<ListEntryDto> {
    return this.lists.entry(path.list, path.value);
  }

  @Post(':list/entries')
  @Idempotent()
  @ApiOperation({
    operationId: 'addEntry',
    summary: 'Add an entry; adding it again changes note, owner and expiry',
    description: 'In force on every gateway within a second. 201 for a new entry, 200 for one that was there.',
  })
  @ApiCreatedResponse({ type: AddedEntryDto })
  @ApiOkResponse({ type: AddedEntryDto })
  @ApiProblems('not-found', 'conflict', 'value-refused', 'malformed-body', 'body-too-large', 'unsupported-media-type')
  async add(
    @Param() path: ListPath,
    @Body() body: NewEntryRequest,
    @Res({ passthrough: true }) response: Response,
    @Actor() actor: Principal,
  ): Promise<AddedEntryDto> {
    const entry = await this.lists.add(path.list, body, actor.name);
    response.status(entry.added ? HttpStatus.CREATED : HttpStatus.OK);
    return entry;
  }

  @Delete(':list/entries/:value')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'removeEntry', summary: 'Remove an entry' })
  @ApiNoContentResponse()
  @ApiProblems('not-found', 'conflict', 'value-refused')
  remove(@Param() path: EntryPath, @Query() query: RemoveEntryQuery, @Actor() actor: Principal): Promise<void> {
    return this.lists.remove(path, actor.name, query.reason);
  }
}
