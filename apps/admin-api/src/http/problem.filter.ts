import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Logger } from 'pino';
import { OperationalError } from '#database';
import { allowedMethods } from './allowed-methods.js';
import { Problem, type ProblemKey } from './problem.js';
import { requestTrace } from './request-context.js';

const BY_STATUS: ReadonlyMap<number, ProblemKey> = new Map([
  [400, 'invalid-request'],
  [401, 'unauthenticated'],
  [403, 'forbidden'],
  [404, 'not-found'],
  [406, 'not-acceptable'],
  [409, 'conflict'],
  [413, 'body-too-large'],
  [415, 'unsupported-media-type'],
]);

/** Every exception becomes problem+json here. What a caller did not cause is logged with its stack, and told as an id only. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    const trace = requestTrace(request);
    const problem = problemOf(error, request);
    if (problem.status >= 500) this.logger.error({ err: error, trace, path: request.path }, problem.detail);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(problem.status).set(problem.headers).type('application/problem+json');
    response.send(JSON.stringify(problem.body(trace)));
  }
}

function problemOf(error: unknown, request: Request): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof OperationalError) return databaseProblem(error, request.method);
  if (error instanceof URIError) return new Problem('invalid-request', 'the address has a malformed `%` escape');
  const status = statusOf(error);
  if (status === 404) return nothingThere(request);
  const key = status === undefined ? undefined : BY_STATUS.get(status);
  if (key !== undefined) return new Problem(key, 'the request cannot be read');
  return unforeseenProblem(error);
}

/** Of a fault that the caller did not cause. */
export function unforeseenProblem(error: unknown): Problem {
  if (error instanceof OperationalError) return databaseProblem(error, '');
  return new Problem('internal', 'an unexpected fault; the log of the admin API has it under this trace');
}

/** No route was found: the address is unknown, or only the method. */
function nothingThere(request: Request): Problem {
  const allowed = allowedMethods(request);
  if (allowed.length === 0) return new Problem('not-found', 'there is nothing at this address');
  const methods = allowed.map((method) => `\`${method}\``).join(', ');
  return new Problem('method-not-allowed', `this address knows only ${methods}`, [], { Allow: allowed.join(', ') });
}

function databaseProblem(error: OperationalError, method: string): Problem {
  if (error.code === 'data-refused') {
    return new Problem('invalid-request', 'a value has a character that cannot be kept, such as NUL');
  }
  const unsure = error.outcomeKnown || method === 'GET' ? '' : '; it is not known whether a change was made';
  return new Problem('database-unavailable', `the database does not answer at the moment${unsure}`, [], {
    'Retry-After': '1',
  });
}

/** Nest's exceptions and those of Express' own parts, which carry a `status`. */
function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number') {
    return error.status;
  }
  return undefined;
}
