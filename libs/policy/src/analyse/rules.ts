/** P2: a rule that says what an earlier one says, and an `unless` that can never be true. */
import { evaluateCondition } from '../conditions.js';
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Condition, Rule, RoutingRule } from '../program.js';
import { Scope } from '../scope.js';
import { createSnapshot } from '../snapshot.js';
import { YES } from '../tri.js';
import type { FactValue } from '../types.js';
import { factPoints } from './fact-points.js';
import { OpenLists } from './points.js';

export function analyseRules(policy: CompiledPolicy, findings: Findings): void {
  const { acl, routing } = policy.program;
  for (const rules of Object.values(acl)) reportDuplicates(rules, findings);
  for (const rule of [...Object.values(acl).flat(), ...routing]) reportIdleExceptions(policy, rule, findings);
}

/** Where the earlier one has a verdict that counts, the later one can never match: that is P1. */
function reportDuplicates(rules: readonly Rule[], findings: Findings): void {
  const seen = new Map<string, Rule>();
  for (const rule of rules) {
    if (doesNothing(rule)) continue; // what it was to do is a fault of its own
    const said = whatItSays(rule);
    const before = seen.get(said);
    if (before === undefined) {
      seen.set(said, rule);
    } else if (before.verdict === undefined || before.monitor || before.expiresAtMs !== undefined) {
      findings.warns('P2', rule.pointer, `rule \`${rule.id}\` says the same as \`${before.id}\` before it`);
    }
  }
}

function doesNothing({ verdict, tags, headers, addRecipients, redirect }: Rule): boolean {
  return verdict === undefined && redirect === undefined && tags.length + headers.length + addRecipients.length === 0;
}

function whatItSays({ id: _id, pointer: _pointer, when, unless, tags, ...rest }: Rule): string {
  const texts = (conditions: readonly Condition[]): readonly string[] => conditions.map(({ text }) => text).sort();
  const { verdict, reply, onUnknown, monitor, expiresAtMs, answer, queue, headers, addRecipients, redirect } = rest;
  return JSON.stringify([
    texts(when),
    texts(unless),
    [...tags].sort(),
    { verdict, reply, onUnknown, monitor, expiresAtMs, answer, queue, headers, addRecipients, redirect },
  ]);
}

function reportIdleExceptions(policy: CompiledPolicy, rule: Rule | RoutingRule, findings: Findings): void {
  for (const exception of rule.unless) {
    const when = rule.when.find((condition) => condition.fact === exception.fact);
    if (when === undefined || !isIdle(policy, when, exception)) continue;
    findings.warns(
      'P2',
      joinPointer(rule.pointer, 'unless', exception.fact.name),
      `\`unless ${exception.text}\` of rule \`${rule.id}\` can never be true, \`when ${when.text}\` excludes it`,
    );
  }
}

/**
 * Whether the exception holds for no value for which `when` holds, which it does for some. Only facts of one value whose
 * sets can be cut into cells are looked at; of others nothing is said.
 */
function isIdle(policy: CompiledPolicy, when: Condition, exception: Condition): boolean {
  const { fact } = when;
  const isClient = fact.name === 'client';
  if (fact.multiple === true || (!isClient && !CUT.has(fact.type)) || fact.name === 'tag') return false;
  const open = new OpenLists(policy);
  const snapshot = { ...createSnapshot(policy), slots: open.slots() };
  const names = policy.program.clients.map(({ name }) => ({ value: name, memberOf: new Set<number>() }));
  const points = isClient ? names : factPoints(policy, fact, [when, exception]);
  let isMet = false;
  for (const { value, memberOf } of [...points, ABSENT]) {
    open.clear();
    if (typeof value === 'string') open.place(value, memberOf);
    const scope = new Scope(snapshot, value === undefined || isClient ? {} : { [fact.name]: value });
    if (isClient && typeof value === 'string') scope.client = value;
    if (evaluateCondition(scope, when) !== YES) continue;
    if (evaluateCondition(scope, exception) === YES) return false;
    isMet = true;
  }
  return isMet;
}

const CUT: ReadonlySet<string> = new Set(['network', 'domain', 'enum', 'boolean', 'number', 'size']);
const ABSENT: { readonly value: FactValue | undefined; readonly memberOf: ReadonlySet<number> } = {
  value: undefined,
  memberOf: new Set(),
};
