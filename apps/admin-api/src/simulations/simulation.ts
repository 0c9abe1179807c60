import type { Decision, Explanation, Facts } from '#policy';
import type { Fields } from '../http/fields.js';
import { stepOf } from '../transactions/explanation.js';
import type { SimulatedCaseDto } from './simulation.dto.js';

export interface Simulated {
  readonly name: string | undefined;
  readonly facts: Facts;
  readonly explanation: Explanation;
  readonly withSteps: boolean;
}

/** What became of a case, in the words of the API. There was no transaction, so no trace stands in the replies. */
export function simulatedCase({ name, facts, explanation, withSteps }: Simulated): Fields<SimulatedCaseDto> {
  const { decision, steps, recipientSteps, lines, summary, wouldChangeIf } = explanation;
  const { refusal } = decision;
  return {
    ...(name !== undefined && { name }),
    client: decision.mail.client,
    mail: { ...outcomeOf(decision.mail), steps: withSteps ? steps.map(stepOf) : [] },
    recipients: decision.recipients.map((decided, index) => ({
      recipient: { original: decided.original, final: decided.recipient },
      ...outcomeOf(decided),
      ...(decided.route !== undefined && { route: decided.route }),
      ...(decided.reviewQueue !== undefined && { queue: decided.reviewQueue }),
      ...(decided.added !== undefined && { added: decided.added.map((each) => ({ ...each })) }),
      ...(decided.headers !== undefined && { header: decided.headers.map((each) => ({ ...each })) }),
      tags: [...decided.tags],
      wouldChangeIf: [...(wouldChangeIf[index] ?? [])],
      steps: withSteps ? (recipientSteps[index] ?? []).map(stepOf) : [],
    })),
    ...(refusal !== undefined && {
      answer: { verdict: refusal.verdict, by: refusal.by, reply: replyText(refusal.reply) },
    }),
    text: [...(withSteps ? lines : summary)],
    facts,
  };
}

function outcomeOf({ verdict, by, reply }: Decision): { verdict: string; by: string; reply?: string } {
  return { verdict, by, ...(reply !== undefined && { reply: replyText(reply) }) };
}

function replyText({ code, enhanced, text }: NonNullable<Decision['reply']>): string {
  return `${code} ${enhanced} ${text}`;
}
