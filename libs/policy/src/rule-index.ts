/**
 * Which rules of a phase can hold at all for given facts, without looking at each of them.
 *
 * Every rule with a positive condition on exact values or lists has a guard: where none of the guard's values covers the
 * fact, the condition is false, and so is the rule. Facts are probed once, not once per rule. A guard only ever skips
 * rules that are false: what is left is evaluated in full, in the order of the document.
 */
import type { Condition, ListSlot, Rule } from './program.js';
import type { Scope } from './scope.js';
import type { NetworkKey } from './sets/packed-networks.js';
import { coveringNetworkKeys, networkKey, prefixLengthsOf } from './sets/tables.js';
import type { FactValue } from './types.js';
import { splitAddress } from './values/addresses.js';
import { parseIp } from './values/networks.js';
import type { FactDefinition } from './vocabulary.js';

/** Any rule: of an acl phase, or of routing. */
type Guarded = Pick<Rule, 'when'>;

/** Below this, walking is as fast. */
const MIN_RULES = 12;

type Key = string | NetworkKey;

/** Guards on one fact. */
interface FactIndex {
  readonly fact: FactDefinition;
  readonly byKey: Map<Key, number[]>;
  readonly bySlot: Map<number, number[]>;
  /** Every rule guarded by this fact: all are candidates when it is unknown. */
  readonly all: number[];
  readonly lengths: { readonly v4: readonly number[]; readonly v6: readonly number[] };
}

export interface RuleIndex {
  readonly unguarded: readonly number[];
  readonly facts: readonly FactIndex[];
}

function keyOf(fact: FactDefinition, text: string): Key {
  return fact.type === 'network' ? (networkKey(text) ?? text) : text.toLowerCase();
}

/** Exact keys of a condition that can guard, and slots of lists it names; undefined when it can not. */
function guardOf(
  condition: Condition,
): { readonly keys: readonly Key[]; readonly slots: readonly number[] } | undefined {
  const { fact, set } = condition;
  // Tags change while the phase is walked; a negated or `none` condition holds for values that nobody names.
  if (condition.negated || condition.none || fact.name === 'tag') return undefined;
  if (set.kind === 'words') return { keys: [...set.words].map((word) => keyOf(fact, word)), slots: [] };
  if (set.kind !== 'members') return undefined;
  return { keys: set.members.literalTexts.map((text) => keyOf(fact, text)), slots: set.members.slots };
}

/** Exact values before lists: they are the narrower guards. */
function bestGuard(rule: Guarded): Condition | undefined {
  const able = rule.when.filter((condition) => guardOf(condition) !== undefined);
  return able.find((condition) => guardOf(condition)?.slots.length === 0) ?? able[0];
}

export function buildRuleIndex(rules: readonly Guarded[], lists: readonly ListSlot[]): RuleIndex | undefined {
  if (rules.length < MIN_RULES) return undefined;
  const unguarded: number[] = [];
  const facts = new Map<string, FactIndex>();
  for (const [position, rule] of rules.entries()) {
    const condition = bestGuard(rule);
    const guard = condition === undefined ? undefined : guardOf(condition);
    if (condition === undefined || guard === undefined) {
      unguarded.push(position);
      continue;
    }
    const index = facts.get(condition.fact.name) ?? newFactIndex(condition.fact);
    facts.set(condition.fact.name, index);
    index.all.push(position);
    for (const key of guard.keys) append(index.byKey, key, position);
    for (const slot of guard.slots) if (lists[slot] !== undefined) append(index.bySlot, slot, position);
  }
  return { unguarded, facts: [...facts.values()].map(withLengths) };
}

function newFactIndex(fact: FactDefinition): FactIndex {
  return { fact, byKey: new Map(), bySlot: new Map(), all: [], lengths: { v4: [], v6: [] } };
}

function withLengths(index: FactIndex): FactIndex {
  return { ...index, lengths: prefixLengthsOf([...index.byKey.keys()].filter((key) => typeof key !== 'string')) };
}

function append<K>(map: Map<K, number[]>, key: K, position: number): void {
  const before = map.get(key);
  if (before === undefined) map.set(key, [position]);
  else before.push(position);
}

/** Positions of rules that can hold, ascending. */
export function candidates(index: RuleIndex, scope: Scope): readonly number[] {
  const found: number[] = [...index.unguarded];
  for (const fact of index.facts) collect(fact, scope, scope.read(fact.fact.name), found);
  return found.length === index.unguarded.length ? found : [...new Set(found)].sort((a, b) => a - b);
}

function collect(index: FactIndex, scope: Scope, value: FactValue | undefined, found: number[]): void {
  if (value === undefined) return;
  if (typeof value !== 'string') {
    // Unknown, several values, or of a type that the fact can not have: nothing is skipped.
    found.push(...index.all);
    return;
  }
  probe(index, value, found);
  for (const [slot, positions] of index.bySlot) {
    const matcher = scope.snapshot.slots[slot];
    if (matcher === undefined || matcher.match(value, true) !== undefined) found.push(...positions);
  }
}

function probe(index: FactIndex, value: string, found: number[]): void {
  const take = (key: Key): void => {
    const positions = index.byKey.get(key);
    if (positions !== undefined) found.push(...positions);
  };
  if (index.fact.type === 'network') {
    const ip = parseIp(value);
    if (ip === undefined) found.push(...index.all);
    else for (const key of coveringNetworkKeys(ip, index.lengths.v4, index.lengths.v6)) take(key);
    return;
  }
  const lower = value.toLowerCase();
  take(lower);
  if (index.fact.type === 'domain') {
    for (let dot = lower.indexOf('.'); dot >= 0; dot = lower.indexOf('.', dot + 1)) take(lower.slice(dot));
  } else if (index.fact.type === 'address') {
    const parts = splitAddress(lower);
    if (parts !== undefined) take(`*@${parts.domain}`);
  }
}
