/** Answers of a next hop, recipient by recipient: which of them are an attempt at all, and which deserve another one now. */
import type { AttemptAnswer } from './attempt-outcome.js';
import { isTooManyRecipients } from './attempt-outcome.js';
import type { AttemptResult } from './attempt-report.js';
import type { Job } from './job.js';
import type { QueuedRecipient } from './ports.js';

export interface RecipientAnswer {
  readonly recipient: QueuedRecipient;
  readonly answer: AttemptAnswer;
}

export function sameForAll(job: Job, answer: AttemptAnswer): RecipientAnswer[] {
  return job.recipients.map((recipient) => ({ recipient, answer }));
}

/** Pairs what was sent with what came back; a transport that forgets a recipient has not delivered to it. */
export function pairAnswers(job: Job, answers: readonly AttemptAnswer[]): RecipientAnswer[] {
  return job.recipients.map((recipient, at) => ({ recipient, answer: answers[at] ?? NO_ANSWER }));
}

const NO_ANSWER: AttemptAnswer = {
  stage: 'content',
  fault: { enhanced: '4.3.0', message: 'no answer for this recipient', progress: 'sent' },
};

/** Nothing of the message had been judged when the connection turned out to be gone or unwilling. */
export function isStale(answers: readonly RecipientAnswer[]): boolean {
  return answers.every(({ answer }) => {
    if ('reply' in answer) return answer.stage === 'mail' && answer.reply.code === 421;
    const { progress, reason } = answer.fault;
    return (progress === 'none' || progress === 'envelope') && (reason === 'lost' || reason === 'closed');
  });
}

/**
 * The answer that shows a host in trouble, or too much of us: the transaction broke, or was put off for reasons of the
 * host's own. Undefined where it did its work, a refusal included, and where the trouble is ours.
 */
export function strainOf(answers: readonly RecipientAnswer[]): AttemptAnswer | undefined {
  const answer = answers[0]?.answer;
  return answer !== undefined && answers.every((one) => isStrain(one.answer)) ? answer : undefined;
}

const STRAINS: ReadonlySet<string | undefined> = new Set(['timeout', 'lost', 'closed', 'protocol']);

function isStrain(answer: AttemptAnswer): boolean {
  if ('fault' in answer) return STRAINS.has(answer.fault.reason);
  const { code, enhanced } = answer.reply;
  // RFC 3463 s3.4, s3.5: 4.3.x is about the mail system, 4.4.5 about congestion.
  return code === 421 || (code >= 400 && code < 500 && /^4\.(?:3\.|4\.5$)/.test(enhanced ?? ''));
}

/** Recipients beyond what one transaction may carry: worth another one at once, when this one got through. */
export function surplusOf(
  results: readonly AttemptResult[],
  answers: readonly RecipientAnswer[],
): ReadonlySet<AttemptResult> {
  const surplus = new Set<AttemptResult>();
  if (!results.some((result) => result.outcome.effect === 'delivered')) return surplus;
  results.forEach((result, at) => {
    const answer = answers[at]?.answer;
    if (answer !== undefined && 'reply' in answer && isTooManyRecipients(result.stage, answer.reply))
      surplus.add(result);
  });
  return surplus;
}
