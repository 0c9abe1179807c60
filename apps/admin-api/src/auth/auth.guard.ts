import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { Problem } from '../http/problem.js';
import { contextOf } from '../http/request-context.js';
import { mayAct, ROUTE_ACCESS, type RouteAccess } from './roles.js';

/** Lets through what is marked public, or came with a valid key of a sufficient role. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(@Inject(Reflector) private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const marks = [context.getHandler(), context.getClass()];
    const needed = this.reflector.getAllAndOverride<RouteAccess | undefined>(ROUTE_ACCESS, marks) ?? 'admin';
    if (needed === 'public') return true;
    const request = context.switchToHttp().getRequest<Request>();
    const { principal, authenticationFault } = contextOf(request);
    if (authenticationFault !== undefined) throw authenticationFault;
    if (principal === undefined) throw unauthenticated(request.get('authorization') !== undefined);
    if (mayAct(principal.role, needed)) return true;
    throw new Problem('forbidden', `this needs a key with the role \`${needed}\`; this one has \`${principal.role}\``);
  }
}

/** The same answer for a key that is malformed, unknown, expired or revoked. */
function unauthenticated(hadKey: boolean): Problem {
  const detail = hadKey
    ? 'the API key is not valid, has expired or was revoked'
    : 'send `Authorization: Bearer <API key>`';
  const challenge = hadKey ? 'Bearer realm="postern", error="invalid_token"' : 'Bearer realm="postern"';
  return new Problem('unauthenticated', detail, [], { 'WWW-Authenticate': challenge });
}
