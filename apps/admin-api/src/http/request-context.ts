import type { Request } from 'express';

/** Who asks: the API key that came with the request. */
export interface Principal {
  readonly keyId: string;
  readonly name: string;
}

interface RequestContext {
  readonly trace: string;
  principal?: Principal;
  /** Raw body, well-formed UTF-8, no byte order mark; absent when there was none. */
  text?: string;
}

const contexts = new WeakMap<object, RequestContext>();

export function openContext(request: Request, trace: string): void {
  contexts.set(request, { trace });
}

export function contextOf(request: Request): RequestContext {
  const context = contexts.get(request);
  if (context === undefined) throw new Error('the request has no context: middleware is missing');
  return context;
}

/** '' for a request that failed before it had a context. */
export function traceOf(request: Request): string {
  return contexts.get(request)?.trace ?? '';
}
