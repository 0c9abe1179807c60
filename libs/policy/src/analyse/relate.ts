/** How two sets of conditions stand to each other: disjoint, one inside the other, or across. Exact. */
import { evaluateCondition } from '../conditions.js';
import type { CompiledPolicy } from '../compiled.js';
import type { Condition } from '../program.js';
import { Scope } from '../scope.js';
import { createSnapshot, type Snapshot } from '../snapshot.js';
import { YES } from '../tri.js';
import type { FactDefinition } from '../vocabulary.js';
import { factPoints } from './fact-points.js';
import { OpenLists } from './points.js';

export interface Relation {
  readonly disjoint: boolean;
  readonly firstInSecond: boolean;
  readonly secondInFirst: boolean;
  /** Facts that meet both, `ip 10.0.0.0, listener internal`; empty when there are none. */
  readonly example: string;
}

interface PerFact {
  readonly common: string | undefined;
  readonly firstInSecond: boolean;
  readonly secondInFirst: boolean;
}

/**
 * Conditions on different facts are independent, so each fact can be looked at alone: the products are disjoint when
 * one factor is, and contained when all are.
 */
export function relate(policy: CompiledPolicy, first: readonly Condition[], second: readonly Condition[]): Relation {
  const facts = new Map([...first, ...second].map((condition) => [condition.fact.name, condition.fact]));
  const world = worldOf(policy);
  const each = [...facts.values()].map((fact) => relateFact(world, fact, first, second));
  const disjoint = each.some((fact) => fact.common === undefined);
  return {
    disjoint,
    firstInSecond: each.every((fact) => fact.firstInSecond),
    secondInFirst: each.every((fact) => fact.secondInFirst),
    example: disjoint ? '' : each.map((fact) => fact.common ?? '').join(', '),
  };
}

interface World {
  readonly policy: CompiledPolicy;
  readonly snapshot: Snapshot;
  readonly open: OpenLists;
}

/** Made once for a policy: it is asked about many pairs. */
const WORLDS = new WeakMap<CompiledPolicy, World>();

function worldOf(policy: CompiledPolicy): World {
  const known = WORLDS.get(policy);
  if (known !== undefined) return known;
  const open = new OpenLists(policy);
  const world = { policy, open, snapshot: { ...createSnapshot(policy), slots: open.slots() } };
  WORLDS.set(policy, world);
  return world;
}

function relateFact(
  use: World,
  fact: FactDefinition,
  first: readonly Condition[],
  second: readonly Condition[],
): PerFact {
  const on = (conditions: readonly Condition[]): readonly Condition[] =>
    conditions.filter((condition) => condition.fact === fact);
  const [inFirst, inSecond] = [on(first), on(second)];
  let common: string | undefined;
  let firstInSecond = true;
  let secondInFirst = true;
  for (const { value, memberOf } of factPoints(use.policy, fact, [...inFirst, ...inSecond])) {
    use.open.clear();
    if (typeof value === 'string') use.open.place(value, memberOf);
    const scope = new Scope(use.snapshot, value === undefined ? {} : { [fact.name]: value });
    const a = inFirst.every((condition) => evaluateCondition(scope, condition) === YES);
    const b = inSecond.every((condition) => evaluateCondition(scope, condition) === YES);
    if (a && b)
      common ??= `${fact.name} ${typeof value === 'string' ? value : value === undefined ? 'absent' : JSON.stringify(value)}`;
    if (a && !b) firstInSecond = false;
    if (b && !a) secondInFirst = false;
  }
  return { common, firstInSecond, secondInFirst };
}
