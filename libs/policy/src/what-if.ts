/** What would have led to another decision: the rule that decided, its conditions, and who would have decided instead. */
import type { Condition } from './program.js';
import type { Snapshot } from './snapshot.js';
import { decideTransaction } from './transaction.js';
import type { Facts, RecipientDecision } from './types.js';

export interface WhatIf {
  readonly snapshot: Snapshot;
  readonly facts: Facts;
  readonly recipients: readonly Facts[];
  readonly content: boolean;
}

const BUILTIN_CURES: Readonly<Record<string, string>> = {
  'builtin/relay-denied': 'the domain of the recipient were in `domains`, or the client might relay to it',
  'builtin/sender-not-allowed': '`senders` of the client allowed the sender',
  'builtin/no-such-recipient': 'the list of recipients of the domain had the recipient',
  'builtin/recipient-unverified': 'the list of recipients of the domain were loaded',
  'builtin/other-class': 'the recipient came in a transaction of its own',
  'builtin/tls-required': 'the session were encrypted',
  'builtin/auth-required': 'the client had signed in',
};

/** One list per recipient; empty for those that were accepted by no rule. */
export function whatIf(asked: WhatIf, decisions: readonly RecipientDecision[]): readonly (readonly string[])[] {
  const without = new Map<string, readonly RecipientDecision[]>();
  return decisions.map((decided, index) => {
    const builtin = BUILTIN_CURES[decided.by];
    if (builtin !== undefined) return [`${builtin}: it would not have been refused for that`];
    const conditions = conditionsOf(asked.snapshot, decided.by);
    if (conditions === undefined) return [];
    let others = without.get(decided.by);
    if (others === undefined) {
      const { snapshot, facts, recipients, content } = asked;
      others = decideTransaction(snapshot, facts, recipients, { content, without: decided.by }).recipients;
      without.set(decided.by, others);
    }
    const next = others[index];
    return next === undefined ? [] : [`${conditions}: ${nextText(next)}`];
  });
}

/** Undefined when `by` is no rule with a verdict. */
function conditionsOf({ policy }: Snapshot, by: string): string | undefined {
  const rule = Object.values(policy.program.acl)
    .flat()
    .find(({ id }) => id === by);
  if (rule === undefined) return undefined;
  const text = (conditions: readonly Condition[]): string => conditions.map((each) => `\`${each.text}\``).join(' or ');
  const parts = [
    ...(rule.when.length === 0 ? [] : [`${text(rule.when)} did not hold`]),
    ...(rule.unless.length === 0 ? [] : [`${text(rule.unless)} held`]),
  ];
  return parts.length === 0 ? `there were no rule \`${by}\`` : parts.join(', or ');
}

function nextText({ verdict, by, route, reviewQueue }: RecipientDecision): string {
  const where = route === undefined ? (reviewQueue === undefined ? '' : ` in ${reviewQueue}`) : `, route ${route}`;
  return by === '' ? `no rule would object: ${verdict}${where}` : `next ${by} would decide: ${verdict}${where}`;
}
