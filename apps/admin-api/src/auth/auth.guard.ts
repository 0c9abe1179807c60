import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { Problem } from '../http/problem.js';
import { contextOf } from '../http/request-context.js';
import { PUBLIC_ROUTE } from './public.decorator.js';

/** Lets through what is marked public or came with a valid key. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(@Inject(Reflector) private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const open = this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC_ROUTE, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (open === true) return true;
    const request = context.switchToHttp().getRequest<Request>();
    if (contextOf(request).principal !== undefined) return true;
    throw unauthenticated(request.get('authorization') !== undefined);
  }
}

/** The same answer for a key that is malformed, unknown, expired or revoked. */
export function unauthenticated(hadKey: boolean): Problem {
  const detail = hadKey
    ? 'the API key is not valid, has expired or was revoked'
    : 'send `Authorization: Bearer <API key>`';
  const challenge = hadKey ? 'Bearer realm="postern", error="invalid_token"' : 'Bearer realm="postern"';
  return new Problem('unauthenticated', detail, [], { 'WWW-Authenticate': challenge });
}
