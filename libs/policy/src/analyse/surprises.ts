/** P4: refusals that follow from what is not known. P6: the null sender where a condition says "not ours". Hints only. */
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import type { Condition, Rule } from '../program.js';

export function reportSurprises(policy: CompiledPolicy, findings: Findings): void {
  for (const rule of Object.values(policy.program.acl).flat()) {
    if (rule.verdict === undefined || rule.verdict === 'accept' || rule.monitor) continue;
    reportLookUps(rule, findings);
    reportNullSender(rule, findings);
  }
}

function reportLookUps({ id, when, unless, onUnknown }: Rule, findings: Findings): void {
  if (onUnknown !== 'defer') return;
  for (const { fact, pointer, text } of [...when, ...unless]) {
    if (fact.fetched !== true) continue;
    const message = `rule \`${id}\` defers mail while \`${text}\` can not be looked up, \`on-unknown: skip\` goes on without it`;
    findings.informs('P4', pointer, message);
  }
}

/** Bounces come from it; nobody thinks of them when writing `not`. */
function reportNullSender({ id, when }: Rule, findings: Findings): void {
  if (when.some(saysNull)) return;
  const not = when.find(
    ({ fact, negated, none }) => /^sender(?:\.domain|\.local)?$/.test(fact.name) && negated && !none,
  );
  if (not === undefined) return;
  const message = `\`${not.text}\` of rule \`${id}\` holds for the null sender too, which bounces have, \`sender.null: false\` leaves them out`;
  findings.informs('P6', not.pointer, message);
}

function saysNull({ fact }: Condition): boolean {
  return fact.name === 'sender.null';
}
