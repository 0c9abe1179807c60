/**
 * One phase: rules top to bottom, effects add up, the first verdict ends it. Total and synchronous.
 *
 * A rule whose conditions are unknown defers (or is skipped, or taken to match, where the rule says so). Monitor rules
 * and expired rules decide nothing.
 */
import { ruleHolds, unknownIn } from './conditions.js';
import { greylistReply } from './greylist.js';
import type { Rule } from './program.js';
import { candidates } from './rule-index.js';
import type { Scope } from './scope.js';
import { traceStep } from './trace.js';
import { NO, UNKNOWN, YES, type Tri } from './tri.js';
import type { DecisionReply, GreylistTerms, Verdict } from './types.js';
import { fillReply } from './values/replies.js';
import { durationInWords } from './values/units.js';
import type { AclPhase } from './vocabulary.js';

export interface Outcome {
  readonly verdict: Verdict;
  readonly by: string;
  readonly answer: 'now' | 'at-rcpt';
  readonly reply?: DecisionReply;
  readonly unknown?: string;
  /** Review queue, for `hold`. */
  readonly reviewQueue?: string;
  readonly greylist?: GreylistTerms;
}

/** What is said when a fact that matters is not known. */
export const UNKNOWN_REPLY: DecisionReply = {
  code: 451,
  enhanced: '4.4.3',
  text: 'Temporary lookup failure, try again later',
};

export function isExpired(scope: Scope, expiresAtMs: number | undefined): boolean {
  if (expiresAtMs === undefined) return false;
  const nowMs = scope.nowMs();
  return nowMs !== undefined && nowMs >= expiresAtMs;
}

/** The phase's verdict, or undefined when no rule had one. Tags are added to the scope. */
export function runPhase(scope: Scope, phase: AclPhase): Outcome | undefined {
  const { acl, aclIndex } = scope.snapshot.policy.program;
  const rules = acl[phase];
  const index = aclIndex[phase];
  // Who asks for steps wants to see every rule.
  if (index === undefined || scope.trace !== undefined) {
    for (const rule of rules) {
      const outcome = runRule(scope, phase, rule);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }
  for (const position of candidates(index, scope)) {
    const rule = rules[position];
    const outcome = rule === undefined ? undefined : runRule(scope, phase, rule);
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

function runRule(scope: Scope, phase: AclPhase, rule: Rule): Outcome | undefined {
  if (isExpired(scope, rule.expiresAtMs)) {
    traceStep(scope, { stage: phase, id: rule.id, result: 'expired' });
    return undefined;
  }
  if (rule.id === scope.overridden) {
    traceStep(scope, { stage: phase, id: rule.id, result: 'overridden' });
    return undefined;
  }
  const holds = ruleHolds(scope, rule);
  if (scope.trace !== undefined) traceRule(scope, phase, rule, holds);
  if (holds === YES) scope.reached?.add(rule.id);
  return holds === NO || rule.monitor ? undefined : act(scope, rule, holds);
}

function act(scope: Scope, rule: Rule, holds: Tri): Outcome | undefined {
  if (holds === UNKNOWN && rule.onUnknown !== 'match') {
    return rule.onUnknown === 'skip' ? undefined : deferUnknown(scope, rule);
  }
  scope.delayMs += rule.delayMs;
  for (const tag of rule.tags) if (!scope.tags.includes(tag)) scope.tags.push(tag);
  applyEffects(scope, rule);
  if (rule.verdict === undefined) return undefined;
  const { greylist } = rule;
  if (greylist !== undefined) {
    const reply = greylistReply(greylist, scope.facts['greylist']);
    return { verdict: rule.verdict, by: rule.id, answer: rule.answer, reply, greylist };
  }
  const queue = rule.queue === undefined ? {} : { reviewQueue: rule.queue };
  const base = { verdict: rule.verdict, by: rule.id, answer: rule.answer, ...queue };
  return rule.reply === undefined
    ? { ...base, answer: 'now' }
    : { ...base, reply: fillReply(rule.reply, replyFacts(scope)) };
}

function applyEffects(scope: Scope, rule: Rule): void {
  for (const edit of rule.headers) scope.headers.set(edit.name.toLowerCase(), edit);
  for (const address of rule.addRecipients) scope.addRecipients.push({ address, by: rule.id });
  if (rule.redirect !== undefined) scope.redirect = { address: rule.redirect, by: rule.id };
}

function deferUnknown(scope: Scope, rule: Rule): Outcome {
  const unknown = unknownIn(scope, [...rule.when, ...rule.unless]);
  // At connect there is no command to refuse, only the connection.
  const atOnce = rule.id.startsWith('connect/') && rule.answer === 'now';
  const reply = atOnce ? { ...UNKNOWN_REPLY, code: 421 } : UNKNOWN_REPLY;
  const outcome = { verdict: 'defer' as const, by: rule.id, answer: rule.answer, reply };
  return unknown === undefined ? outcome : { ...outcome, unknown };
}

/** Facts that texts may name, the recipient as the client knows it. */
function replyFacts(scope: Scope): Readonly<Record<string, unknown>> {
  return { ip: scope.facts['ip'], sender: scope.facts['sender'], recipient: scope.original };
}

function traceRule(scope: Scope, phase: AclPhase, rule: Rule, holds: Tri): void {
  const acts = holds === YES || (holds === UNKNOWN && rule.onUnknown === 'match');
  const verdict = acts ? rule.verdict : rule.onUnknown === 'defer' ? 'defer' : undefined;
  const effects = acts ? effectTexts(rule) : [];
  const said = acts ? saidOf(rule) : verdict;
  const effect = [...(said === undefined ? [] : [said]), ...effects].join(', ');
  traceStep(scope, {
    stage: phase,
    id: rule.id,
    result: holds,
    effect,
    monitor: rule.monitor,
    when: rule.when,
    unless: rule.unless,
  });
}

function saidOf({ verdict, queue, greylist }: Rule): string | undefined {
  if (greylist !== undefined)
    return `defer until ${durationInWords(greylist.delayMs)} after the first attempt (greylist)`;
  return verdict === 'hold' ? `hold in ${queue ?? ''}` : verdict;
}

function effectTexts(rule: Rule): readonly string[] {
  return [
    ...rule.tags.map((tag) => `tag ${tag}`),
    ...(rule.delayMs > 0 ? [`delay ${String(rule.delayMs / 1000)}s`] : []),
    ...rule.headers.map(({ op, name, value }) => `${op} header ${name}${value === undefined ? '' : `: ${value}`}`),
    ...rule.addRecipients.map((address) => `add recipient ${address}`),
    ...(rule.redirect === undefined ? [] : [`redirect to ${rule.redirect}`]),
  ];
}
