import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { RouteParamtypes } from '@nestjs/common/internal';
import type { Request, Response } from 'express';
import { TRIED_FIRST } from './dry-run.dto.js';
import { pointer } from './problem.js';
import { invalidRequest } from './validation.js';

/** Where Nest keeps which arguments a handler takes. */
const ROUTE_ARGUMENTS = '__routeArguments__';

/** A query on a resource that takes none is refused like an unknown field: what is asked for must count. */
@Injectable()
export class QueryGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { query } = context.switchToHttp().getRequest<Request>();
    refuseRepeated(query);
    if (takesQuery(context)) return true;
    const tried = Reflect.getMetadata(TRIED_FIRST, context.getHandler()) === true;
    if (tried) announceDryRun(query, context.switchToHttp().getResponse<Response>());
    const names = Object.keys(query).filter((name) => !tried || name !== 'dryRun');
    if (names.length === 0) return true;
    throw invalidRequest(
      names.map((name) => ({
        code: 'unknown-field',
        pointer: pointer([name]),
        message: `unknown field \`${name.slice(0, 100)}\``,
      })),
    );
  }
}

/** Its answer looks like that of the change itself: the header tells that nothing was done. */
function announceDryRun({ dryRun }: Request['query'], response: Response): void {
  if (dryRun === undefined || dryRun === 'false') return;
  if (dryRun !== 'true') {
    const message = '`dryRun` must be `true` or `false`';
    throw invalidRequest([{ code: 'invalid-field', pointer: '/dryRun', message }]);
  }
  response.setHeader('Dry-Run', 'true');
}

/** Which of two values would count nobody can know. */
function refuseRepeated(query: Request['query']): void {
  const faults = Object.entries(query).flatMap(([name, value]) => {
    if (!Array.isArray(value)) return [];
    const message = `\`${name.slice(0, 100)}\` is given ${String(value.length)} times, expected once`;
    return [{ code: 'repeated-field', pointer: pointer([name]), message }];
  });
  if (faults.length > 0) throw invalidRequest(faults);
}

function takesQuery(context: ExecutionContext): boolean {
  const taken: unknown = Reflect.getMetadata(ROUTE_ARGUMENTS, context.getClass(), context.getHandler().name);
  const kinds = Object.keys(taken ?? {}).map((key) => key.split(':')[0]);
  return kinds.includes(String(RouteParamtypes.QUERY));
}
