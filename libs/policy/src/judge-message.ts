/**
 * After the final dot: message rules for each accepted recipient with the same facts of the content, and the one answer
 * that SMTP has for all of them. Pure, like everything here: the facts come from outside.
 */
import { evaluateCondition } from './conditions.js';
import { runPhase } from './decide.js';
import { recipientDecision } from './judge.js';
import { placeAccepted, type Placed } from './place.js';
import type { Condition } from './program.js';
import { Scope } from './scope.js';
import type { Snapshot } from './snapshot.js';
import { traceStep, type ConditionStep, type Step } from './trace.js';
import { plainReason } from './trace-reasons.js';
import { YES } from './tri.js';
import type { Facts, MessageOutcome, MixedVerdicts, RecipientDecision } from './types.js';

export interface MessageJudgement {
  /** Facts of the transaction, the recipient and the content together. */
  readonly facts: Facts;
  /** What RCPT TO said; an accept. */
  readonly decided: RecipientDecision;
  /** Id of a rule that a person has overruled. */
  readonly overridden?: string;
  readonly steps?: Step[];
}

/** What the content makes of one accepted recipient. Its own verdict: `settleVerdicts` makes one answer of all. */
export function judgeMessage(snapshot: Snapshot, judgement: MessageJudgement): RecipientDecision {
  const { decided, overridden } = judgement;
  const scope = new Scope(snapshot, judgement.facts, judgement.steps);
  scope.client = decided.client === 'none' ? undefined : decided.client;
  scope.tags.push(...decided.tags);
  scope.recipient = decided.recipient;
  scope.original = decided.original;
  scope.overridden = overridden;
  const ruled = runPhase(scope, 'message');
  if (ruled !== undefined && ruled.verdict !== 'accept') return recipientDecision(scope, ruled);
  const accepted = ruled ?? { verdict: 'accept' as const, by: decided.by, answer: 'now' as const };
  const placed = recipientDecision(scope, replaced(scope, decided, accepted));
  if (placed.verdict !== 'accept') return placed;
  const headers = [...scope.headers.values()];
  return headers.length === 0 ? placed : { ...placed, headers };
}

/** Placed anew only where a message rule changed what routing looks at. */
function replaced(scope: Scope, decided: RecipientDecision, accepted: Placed): Placed {
  const moved = scope.redirect !== undefined || scope.tags.length > decided.tags.length;
  const before = decided.added ?? [];
  if (!moved && scope.addRecipients.length === 0 && decided.route !== undefined) {
    const { route, signatures, seal } = decided;
    return {
      ...accepted,
      route,
      added: before,
      ...(signatures === undefined ? {} : { signatures }),
      ...(seal === undefined ? {} : { seal }),
    };
  }
  const placed = placeAccepted(scope, accepted);
  if (placed.verdict !== 'accept') return placed;
  // Copies were decided anew; what rcpt rules added stays.
  const kept = before.filter(({ by }) => !by.startsWith('copies/'));
  const added = [...kept, ...(placed.added ?? []).filter((one) => !kept.some((two) => two.address === one.address))];
  return { ...placed, added };
}

type Refusal = NonNullable<MessageOutcome['refusal']>;

function refusalOf({ verdict, by, reply }: RecipientDecision): Refusal | undefined {
  return (verdict === 'reject' || verdict === 'defer') && reply !== undefined ? { verdict, by, reply } : undefined;
}

/**
 * One answer for all recipients. `hold` and `discard` are accepted as far as the client is told, so only refusals beside
 * something else are mixed; what `mixed-verdicts: split` should have kept apart is held as well.
 */
export function settleVerdicts(mode: MixedVerdicts, decisions: readonly RecipientDecision[]): MessageOutcome {
  const refusals = decisions.flatMap((decision) => refusalOf(decision) ?? []);
  const [first] = refusals;
  if (first === undefined) return { recipients: decisions };
  const same = refusals.length === decisions.length && refusals.every(({ verdict }) => verdict === first.verdict);
  if (same) return { refusal: first, recipients: decisions };
  if (mode === 'strictest') {
    const strictest = refusals.find(({ verdict }) => verdict === 'reject') ?? first;
    return { refusal: strictest, recipients: decisions.map((decision) => refusedWith(decision, strictest)) };
  }
  return { recipients: decisions.map(heldWith) };
}

function refusedWith(decision: RecipientDecision, refusal: Refusal): RecipientDecision {
  if (decision.verdict === refusal.verdict) return decision;
  return { ...stripped(decision), ...refusal, instead: instead(decision) };
}

function heldWith(decision: RecipientDecision): RecipientDecision {
  if (refusalOf(decision) === undefined) return decision;
  return { ...stripped(decision), verdict: 'hold', reviewQueue: 'mixed', instead: instead(decision) };
}

function instead({ verdict, reply }: RecipientDecision): NonNullable<RecipientDecision['instead']> {
  return reply === undefined ? { verdict } : { verdict, reply };
}

/** Without what belongs to its own verdict. */
function stripped(decision: RecipientDecision): RecipientDecision {
  const {
    route: _route,
    added: _added,
    headers: _headers,
    signatures: _signatures,
    seal: _seal,
    reviewQueue: _queue,
    reply: _reply,
    ...rest
  } = decision;
  return rest;
}

const OTHER_CLASS = {
  verdict: 'defer',
  by: 'builtin/other-class',
  reply: { code: 452, enhanced: '4.5.3', text: 'Send this recipient in a transaction of its own' },
} as const;

/**
 * `mixed-verdicts: split`: the first accepted recipient decides which class a transaction serves. Recipients are of one
 * class when no condition of a message rule can tell them apart, so that whatever the content is, their verdict is the same.
 */
export class ClassKeeper {
  private served: string | undefined;

  constructor(private readonly snapshot: Snapshot) {}

  /** The decision, or a deferral when the recipient is of another class than those before. */
  admit(facts: Facts, decided: RecipientDecision, steps?: Step[]): RecipientDecision {
    const { program } = this.snapshot.policy;
    if (decided.verdict !== 'accept' || program.mixedVerdicts !== 'split') return decided;
    const own = classOf(this.snapshot, facts, decided);
    this.served ??= own;
    if (own === this.served) return decided;
    const scope = new Scope(this.snapshot, facts, steps);
    const because = (): readonly ConditionStep[] =>
      plainReason('recipient', 'of another class than the recipients before', decided.recipient, 'yes');
    traceStep(scope, { stage: 'class', id: OTHER_CLASS.by, result: YES, effect: 'defer', because });
    return { ...stripped(decided), ...OTHER_CLASS };
  }
}

function classOf(snapshot: Snapshot, facts: Facts, decided: RecipientDecision): string {
  const scope = new Scope(snapshot, facts);
  scope.client = decided.client === 'none' ? undefined : decided.client;
  scope.tags.push(...decided.tags);
  scope.recipient = decided.recipient;
  scope.original = decided.original;
  const conditions = snapshot.policy.program.acl.message.flatMap((rule) => [...rule.when, ...rule.unless]);
  const results = conditions.map((condition) => (isOwn(condition) ? evaluateCondition(scope, condition) : '-'));
  const asksTags = conditions.some(({ fact }) => fact.name === 'tag');
  return `${results.join('')}${asksTags ? [...decided.tags].sort().join() : ''}`;
}

/** Facts in which recipients of one transaction can differ. */
function isOwn({ fact }: Condition): boolean {
  return fact.name.startsWith('recipient') || fact.name === 'tag';
}
