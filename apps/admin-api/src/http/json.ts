import { Problem, pointer } from './problem.js';
import { invalidRequest } from './validation.js';

const MAX_DEPTH = 32;

/** JSON with the place of its fault, bounded depth, and no names that every JavaScript object has. */
export function parseJson(text: string): unknown {
  const value = parse(text);
  refuseReservedNames(value, []);
  return value;
}

/** `constructor` and its like are fields of no resource; the validator takes them for known ones, or drops them. */
export function refuseReservedNames(value: unknown, path: readonly (string | number)[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (path.length > MAX_DEPTH)
    throw new Problem('malformed-body', `the body is nested deeper than ${MAX_DEPTH} levels`);
  for (const [name, inner] of Object.entries(value)) {
    const at = [...path, name];
    if (name in Object.prototype || name === 'prototype') {
      throw invalidRequest([{ code: 'unknown-field', pointer: pointer(at), message: `unknown field \`${name}\`` }]);
    }
    refuseReservedNames(inner, at);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const where = placeOf(text, faultOffset(text, error));
    const detail = `the body is not valid JSON: line ${where.line}, column ${where.column}`;
    throw new Problem('malformed-body', detail, [
      { code: 'json-syntax', message: 'not valid JSON from here on', ...where },
    ]);
  }
}

/** Where the parser stopped. It does not always say: then the shortest prefix that has the fault tells. */
function faultOffset(text: string, error: unknown): number {
  const said = saidOffset(error);
  if (said !== undefined) return Math.min(said, text.length);
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (isBroken(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return good;
}

function saidOffset(error: unknown): number | undefined {
  const position = /at position (\d+)/u.exec(error instanceof Error ? error.message : '')?.[1];
  return position === undefined ? undefined : Number(position);
}

/** True when no continuation could make the prefix valid. */
function isBroken(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return false;
  } catch (error) {
    const said = saidOffset(error);
    if (said !== undefined) return said < prefix.length;
    return !(error instanceof Error && error.message.includes('Unexpected end'));
  }
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: before.length - lineStart + 1 };
}
