/** `fact ∈ set`, in three values. Total: a value of a type that a fact can not have is unknown. */
import { isMember } from './members.js';
import type { Bounds, Condition, ValueSet } from './program.js';
import type { Scope } from './scope.js';
import { NO, triNot, triOf, triOr, UNKNOWN, YES, type Tri } from './tri.js';
import type { FactValue, UnknownFact } from './types.js';
import { parseIp } from './values/networks.js';
import { parseInstantMs } from './values/units.js';
import { splitAddress } from './values/addresses.js';
import type { FactDefinition } from './vocabulary.js';

export function evaluateCondition(scope: Scope, condition: Condition): Tri {
  const value = scope.read(condition.fact.name);
  const result = inSet(scope, condition, value);
  return condition.negated ? triNot(result) : result;
}

function isList(value: FactValue): value is readonly string[] | readonly number[] {
  return Array.isArray(value);
}

function inSet(scope: Scope, condition: Condition, value: FactValue | undefined): Tri {
  if (value === undefined) return triOf(condition.none && !condition.every);
  if (isList(value)) return someOrEvery(scope, condition, value);
  if (typeof value === 'object') return inPartlyKnown(scope, condition, value);
  return matchesOne(scope, condition, value);
}

function someOrEvery(scope: Scope, condition: Condition, values: readonly string[] | readonly number[]): Tri {
  if (values.length === 0) return triOf(condition.none && !condition.every);
  let some: Tri = NO;
  let every: Tri = NO; // "some value is outside", negated at the end
  for (const value of values) {
    const one = matchesOne(scope, condition, value);
    some = triOr(some, one);
    every = triOr(every, triNot(one));
  }
  return condition.every ? triNot(every) : some;
}

/** Some values are known, and of some others only that they may be values too. */
function inPartlyKnown(scope: Scope, condition: Condition, { values = [], among }: UnknownFact): Tri {
  if (among === undefined) return UNKNOWN;
  const some = (candidates: readonly string[]): boolean =>
    candidates.some((value) => matchesOne(scope, condition, value) === YES);
  if (condition.every) return values.every((value) => matchesOne(scope, condition, value) === YES) ? UNKNOWN : NO;
  if (some(values)) return YES;
  return some(among) || (condition.none && values.length === 0) ? UNKNOWN : NO;
}

function matchesOne(scope: Scope, condition: Condition, value: string | number | boolean): Tri {
  if (condition.none && value === 'none') return YES;
  return matches(scope, condition.fact, condition.set, value);
}

function matches(scope: Scope, fact: FactDefinition, set: ValueSet, value: string | number | boolean): Tri {
  switch (set.kind) {
    case 'members':
      return typeof value === 'string' ? matchesMember(scope, fact, set, value) : UNKNOWN;
    case 'any':
      return YES;
    case 'words':
      return typeof value === 'string' ? triOf(set.words.has(value)) : UNKNOWN;
    case 'booleans':
      return typeof value === 'boolean' ? triOf(set.booleans.has(value)) : UNKNOWN;
    case 'numbers':
      return typeof value === 'number' ? triOf(set.numbers.has(value)) : UNKNOWN;
    case 'bounds':
      return typeof value === 'number' ? triOf(isWithin(set.bounds, value)) : UNKNOWN;
    case 'clock':
      return typeof value === 'string' ? matchesClock(set, value) : UNKNOWN;
  }
}

function matchesMember(
  scope: Scope,
  fact: FactDefinition,
  set: Extract<ValueSet, { kind: 'members' }>,
  value: string,
): Tri {
  if (fact.type === 'network' && parseIp(value) === undefined) return UNKNOWN;
  if (fact.exact === true && value !== value.toLowerCase()) return NO;
  return isMember(scope.snapshot, set.members, value, foldsLocal(scope, fact, value));
}

/** Local parts compare without case for our own domains, and exactly for others. */
export function foldsLocal(scope: Scope, fact: FactDefinition, value: string): boolean {
  if (fact.type !== 'address') return false;
  const domain = splitAddress(value)?.domain;
  return domain !== undefined && scope.isOwnDomain(domain.toLowerCase());
}

function isWithin(bounds: Bounds, value: number): boolean {
  const aboveMin = bounds.minIncluded ? value >= bounds.min : value > bounds.min;
  return aboveMin && (bounds.maxIncluded ? value <= bounds.max : value < bounds.max);
}

export function matchesClock(set: Extract<ValueSet, { kind: 'clock' }>, value: string): Tri {
  const atMs = parseInstantMs(value);
  if (atMs === undefined) return UNKNOWN;
  const [hour = '0', minute = '0'] = set.zone.format(new Date(atMs)).split(':');
  const now = Number(hour) * 60 + Number(minute);
  return triOf(set.from < set.to ? now >= set.from && now < set.to : now >= set.from || now < set.to);
}

/** All must hold. Stops at the first that does not. */
export function allHold(scope: Scope, conditions: readonly Condition[]): Tri {
  let result: Tri = YES;
  for (const condition of conditions) {
    const one = evaluateCondition(scope, condition);
    if (one === NO) return NO;
    if (one === UNKNOWN) result = UNKNOWN;
  }
  return result;
}

/** One is enough. Stops at the first that holds. */
function anyHolds(scope: Scope, conditions: readonly Condition[]): Tri {
  let result: Tri = NO;
  for (const condition of conditions) {
    const one = evaluateCondition(scope, condition);
    if (one === YES) return YES;
    if (one === UNKNOWN) result = UNKNOWN;
  }
  return result;
}

/** `when` and not `unless`. */
export function ruleHolds(
  scope: Scope,
  rule: { readonly when: readonly Condition[]; readonly unless: readonly Condition[] },
): Tri {
  const when = allHold(scope, rule.when);
  if (when === NO || rule.unless.length === 0) return when;
  const unless = anyHolds(scope, rule.unless);
  if (unless === YES) return NO;
  return when === UNKNOWN || unless === UNKNOWN ? UNKNOWN : YES;
}

/** Why the conditions could not be decided: the first fact that is unknown. */
export function unknownIn(scope: Scope, conditions: readonly Condition[]): string | undefined {
  for (const condition of conditions) {
    if (evaluateCondition(scope, condition) !== UNKNOWN) continue;
    const value = scope.read(condition.fact.name);
    const why = typeof value === 'object' && !isList(value) ? value.unknown : `compared with \`${condition.text}\``;
    return `${condition.fact.name}: ${why}`;
  }
  return undefined;
}
