import type { Request } from 'express';
import { invalidRequest } from '../http/validation.js';

/** Where the author keeps the document, from the header `Source-Commit`: a Git commit, or what else finds it. */
export function sourceCommitHeader(request: Request): string | undefined {
  const text = request.get('source-commit')?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^[\x21-\x7e]{1,200}$/u.test(text)) return text;
  const message = 'the header `Source-Commit` must be at most 200 printable characters without blanks';
  throw invalidRequest([{ code: 'invalid-header', message }]);
}
