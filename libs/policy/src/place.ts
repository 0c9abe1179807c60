/**
 * Where accepted mail goes: redirect, recipient verification, routing, copies and added recipients. Routing never sees
 * content: what it says after the final dot differs from what it said at RCPT TO only by tags and by a redirect.
 */
import { ruleHolds } from './conditions.js';
import { isExpired, UNKNOWN_REPLY, type Outcome } from './decide.js';
import { unknownRule } from './outcomes.js';
import type { RoutingRule } from './program.js';
import { candidates } from './rule-index.js';
import type { Scope } from './scope.js';
import { withSignatures } from './sign.js';
import { traceStep } from './trace.js';
import { recipientReasons } from './trace-reasons.js';
import { triOf, UNKNOWN, YES } from './tri.js';
import type { AddedRecipient, DecisionReply, SigningKeyUse } from './types.js';

/** An outcome for one recipient with what follows from it. */
export interface Placed extends Outcome {
  readonly route?: string;
  readonly added?: readonly AddedRecipient[];
  readonly signatures?: readonly SigningKeyUse[];
  readonly seal?: SigningKeyUse;
}

export const NO_SUCH_RECIPIENT: DecisionReply = { code: 550, enhanced: '5.1.1', text: 'No such recipient here' };
const NO_ROUTE: DecisionReply = { code: 451, enhanced: '4.4.4', text: 'No route for this recipient, try again later' };

/** rcpt rules and rewriting do not run again for the target of a redirect; verification and routing see it. */
export function placeAccepted(scope: Scope, accepted: Outcome): Placed {
  if (scope.redirect !== undefined) {
    const { address, by } = scope.redirect;
    traceStep(scope, { stage: 'redirect', id: by, result: YES, effect: `recipient becomes ${address}` });
    scope.recipient = address;
  }
  const unverified = verifyRecipient(scope);
  if (unverified !== undefined) return unverified;
  const routed = routeOutcome(scope, accepted);
  return routed.verdict === 'accept' ? withSignatures(scope, withAdded(scope, routed)) : routed;
}

function verifyRecipient(scope: Scope): Outcome | undefined {
  const known = scope.read('recipient.known');
  if (known === undefined || (known === true && scope.trace === undefined)) return undefined;
  const result = typeof known === 'object' ? UNKNOWN : triOf(known === true);
  const step = { stage: 'recipients', id: 'builtin/no-such-recipient', result, effect: 'recipient is known' };
  traceStep(scope, { ...step, because: () => recipientReasons(scope) });
  if (known === true) return undefined;
  return typeof known === 'object'
    ? { ...deferred('builtin/recipient-unverified', UNKNOWN_REPLY), unknown: 'recipient.known' }
    : { verdict: 'reject', by: 'builtin/no-such-recipient', reply: NO_SUCH_RECIPIENT, answer: 'now' };
}

function deferred(by: string, reply: DecisionReply): Outcome {
  return { verdict: 'defer', by, reply, answer: 'now' };
}

/** First match; a rule that can not be decided defers, it is never passed over. */
export function routeOutcome(scope: Scope, accepted: Outcome): Placed {
  for (const rule of routingRules(scope)) {
    if (isExpired(scope, rule.expiresAtMs)) {
      traceStep(scope, { stage: 'routing', id: rule.id, result: 'expired' });
      continue;
    }
    if (rule.id === scope.overridden) {
      traceStep(scope, { stage: 'routing', id: rule.id, result: 'overridden' });
      continue;
    }
    const holds = ruleHolds(scope, rule);
    const effect = `route ${rule.route}`;
    traceStep(scope, { stage: 'routing', id: rule.id, result: holds, effect, when: rule.when, unless: rule.unless });
    if (holds === YES) {
      scope.reached?.add(rule.id);
      return { verdict: 'accept', by: accepted.by, answer: 'now', route: rule.route };
    }
    if (holds === UNKNOWN) return unknownRule(scope, rule);
  }
  traceStep(scope, { stage: 'routing', id: 'builtin/no-route', result: triOf(true), effect: 'defer' });
  return deferred('builtin/no-route', NO_ROUTE);
}

/** Who asks for steps wants to see every rule. */
function* routingRules(scope: Scope): Generator<RoutingRule> {
  const { routing, routingIndex } = scope.snapshot.policy.program;
  if (routingIndex === undefined || scope.trace !== undefined) {
    yield* routing;
    return;
  }
  for (const position of candidates(routingIndex, scope)) {
    const rule = routing[position];
    if (rule !== undefined) yield rule;
  }
}

/** Added recipients are routed as if they were the recipient. */
function withAdded(scope: Scope, routed: Placed): Placed {
  const { copies } = scope.snapshot.policy.program;
  if (copies.length === 0 && scope.addRecipients.length === 0) return routed;
  const added: AddedRecipient[] = [];
  const before = scope.recipient;
  for (const { address, by } of scope.addRecipients) {
    if (address === before || added.some((other) => other.address === address)) continue;
    scope.recipient = address;
    const target = routeOutcome(scope, routed);
    scope.recipient = before;
    if (target.route === undefined) return target;
    added.push({ address, route: target.route, by });
  }
  for (const copy of copies) {
    if (isExpired(scope, copy.expiresAtMs)) {
      traceStep(scope, { stage: 'copies', id: copy.id, result: 'expired' });
      continue;
    }
    const holds = ruleHolds(scope, copy);
    const effect = `copy to route ${copy.route}`;
    traceStep(scope, { stage: 'copies', id: copy.id, result: holds, effect, when: copy.when, unless: copy.unless });
    if (holds === UNKNOWN) return unknownRule(scope, copy);
    if (holds === YES && typeof before === 'string') {
      scope.reached?.add(copy.id);
      added.push({ address: before, route: copy.route, by: copy.id });
    }
  }
  return { ...routed, added };
}
