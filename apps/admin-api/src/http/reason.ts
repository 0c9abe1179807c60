import type { Request } from 'express';
import { invalidRequest } from './validation.js';

export const MAX_REASON_LENGTH = 500;

/** Why a change is made, from the header `Reason` (UTF-8); kept in the audit. */
export function reasonHeader(request: Request): string | undefined {
  const octets = request.get('reason');
  if (octets === undefined || octets.trim() === '') return undefined;
  const reason = decode(Buffer.from(octets, 'latin1')); // Node gives header octets as Latin-1
  if (reason === undefined || reason.length > MAX_REASON_LENGTH) {
    const message = `the header \`Reason\` must be UTF-8 text of at most ${MAX_REASON_LENGTH} characters`;
    throw invalidRequest([{ code: 'invalid-header', message }]);
  }
  return reason;
}

function decode(octets: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets).trim();
  } catch {
    return undefined;
  }
}
