import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { publicId } from '#audit';
import { newId } from '#database';
import type { Logger } from 'pino';
import type { Role } from '../auth/roles.js';

/** Who asks: the API key that came with the request. */
export interface Principal {
  readonly keyId: string;
  readonly name: string;
  readonly role: Role;
}

interface RequestContext {
  readonly trace: string;
  principal?: Principal;
  /** Why it could not be found out who asks. */
  authenticationFault?: Error;
  /** Raw body, well-formed UTF-8, no byte order mark; absent when there was none. */
  text?: string;
}

const contexts = new WeakMap<object, RequestContext>();

/** Gives each request a trace id, answered as `X-Request-Id` and in every problem, and logs how it ended. */
export function requestContext(logger: Logger): RequestHandler {
  return (request: Request, response: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    const trace = publicId('req', newId());
    contexts.set(request, { trace });
    response.setHeader('X-Request-Id', trace);
    response.on('close', () => {
      const { method, path } = request;
      const status = response.writableFinished ? response.statusCode : undefined;
      const tookMs = Math.round(performance.now() - startedAt);
      logger.info({ trace, method, path, status, tookMs, actor: contexts.get(request)?.principal?.name }, 'request');
    });
    next();
  };
}

export function contextOf(request: Request): RequestContext {
  const context = contexts.get(request);
  if (context === undefined) throw new Error('the request has no context: middleware is missing');
  return context;
}

/** '' for a request that failed before it had a context. */
export function requestTrace(request: Request): string {
  return contexts.get(request)?.trace ?? '';
}
