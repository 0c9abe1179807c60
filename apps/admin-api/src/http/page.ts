import type { Request, Response } from 'express';
import { invalidRequest } from './validation.js';

export interface Page<Entry> {
  readonly data: readonly Entry[];
  /** Cursor for the entries after these; absent at the end. */
  readonly next?: string;
}

/** A cursor is opaque to callers: base64url, so that nobody builds one by hand. */
export function writeCursor(position: string): string {
  return Buffer.from(position, 'utf8').toString('base64url');
}

/** The position in a cursor of ours; `isPosition` says what the resource's positions look like. */
export function readCursor(after: string | undefined, isPosition: (text: string) => boolean): string | undefined {
  if (after === undefined) return undefined;
  const position = Buffer.from(after, 'base64url').toString('utf8');
  if (writeCursor(position) === after && isPosition(position)) return position;
  const message = '`after` must be the `next` of an answer before';
  throw invalidRequest([{ code: 'invalid-field', pointer: '/after', message }]);
}

/** Adds `Link: <…>; rel="next"` (RFC 8288) with the same filters. */
export function linkNext(request: Request, response: Response, next: string | undefined): void {
  if (next === undefined) return;
  const url = new URL(request.originalUrl, 'http://localhost');
  url.searchParams.set('after', next);
  response.setHeader('Link', `<${url.pathname}${url.search}>; rel="next"`);
}
