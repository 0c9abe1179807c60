/** Kleene's three values. Unknown is never taken for true, and never for false. */
export const NO = 0;
export const YES = 1;
export const UNKNOWN = 2;
export type Tri = typeof NO | typeof YES | typeof UNKNOWN;

export function triNot(value: Tri): Tri {
  return value === UNKNOWN ? UNKNOWN : value === YES ? NO : YES;
}

export function triOf(value: boolean): Tri {
  return value ? YES : NO;
}

/** One true makes it true, whatever the others are. */
export function triOr(a: Tri, b: Tri): Tri {
  return a === YES || b === YES ? YES : a === UNKNOWN || b === UNKNOWN ? UNKNOWN : NO;
}
