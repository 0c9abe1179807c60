import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { DatabaseAccess } from '../database-access.js';
import { contextOf } from '../http/request-context.js';
import { bearerKey } from './bearer-key.js';
import { isRole } from './roles.js';

/**
 * Finds out who asks, before any body is read. A request without a valid key goes on without a principal: the guard
 * refuses it if the route needs one, so that an unknown address answers the same to everybody.
 */
export function authentication(database: DatabaseAccess): RequestHandler {
  return async (request: Request, _response: Response, next: NextFunction): Promise<void> => {
    const key = bearerKey(request.get('authorization'));
    if (key !== undefined) await authenticate(request, key, database);
    next();
  };
}

async function authenticate(request: Request, key: string, database: DatabaseAccess): Promise<void> {
  const context = contextOf(request);
  try {
    const found = await database.current.apiKeys.verify(key);
    if (found !== undefined && isRole(found.role)) {
      context.principal = { keyId: found.id, name: found.name, role: found.role };
    }
  } catch (fault) {
    if (!(fault instanceof Error)) throw fault;
    context.authenticationFault = fault; // a public route answers all the same
  }
}
