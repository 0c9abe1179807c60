/** P2: rules of one phase that change the same field of the header, or redirect: of those that hold the last one counts. */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Rule } from '../program.js';
import { relate } from './relate.js';

export function analyseEffects(policy: CompiledPolicy, findings: Findings): void {
  const { rcpt, message } = policy.program.acl;
  for (const rules of [rcpt, message]) {
    const earlier = new Map<string, Rule[]>();
    for (const rule of rules) reportOverriding(policy, rule, earlier, findings);
  }
}

/** `earlier`: rules by what they change. */
function reportOverriding(policy: CompiledPolicy, rule: Rule, earlier: Map<string, Rule[]>, findings: Findings): void {
  for (const [change, what] of changesOf(rule)) {
    const others = earlier.get(change) ?? [];
    for (const other of others) reportOverridden(policy, { earlier: other, rule, what }, findings);
    // Nothing comes after a verdict.
    if (rule.verdict === undefined) earlier.set(change, [...others, rule]);
  }
}

/** What of the message the rule changes, and in words. */
function changesOf(rule: Rule): ReadonlyMap<string, string> {
  const changes = new Map<string, string>();
  if (rule.monitor) return changes;
  for (const { name } of rule.headers) changes.set(`header ${name.toLowerCase()}`, `changes the field \`${name}\``);
  if (rule.redirect !== undefined) changes.set('redirect', 'redirects');
  return changes;
}

function reportOverridden(
  policy: CompiledPolicy,
  { earlier, rule, what }: { readonly earlier: Rule; readonly rule: Rule; readonly what: string },
  findings: Findings,
): void {
  if (areDisjoint(policy, earlier, rule)) return;
  findings.warns(
    'P2',
    joinPointer(rule.pointer),
    `rule \`${rule.id}\` ${what} like \`${earlier.id}\` before it: where both hold, only the later one counts`,
  );
}

function areDisjoint(policy: CompiledPolicy, earlier: Rule, rule: Rule): boolean {
  if (excludes(earlier, rule) || excludes(rule, earlier)) return true;
  // Facts with several values can meet two conditions that exclude each other.
  const single = ({ when }: Rule): Rule['when'] =>
    when.filter(({ fact }) => fact.multiple !== true && fact.type !== 'address' && fact.type !== 'word');
  return relate(policy, single(earlier), single(rule)).disjoint;
}

/** What one asks for is what the other makes an exception of. */
function excludes(one: Rule, other: Rule): boolean {
  return one.when.some(({ text }) => other.unless.some((exception) => exception.text === text));
}
