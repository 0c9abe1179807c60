/** A decision in English, for the console, the API and the CLI. */
import { judgeNoticeIn } from './judge.js';
import { ACCEPTED } from './outcomes.js';
import { Scope } from './scope.js';
import { decideTransaction } from './transaction.js';
import { whatIf } from './what-if.js';
import type { Snapshot } from './snapshot.js';
import type { ConditionStep, Step } from './trace.js';
import type { Facts, FactValue, RecipientDecision, TransactionDecision } from './types.js';

export interface Explanation {
  readonly decision: TransactionDecision;
  /** Up to MAIL FROM: what all recipients share. */
  readonly steps: readonly Step[];
  /** From RCPT TO on, one list per recipient, in their order. */
  readonly recipientSteps: readonly (readonly Step[])[];
  /** One sentence per step, and one per recipient after its own steps. */
  readonly lines: readonly string[];
  /** The outcome alone: one sentence per recipient, or one for the transaction where there is none. */
  readonly summary: readonly string[];
  /** Per recipient: what would have led to another decision, and to which. */
  readonly wouldChangeIf: readonly (readonly string[])[];
}

/** `content`: whether message rules judged; left out, the fact `size` says so. */
export function explainTransaction(
  snapshot: Snapshot,
  facts: Facts,
  recipients: readonly Facts[],
  content?: boolean,
): Explanation {
  const steps: Step[] = [];
  const recipientSteps = recipients.map((): Step[] => []);
  const decision = decideTransaction(snapshot, facts, recipients, {
    steps,
    recipientSteps,
    ...(content === undefined ? {} : { content }),
  });
  const outcome = decision.recipients.flatMap((decided, index) => [
    ...explainSteps(recipientSteps[index] ?? []),
    recipientLine(decided),
  ]);
  const whole = recipients.length === 0 ? [wholeLine(decision)] : [];
  const summary = [...decision.recipients.map(recipientLine), ...whole];
  const asked = { snapshot, facts, recipients, content: content ?? 'size' in facts };
  const wouldChangeIf = whatIf(asked, decision.recipients, recipientSteps);
  const lines = [...explainSteps(steps), ...outcome, ...whole];
  return { decision, steps, recipientSteps, lines, summary, wouldChangeIf };
}

const NOTICE_LINE = 'a notice of our own making: rewriting and routing alone say where it goes';

/** Mail that the gateway itself sends, as `judgeNotice` places it. `facts` are those that were recorded for its recipient. */
export function explainNotice(snapshot: Snapshot, facts: Facts): Explanation {
  const steps: Step[] = [];
  const decided = judgeNoticeIn(new Scope(snapshot, facts, steps));
  const unasked = { ...ACCEPTED, client: 'none', tags: [] };
  return {
    decision: { connect: unasked, helo: unasked, mail: unasked, recipients: [decided] },
    steps: [],
    recipientSteps: [steps],
    lines: [NOTICE_LINE, ...explainSteps(steps), recipientLine(decided)],
    summary: [recipientLine(decided)],
    wouldChangeIf: [[]],
  };
}

export function explainSteps(steps: readonly Step[]): readonly string[] {
  return steps.map(stepLine);
}

function show(value: FactValue | undefined): string {
  if (value === undefined) return 'absent';
  if (Array.isArray(value)) return value.length === 0 ? 'empty' : (value as readonly string[]).join(', ');
  if (typeof value === 'object' && 'unknown' in value) {
    const known = value.values === undefined ? '' : `; known: ${show(value.values)}`;
    return `unknown (${value.unknown}${known})`;
  }
  return String(value);
}

function conditionText({ part, condition, value, result, entry, list }: ConditionStep): string {
  const found =
    entry === undefined ? '' : list === undefined ? `, covered by ${entry}` : `, covered by ${entry} of list ${list}`;
  return `${part} ${condition}: ${result} (it is ${show(value)}${found})`;
}

function stepLine(step: Step): string {
  const head = `${stageText(step.stage)} ${step.id}: ${resultText(step)}`;
  const conditions = step.conditions.map(conditionText);
  return conditions.length === 0 ? head : `${head}; ${conditions.join('; ')}`;
}

function stageText(stage: string): string {
  const texts: Readonly<Record<string, string>> = {
    client: 'client',
    senders: 'sender binding',
    rewriting: 'rewriting',
    relay: 'relay authorisation',
    recipients: 'recipient verification',
    routing: 'routing rule',
    redirect: 'redirect by',
    copies: 'copy',
    signing: 'signature',
    class: 'class of recipients',
  };
  return texts[stage] ?? 'rule';
}

function resultText(step: Step): string {
  if (step.result === 'expired') return 'expired, decides nothing';
  if (step.result === 'overridden') return 'overruled by a person, decides nothing';
  const would = step.monitor && step.effect !== '' ? 'would have made it ' : '';
  const effect = step.effect === '' ? '' : `, ${would}${step.effect}`;
  const texts: Record<'yes' | 'no' | 'unknown', string> = {
    yes: 'holds',
    no: 'does not hold',
    unknown: 'can not be known',
  };
  return `${texts[step.result]}${effect}`;
}

function recipientLine(decided: RecipientDecision): string {
  const by = decided.by === '' ? 'no rule objected' : `by ${decided.by}`;
  const rewritten = decided.recipient === decided.original ? '' : `, rewritten to ${decided.recipient}`;
  const route = decided.route === undefined ? '' : `, goes to route ${decided.route}`;
  const queue = decided.reviewQueue === undefined ? '' : ` in review queue ${decided.reviewQueue}`;
  const own =
    decided.instead === undefined ? '' : ` instead of ${decided.instead.verdict}, as others got another answer`;
  const added = (decided.added ?? []).map(
    ({ address, route: to, by: rule }) => `, also to ${address} by route ${to} (${rule})`,
  );
  const seal = decided.seal === undefined ? '' : `, sealed by ${decided.seal.domain} (${decided.seal.selector})`;
  const signed = (decided.signatures ?? []).map(({ domain, selector }) => `, signed as ${domain} (${selector})`);
  const reply = decided.reply === undefined ? '' : `: ${replyText(decided)}`;
  return `${decided.original}${rewritten}: ${decided.verdict}${queue}${own}, ${by}${route}${added.join('')}${signed.join('')}${seal}${reply}`;
}

function wholeLine({ mail }: TransactionDecision): string {
  const by = mail.by === '' ? 'no rule objected' : `by ${mail.by}`;
  return `transaction: ${mail.verdict}, ${by}${mail.reply === undefined ? '' : `: ${replyText(mail)}`}`;
}

function replyText({ reply }: { readonly reply?: { code: number; enhanced: string; text: string } }): string {
  return reply === undefined ? '' : `${String(reply.code)} ${reply.enhanced} ${reply.text}`;
}
