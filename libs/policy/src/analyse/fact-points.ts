/** Points of one fact for a given set of conditions on it. */
import type { CompiledPolicy } from '../compiled.js';
import type { Condition, Members } from '../program.js';
import type { FactValue, ListType } from '../types.js';
import type { FactDefinition } from '../vocabulary.js';
import { domainPoints, isOpen, networkPoints, withOpenLists, type Point } from './points.js';

export type FactPoint = Point<FactValue | undefined>;

/** What is written in literals and inline lists of these members. */
export function textsOfMembers(policy: CompiledPolicy, members: Members): readonly string[] {
  return members.slots.reduce<readonly string[]>((texts, slot) => {
    const list = policy.program.lists[slot];
    if (list === undefined || list.type === 'regex') return texts;
    // An open list is a cell of its own only within its bound, so the bound's entries cut the values too.
    const bound = list.within === undefined ? list : policy.program.lists.find((each) => each.name === list.within);
    return [...texts, ...(bound?.entries ?? [])];
  }, members.literalTexts);
}

export function textsOfConditions(policy: CompiledPolicy, conditions: readonly Condition[]): readonly string[] {
  return conditions.flatMap(({ set }) => (set.kind === 'members' ? textsOfMembers(policy, set.members) : []));
}

function plain(value: FactValue | undefined): FactPoint {
  return { value, memberOf: new Set(), fresh: true };
}

function opened(
  policy: CompiledPolicy,
  points: readonly { readonly value: string; readonly fresh: boolean }[],
  types: readonly ListType[],
): FactPoint[] {
  if (!policy.program.lists.some((slot) => isOpen(slot) && types.includes(slot.type))) {
    return points.map(({ value, fresh }) => ({ value, fresh, memberOf: new Set() }));
  }
  return points.flatMap(({ value, fresh }) => withOpenLists(policy, value, fresh, types));
}

/** Points of a fact other than addresses. Absence is one of them wherever the fact can be absent. */
export function factPoints(
  policy: CompiledPolicy,
  fact: FactDefinition,
  conditions: readonly Condition[],
): FactPoint[] {
  const points = presentPoints(policy, fact, conditions);
  return fact.mayBeAbsent === true ? [plain(undefined), ...points] : points;
}

function presentPoints(policy: CompiledPolicy, fact: FactDefinition, conditions: readonly Condition[]): FactPoint[] {
  switch (fact.type) {
    case 'network':
      return opened(policy, networkPoints(textsOfConditions(policy, conditions)), ['network']);
    case 'domain':
      return opened(policy, namePoints(fact, textsOfConditions(policy, conditions)), ['domain', 'regex']);
    case 'name':
      return fact.names === 'listener' ? policy.listeners.map((listener) => plain(listener.name)) : [plain(undefined)];
    case 'enum':
      return (fact.values ?? []).map(plain);
    case 'boolean':
      return [plain(false), plain(true)];
    case 'number':
    case 'size':
      return numberPoints(conditions, fact.type === 'size');
    case 'time':
      return timePoints(conditions);
    case 'word':
      return fact.derived === true
        ? [plain(undefined)]
        : opened(policy, wordPoints(textsOfConditions(policy, conditions)), ['word', 'regex']);
    case 'address':
      return [plain(undefined)];
  }
}

/** Names nobody wrote differ per fact: two facts may have the same name, but need not. */
function namePoints(fact: FactDefinition, texts: readonly string[]): ReturnType<typeof domainPoints> {
  const points = domainPoints(texts);
  if (fact.multiple !== true) return points;
  return points.map(({ value, fresh }) => ({ value: fresh ? `${fact.name}.${value}` : value, fresh }));
}

function wordPoints(texts: readonly string[]): ReturnType<typeof domainPoints> {
  return [{ value: 'another', fresh: true }, ...[...new Set(texts)].map((value) => ({ value, fresh: false }))];
}

function numberPoints(conditions: readonly Condition[], mayBeAbsent: boolean): FactPoint[] {
  const values = new Set<number>([1]);
  for (const { set } of conditions) {
    if (set.kind === 'numbers') for (const number of set.numbers) values.add(number).add(number + 1);
    if (set.kind !== 'bounds') continue;
    for (const edge of [set.bounds.min, set.bounds.max]) {
      if (Number.isFinite(edge))
        values
          .add(edge - 1)
          .add(edge)
          .add(edge + 1);
    }
  }
  const points = [...values].filter((value) => value >= 0).map(plain);
  return mayBeAbsent ? [plain(undefined), ...points] : points;
}

/** Every minute of one day, of which those that no condition tells apart are dropped later. */
function timePoints(conditions: readonly Condition[]): FactPoint[] {
  if (conditions.length === 0) return [plain(undefined)];
  const day = Date.parse('2026-06-15T00:00:00Z');
  return Array.from({ length: 1440 }, (_, minute) => plain(new Date(day + minute * 60_000).toISOString()));
}
