import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { contextOf, type Principal } from '../http/request-context.js';

/** The principal behind the request; the guard has made sure that there is one. */
export const Actor = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => {
  const { principal } = contextOf(context.switchToHttp().getRequest<Request>());
  if (principal === undefined) throw new Error('a route that needs an actor is public');
  return principal;
});
