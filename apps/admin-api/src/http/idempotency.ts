import { createHash } from 'node:crypto';
import {
  applyDecorators,
  Inject,
  Injectable,
  SetMetadata,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiHeader } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { catchError, from, mergeMap, of, type Observable } from 'rxjs';
import { OperationalError, type IdempotentRequest } from '#database';
import { bearerKey } from '../auth/bearer-key.js';
import { DatabaseAccess } from '../database-access.js';
import { Problem } from './problem.js';
import { contextOf } from './request-context.js';
import { openAnswer, sealAnswer, type KeptAnswer } from './sealed-answer.js';
import { invalidRequest } from './validation.js';

const IDEMPOTENT = 'postern:idempotent';
/** Longer than any request lasts. */
const UNDER_WAY_MS = 120_000;
const KEPT_HEADERS = ['ETag', 'Location'];

/** A POST that is done once however often it is sent, when the caller gives it a key. */
export function Idempotent(): MethodDecorator {
  return applyDecorators(
    SetMetadata(IDEMPOTENT, true),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      schema: { type: 'string', maxLength: 255 },
      description: 'A text of your choice, new for each thing to do. Sent again within a day, it is done once.',
    }),
  );
}

/** What one request is about. */
interface Asked {
  readonly id: IdempotentRequest;
  readonly bearer: string;
  readonly response: Response;
}

@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler<unknown>): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<Request>();
    const header = request.get('idempotency-key');
    const { principal } = contextOf(request);
    const bearer = bearerKey(request.get('authorization'));
    const marked = this.reflector.get<boolean | undefined>(IDEMPOTENT, context.getHandler()) === true;
    if (!marked || header === undefined || principal === undefined || bearer === undefined) return next.handle();
    const id = { apiKey: principal.keyId, key: readKey(header) };
    const asked = { id, bearer, response: context.switchToHttp().getResponse<Response>() };
    const begun = await this.database.current.idempotency.begin(id, fingerprintOf(request));
    switch (begun.kind) {
      case 'new':
        return this.#once(asked, next);
      case 'answered':
        return of(replay(asked, openAnswer(begun.answer, bearer, id.key)));
      case 'another':
        throw new Problem('idempotency-key-reused', 'this `Idempotency-Key` came with another request before');
      case 'unfinished':
        throw unfinished(begun.startedAt);
    }
  }

  #once({ id, bearer, response }: Asked, next: CallHandler<unknown>): Observable<unknown> {
    return next.handle().pipe(
      mergeMap(async (body) => {
        const answer = sealAnswer(
          { status: response.statusCode, headers: keptHeaders(response), body },
          bearer,
          id.key,
        );
        await this.#quietly(() => this.database.current.idempotency.finish(id, answer));
        return body;
      }),
      catchError((error: unknown) => from(this.#failed(id, error))),
    );
  }

  /** What was refused did nothing. What may have been done stays unfinished, and is not done again. */
  async #failed(id: IdempotentRequest, error: unknown): Promise<never> {
    const unsure = error instanceof OperationalError && !error.outcomeKnown;
    if (!unsure) await this.#quietly(() => this.database.current.idempotency.forget(id));
    throw error;
  }

  /** The work is done; that the answer cannot be kept does not undo it. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
    }
  }
}

/** The draft has a quoted string; a bare one is common, and means the same. */
function readKey(header: string): string {
  const key = /^"(.*)"$/u.exec(header.trim())?.[1] ?? header.trim();
  if (/^[\x21-\x7e]{1,255}$/u.test(key)) return key;
  const message = 'the header `Idempotency-Key` must be 1 to 255 printable characters without blanks';
  throw invalidRequest([{ code: 'invalid-header', message }]);
}

/** The same for requests that ask for the same. */
function fingerprintOf(request: Request): Buffer {
  const asked = [request.method, request.originalUrl, request.get('if-match'), contextOf(request).text];
  return createHash('sha256').update(JSON.stringify(asked)).digest();
}

function keptHeaders(response: Response): Record<string, string> {
  const entries = KEPT_HEADERS.flatMap((name) => {
    const value = response.getHeader(name);
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(entries);
}

function replay({ response }: Asked, { status, headers, body }: KeptAnswer): unknown {
  response.status(status).set({ ...headers, 'Idempotent-Replayed': 'true' });
  return body;
}

function unfinished(startedAt: Date): Problem {
  if (Date.now() - startedAt.getTime() < UNDER_WAY_MS) {
    return new Problem('conflict', 'the first request with this `Idempotency-Key` is still under way', [], {
      'Retry-After': '1',
    });
  }
  const detail = `the request with this \`Idempotency-Key\` of ${startedAt.toISOString()} was cut off; find out whether it took effect, then use another key`;
  return new Problem('conflict', detail);
}
