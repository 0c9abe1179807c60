/** Mail that a rule sends to somebody else is routed by the address of that somebody. */
import { evaluateCondition } from '../conditions.js';
import type { CompiledPolicy } from '../compiled.js';
import type { Condition } from '../program.js';
import { Scope } from '../scope.js';
import { createSnapshot } from '../snapshot.js';
import { NO, YES } from '../tri.js';
import type { Flow, FlowRule } from './flow.js';
import type { Searcher } from './search.js';

/** Whether a routing rule is met by mail that some rule redirects, or adds a recipient to. */
export function canMoveTo(policy: CompiledPolicy, flow: Flow, searcher: Searcher, rule: FlowRule): boolean {
  const routing = policy.program.routing.find(({ id }) => id === rule.id);
  if (routing === undefined) return false;
  return Object.values(policy.program.acl)
    .flat()
    .some((mover) => {
      const targets = [...mover.addRecipients, ...(mover.redirect === undefined ? [] : [mover.redirect])];
      if (mover.monitor || !targets.some((target) => canHold(policy, target, routing.when, routing.unless)))
        return false;
      const moving = flow.stages.flatMap(({ rules }) => rules).find(({ id }) => id === mover.id);
      return moving !== undefined && searcher.search(moving.cases, { rule: moving }).kind === 'found';
    });
}

/** Conditions on other facts than the recipient are taken to hold. */
function canHold(
  policy: CompiledPolicy,
  target: string,
  when: readonly Condition[],
  unless: readonly Condition[],
): boolean {
  const scope = new Scope(createSnapshot(policy), { recipient: target });
  const about = (conditions: readonly Condition[]): readonly Condition[] =>
    conditions.filter(({ fact }) => fact.name === 'recipient' || /^recipient\.(?:domain|local)$/.test(fact.name));
  return (
    about(when).every((condition) => evaluateCondition(scope, condition) !== NO) &&
    !about(unless).some((condition) => evaluateCondition(scope, condition) === YES)
  );
}
