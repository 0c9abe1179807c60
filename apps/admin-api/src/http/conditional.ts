import { Problem } from './problem.js';

/**
 * Which state a write is based on (RFC 9110 s13). An entity tag of ours is `"state"`, or `"state;form"` for another
 * form of the same state: a writer may have read either.
 */
export type Precondition =
  | { readonly kind: 'any' }
  | { readonly kind: 'none-exists' }
  | { readonly kind: 'one-of'; readonly states: readonly string[] };

export function entityTag(state: string, form?: string): string {
  return form === undefined ? `"${state}"` : `"${state};${form}"`;
}

/** A write without a condition is refused: two writers must not overwrite each other unseen. */
export function readPrecondition(ifMatch: string | undefined, ifNoneMatch: string | undefined): Precondition {
  if (ifMatch === undefined) {
    if (ifNoneMatch?.trim() === '*') return { kind: 'none-exists' };
    throw new Problem(
      'precondition-required',
      'send `If-Match` with the ETag that was read, or `If-None-Match: *` when nothing is there yet',
    );
  }
  if (ifMatch.trim() === '*') return { kind: 'any' };
  const states = [...ifMatch.matchAll(/(W\/)?"([^"]*)"/gu)]
    .filter((match) => match[1] === undefined)
    .map((match) => (match[2] ?? '').split(';')[0] ?? '');
  return { kind: 'one-of', states };
}

export function checkPrecondition(condition: Precondition, state: string | undefined): void {
  const holds =
    condition.kind === 'none-exists'
      ? state === undefined
      : state !== undefined && (condition.kind === 'any' || condition.states.includes(state));
  if (!holds) throw stale();
}

export function stale(): Problem {
  return new Problem(
    'precondition-failed',
    'the resource has changed since it was read; read it again and repeat the change',
  );
}
