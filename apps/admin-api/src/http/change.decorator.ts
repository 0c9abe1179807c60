import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { readPrecondition, type Precondition } from './conditional.js';
import { reasonHeader } from './reason.js';
import { contextOf } from './request-context.js';

/** Who changes something, and why. */
export interface Change {
  readonly actor: string;
  readonly reason: string | undefined;
  /** Only where the route can be tried first. */
  readonly dryRun?: boolean;
}

/** And which state the change is based on. */
export interface ConditionalChange extends Change {
  readonly condition: Precondition;
}

/** For what begins to exist. */
export const NewChange = createParamDecorator((_data: unknown, context: ExecutionContext): Change => {
  return changeOf(context.switchToHttp().getRequest<Request>());
});

/** For what is done to something that exists: `If-Match` may say which state is meant. */
export interface MatchedChange extends Change {
  readonly ifMatch: string | undefined;
}

export const VerbChange = createParamDecorator((_data: unknown, context: ExecutionContext): MatchedChange => {
  const request = context.switchToHttp().getRequest<Request>();
  return { ...changeOf(request), ifMatch: request.get('if-match') };
});

/** For what exists: a request without `If-Match` is refused. */
export const BasedChange = createParamDecorator((_data: unknown, context: ExecutionContext): ConditionalChange => {
  const request = context.switchToHttp().getRequest<Request>();
  // Looked at when it is needed: what else is wrong with the request is told first.
  return {
    ...changeOf(request),
    get condition() {
      return readPrecondition(request.get('if-match'), request.get('if-none-match'));
    },
  };
});

function changeOf(request: Request): Change {
  const { principal } = contextOf(request);
  if (principal === undefined) throw new Error('a route that changes something is public');
  const dryRun = request.query['dryRun'] === 'true' ? { dryRun: true } : {};
  return { actor: principal.name, reason: reasonHeader(request), ...dryRun };
}
