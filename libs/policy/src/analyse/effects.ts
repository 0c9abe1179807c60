/** P2: rules of one phase that change the same field of the header, or redirect: of those that hold the last one counts. */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Rule } from '../program.js';
import { relate } from './relate.js';

export function analyseEffects(policy: CompiledPolicy, findings: Findings): void {
  const { rcpt, message } = policy.program.acl;
  for (const rules of [rcpt, message]) {
    for (const [index, rule] of rules.entries()) {
      for (const earlier of rules.slice(0, index)) reportOverridden(policy, { earlier, rule }, findings);
    }
  }
}

function reportOverridden(
  policy: CompiledPolicy,
  { earlier, rule }: { readonly earlier: Rule; readonly rule: Rule },
  findings: Findings,
): void {
  // Nothing comes after a verdict.
  if (earlier.monitor || rule.monitor || earlier.verdict !== undefined) return;
  const names = new Set(earlier.headers.map(({ name }) => name.toLowerCase()));
  const field = rule.headers.find(({ name }) => names.has(name.toLowerCase()))?.name;
  const redirects = rule.redirect !== undefined && earlier.redirect !== undefined;
  if ((field === undefined && !redirects) || areDisjoint(policy, earlier, rule)) return;
  const what = field === undefined ? 'redirects' : `changes the field \`${field}\``;
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
