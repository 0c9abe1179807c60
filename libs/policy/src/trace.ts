/** The steps of a judgement, written down only when somebody asked why. */
import { evaluateCondition, foldsLocal } from './conditions.js';
import { findMember } from './members.js';
import type { Condition, Members } from './program.js';
import type { Scope } from './scope.js';
import { UNKNOWN, YES, type Tri } from './tri.js';
import type { FactValue } from './types.js';

export type StepResult = 'yes' | 'no' | 'unknown';

export interface ConditionStep {
  readonly part: 'when' | 'unless';
  readonly fact: string;
  /** As written: `sender.domain: our-domains`. */
  readonly condition: string;
  /** The fact's value; undefined = absent. */
  readonly value?: FactValue;
  readonly result: StepResult;
  /** Entry that covers the value, and its list. */
  readonly entry?: string;
  readonly list?: string;
}

export interface Step {
  /** Phase, or `client`, `senders`, `rewriting`, `relay`, `recipients`. */
  readonly stage: string;
  /** Rule id, client, builtin. */
  readonly id: string;
  readonly result: StepResult | 'expired' | 'overridden';
  /** What it did, or would have done; empty when nothing. */
  readonly effect: string;
  readonly monitor: boolean;
  readonly conditions: readonly ConditionStep[];
}

const RESULTS: Readonly<Record<Tri, StepResult>> = { 0: 'no', 1: 'yes', 2: 'unknown' };

export function stepResult(value: Tri): StepResult {
  return RESULTS[value];
}

function conditionStep(scope: Scope, part: 'when' | 'unless', condition: Condition): ConditionStep {
  const value = scope.read(condition.fact.name);
  const step: ConditionStep = {
    part,
    fact: condition.fact.name,
    condition: condition.text,
    result: stepResult(evaluateCondition(scope, condition)),
    ...(value === undefined ? {} : { value }),
  };
  const found =
    condition.set.kind === 'members' ? findAnyMember(scope, condition, condition.set.members, value) : undefined;
  return found === undefined ? step : { ...step, ...found };
}

/** The entry that covers the value, or the first of several values that an entry covers. */
function findAnyMember(
  scope: Scope,
  { fact }: Condition,
  members: Members,
  value: FactValue | undefined,
): ReturnType<typeof findMember> {
  const values = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as readonly string[]) : [];
  for (const each of values) {
    const found = findMember(scope.snapshot, members, each, foldsLocal(scope, fact, each));
    if (found !== undefined) return found;
  }
  return undefined;
}

export interface Traced {
  readonly stage: string;
  readonly id: string;
  readonly result: Tri | 'expired' | 'overridden';
  readonly effect?: string;
  readonly monitor?: boolean;
  readonly when?: readonly Condition[];
  readonly unless?: readonly Condition[];
  /** What a builtin looked at; asked only when somebody wants the steps. */
  readonly because?: () => readonly ConditionStep[];
}

/** Writes a step down. Every condition is looked at, also those that the judgement could skip. */
export function traceStep(scope: Scope, traced: Traced): void {
  if (scope.trace === undefined) return;
  const conditions = [
    ...(traced.because?.() ?? []),
    ...(traced.when ?? []).map((condition) => conditionStep(scope, 'when', condition)),
    ...(traced.unless ?? []).map((condition) => conditionStep(scope, 'unless', condition)),
  ];
  scope.trace.push({
    stage: traced.stage,
    id: traced.id,
    result: typeof traced.result === 'string' ? traced.result : stepResult(traced.result),
    effect: traced.result === YES || traced.result === UNKNOWN ? (traced.effect ?? '') : '',
    monitor: traced.monitor ?? false,
    conditions,
  });
}
