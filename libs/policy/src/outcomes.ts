/** Answers that no rule of the document makes. */
import { unknownIn } from './conditions.js';
import { UNKNOWN_REPLY, type Outcome } from './decide.js';
import type { Condition } from './program.js';
import type { Scope } from './scope.js';
import type { DecisionReply, Verdict } from './types.js';

export const REPLIES = {
  relayDenied: { code: 550, enhanced: '5.7.1', text: 'Relaying denied' },
  senderNotAllowed: { code: 550, enhanced: '5.7.1', text: 'Sender address not allowed for this client' },
  noSuchRecipient: { code: 550, enhanced: '5.1.1', text: 'No such recipient here' },
  badRecipient: { code: 553, enhanced: '5.1.3', text: 'Recipient address not allowed' },
  badSender: { code: 553, enhanced: '5.1.7', text: 'Sender address not allowed' },
  tlsRequired: { code: 530, enhanced: '5.7.0', text: 'Must issue a STARTTLS command first' },
  authRequired: { code: 530, enhanced: '5.7.0', text: 'Authentication required' },
  noRoute: { code: 451, enhanced: '4.4.4', text: 'No route for this recipient, try again later' },
} as const satisfies Record<string, DecisionReply>;

export const ACCEPTED: Outcome = { verdict: 'accept', by: '', answer: 'now' };

export function refuse(
  verdict: Exclude<Verdict, 'accept'>,
  by: string,
  reply: DecisionReply,
  answer: Outcome['answer'],
): Outcome {
  return { verdict, by, reply, answer };
}

/** The answer where a builtin can not be decided. */
export function deferBuiltin(by: string, unknown: string, answer: Outcome['answer']): Outcome {
  return { ...refuse('defer', by, UNKNOWN_REPLY, answer), unknown };
}

/** The answer where a rule about accepted mail can not be decided: it is never passed over. */
export function unknownRule(
  scope: Scope,
  rule: { readonly id: string; readonly when: readonly Condition[]; readonly unless: readonly Condition[] },
): Outcome {
  const unknown = unknownIn(scope, [...rule.when, ...rule.unless]);
  const outcome = refuse('defer', rule.id, UNKNOWN_REPLY, 'now');
  return unknown === undefined ? outcome : { ...outcome, unknown };
}
