/** The facts `limit.<name>`: the state of a limit, counted by the gateway. Recorded and given in tests; no condition asks. */
import type { FactDefinition } from './fact-definition.js';

/** Stands for the family, one fact for every limit. */
export const LIMIT_FACT: FactDefinition = {
  name: 'limit.<name>',
  phase: 'connect',
  type: 'enum',
  values: ['exceeded'],
  lists: [],
  evidence: true,
  mayBeAbsent: true,
  meaning:
    'state of the limit of that name; absent while it is not exceeded. Its count is recorded beside it as `limit.<name>.count`. The limit looks at it, no condition does',
  example: 'exceeded',
};

export const LIMIT_PREFIX = 'limit.';
export const LIMIT_KEY_PATTERN = '^limit\\.[a-z0-9]+(?:-[a-z0-9]+)*$';
const LIMIT_KEY = new RegExp(LIMIT_KEY_PATTERN);

export function isLimitKey(key: string): boolean {
  return key.length <= LIMIT_PREFIX.length + 64 && LIMIT_KEY.test(key);
}

export function limitFact(key: string): FactDefinition | undefined {
  return isLimitKey(key) ? { ...LIMIT_FACT, name: key } : undefined;
}
