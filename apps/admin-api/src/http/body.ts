import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { parseJson, refuseReservedNames } from './json.js';
import { Problem } from './problem.js';
import { contextOf } from './request-context.js';

/** Bodies other than policies are small objects. */
const MAX_JSON_BYTES = 64 * 1024;

const JSON_TYPES = ['application/json', 'application/*+json'];
const YAML_TYPES = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

/** True for the resources whose body is a policy: text, kept as it was written. */
function takesPolicy({ method, path }: Request): boolean {
  if (path === '/v1/policies:check' || /^\/v1\/policies\/[^/]+\/?$/u.test(path)) return true;
  return method === 'PUT' && /^\/v1\/policies\/[^/]+\/drafts\/[^/]+\/?$/u.test(path);
}

/** True where the body may be larger than memory: its resource reads it, line by line. */
function isStreamed({ method, path }: Request): boolean {
  return method === 'POST' && /^\/v1\/lists\/[^/]+\/entries:import\/?$/u.test(path);
}

/** True where policies, parts of them or messages come inside of JSON. */
function takesPart({ path }: Request): boolean {
  return path.startsWith('/v1/policies/') || /^\/v1\/simulations\/?$/u.test(path);
}

/**
 * Reads the body of requests that carry a key: octets up to a limit, well-formed UTF-8, JSON unless it is a policy.
 * Compressed bodies are refused, so that a small one cannot become a large one.
 */
export function bodyReader(maxPolicyBytes: number): RequestHandler {
  const readPolicy = express.raw({ type: () => true, limit: maxPolicyBytes, inflate: false });
  const readJson = express.raw({ type: () => true, limit: MAX_JSON_BYTES, inflate: false });
  return (request: Request, response: Response, next: NextFunction): void => {
    if (contextOf(request).principal === undefined) {
      next();
      return;
    }
    refuseReservedNames(request.query, []);
    if (isStreamed(request)) {
      next();
      return;
    }
    const policy = takesPolicy(request);
    const large = policy || takesPart(request);
    const read = large ? readPolicy : readJson;
    read(request, response, (error?: unknown) => {
      if (error !== undefined) {
        next(bodyProblem(error, large ? maxPolicyBytes : MAX_JSON_BYTES));
        return;
      }
      try {
        takeBody(request, policy);
        next();
      } catch (fault) {
        next(fault);
      }
    });
  };
}

function bodyProblem(error: unknown, limit: number): unknown {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  if (status === 413) {
    return new Problem('body-too-large', `the body must be at most ${String(limit)} octets`, [], {
      Connection: 'close',
    });
  }
  if (status === 415) return new Problem('unsupported-media-type', 'the body must be sent without content encoding');
  if (status === 400) return new Problem('malformed-body', 'the body ended before its announced length');
  return error;
}

function takeBody(request: Request, policy: boolean): void {
  const octets: unknown = request.body;
  request.body = undefined;
  if (!Buffer.isBuffer(octets) || octets.length === 0) return;
  checkType(request, policy);
  const text = decode(octets);
  contextOf(request).text = text;
  // A policy stays text, so that its places can be told; what claims to be JSON must be JSON all the same.
  const value = policy && !request.is(JSON_TYPES) ? undefined : parseJson(text);
  if (!policy) request.body = value;
}

function checkType(request: Request, policy: boolean): void {
  const types = policy ? [...JSON_TYPES, ...YAML_TYPES] : JSON_TYPES;
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/iu.exec(request.get('content-type') ?? '')?.[1]?.toLowerCase();
  if (!request.is(types)) {
    const expected = policy ? '`application/yaml` or `application/json`' : '`application/json`';
    throw new Problem('unsupported-media-type', `the Content-Type must be ${expected}`);
  }
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8' && charset !== 'us-ascii') {
    throw new Problem('unsupported-media-type', 'the body must be UTF-8');
  }
}

function decode(octets: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw new Problem('malformed-body', 'the body must be well-formed UTF-8');
  }
}
