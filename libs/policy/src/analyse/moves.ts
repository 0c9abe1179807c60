/** Mail that a rule sends to somebody else is routed by the address of that somebody. */
import { evaluateCondition } from '../conditions.js';
import type { CompiledPolicy } from '../compiled.js';
import type { Condition, RoutingRule, Rule } from '../program.js';
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
      if (mover.monitor || !targetsOf(mover).some((target) => canHold(policy, target, routing.when, routing.unless)))
        return false;
      const moving = flow.stages.flatMap(({ rules }) => rules).find(({ id }) => id === mover.id);
      return moving !== undefined && searcher.search(moving.cases, { rule: moving }).kind === 'found';
    });
}

function isAboutRecipient({ fact }: Condition): boolean {
  return fact.name === 'recipient' || /^recipient\.(?:domain|local)$/.test(fact.name);
}

/** Conditions on other facts than the recipient are taken to hold. */
function canHold(
  policy: CompiledPolicy,
  target: string,
  when: readonly Condition[],
  unless: readonly Condition[],
): boolean {
  const scope = new Scope(createSnapshot(policy), { recipient: target });
  const about = (conditions: readonly Condition[]): readonly Condition[] => conditions.filter(isAboutRecipient);
  return (
    about(when).every((condition) => evaluateCondition(scope, condition) !== NO) &&
    !about(unless).some((condition) => evaluateCondition(scope, condition) === YES)
  );
}

/** Where a rule sends mail instead of, or besides, to its recipient. */
export function targetsOf({ addRecipients, redirect }: Rule): readonly string[] {
  return redirect === undefined ? addRecipients : [...addRecipients, redirect];
}

/** The routing rules that mail for the target can take, in their order; after one that holds whatever else there is, none. */
export function routingOf(policy: CompiledPolicy, target: string): readonly RoutingRule[] {
  const taken: RoutingRule[] = [];
  for (const rule of policy.program.routing) {
    if (!canHold(policy, target, rule.when, rule.unless)) continue;
    taken.push(rule);
    if (rule.expiresAtMs === undefined && [...rule.when, ...rule.unless].every(isAboutRecipient)) break;
  }
  return taken;
}
