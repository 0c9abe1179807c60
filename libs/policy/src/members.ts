/** Whether a value is among literals and lists. */
import type { Members } from './program.js';
import type { Snapshot } from './snapshot.js';
import { NO, UNKNOWN, YES, type Tri } from './tri.js';

/** A list that is not loaded makes the answer unknown, unless another one says yes. */
export function isMember(snapshot: Snapshot, members: Members, value: string, foldLocal: boolean): Tri {
  if (members.literals?.match(value, foldLocal) !== undefined) return YES;
  let result: Tri = NO;
  for (const slot of members.slots) {
    const matcher = snapshot.slots[slot];
    if (matcher === undefined) result = UNKNOWN;
    else if (matcher.match(value, foldLocal) !== undefined) return YES;
  }
  return result;
}

/** The entry that covers the value, and the list it stands in. For explanations. */
export function findMember(
  snapshot: Snapshot,
  members: Members,
  value: string,
  foldLocal: boolean,
): { readonly entry: string; readonly list?: string } | undefined {
  const literal = members.literals?.match(value, foldLocal);
  if (literal !== undefined) return { entry: literal };
  for (const slot of members.slots) {
    const entry = snapshot.slots[slot]?.match(value, foldLocal);
    const list = snapshot.policy.program.lists[slot]?.name;
    if (entry !== undefined) return list === undefined ? { entry } : { entry, list };
  }
  return undefined;
}
