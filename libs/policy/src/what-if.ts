/** What would have led to another decision: the rule that decided, its conditions, and who would have decided instead. */
import { LIMIT_PREFIX } from './limit-facts.js';
import type { Condition, Program, Rule } from './program.js';
import type { Snapshot } from './snapshot.js';
import type { Step } from './trace.js';
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
  'builtin/bad-sender': 'the sender were an address that mail can come from',
  'builtin/bad-recipient': 'the recipient were an address that mail can go to',
  'builtin/no-route': 'some routing rule held',
};

const LIMIT = 'builtin/limit-';

/**
 * One list per recipient: first what would have changed the verdict, then what would have changed the route. `steps`: those
 * of each recipient, which say which routing rule held.
 */
export function whatIf(
  asked: WhatIf,
  decisions: readonly RecipientDecision[],
  steps: readonly (readonly Step[])[],
): readonly (readonly string[])[] {
  const others = new Others(asked);
  return decisions.map((decided, index) => [
    ...otherVerdict(others, decided, index),
    ...(decided.verdict === 'accept' ? otherRoute(others, steps[index] ?? [], index) : []),
  ]);
}

/** Decisions under other circumstances, each made once for all recipients. */
class Others {
  private readonly known = new Map<string, readonly RecipientDecision[]>();

  constructor(readonly asked: WhatIf) {}

  withoutRule(id: string, index: number): RecipientDecision | undefined {
    return this.once(id, ({ facts, recipients }) => this.decide(facts, recipients, id))[index];
  }

  withoutLimit(name: string, index: number): RecipientDecision | undefined {
    const fact = LIMIT_PREFIX + name;
    const without = ({ [fact]: _state, ...facts }: Facts): Facts => facts;
    return this.once(fact, ({ facts, recipients }) => this.decide(without(facts), recipients.map(without)))[index];
  }

  private once(key: string, make: (asked: WhatIf) => readonly RecipientDecision[]): readonly RecipientDecision[] {
    const before = this.known.get(key);
    if (before !== undefined) return before;
    const made = make(this.asked);
    this.known.set(key, made);
    return made;
  }

  private decide(facts: Facts, recipients: readonly Facts[], without?: string): readonly RecipientDecision[] {
    const { snapshot, content } = this.asked;
    const options = without === undefined ? { content } : { content, without };
    return decideTransaction(snapshot, facts, recipients, options).recipients;
  }
}

function otherVerdict(others: Others, { by }: RecipientDecision, index: number): readonly string[] {
  const cure = BUILTIN_CURES[by];
  if (cure !== undefined) return [`${cure}: it would not have been refused for that`];
  if (by.startsWith(LIMIT)) {
    const name = by.slice(LIMIT.length);
    return ifSo(`limit \`${name}\` were not exceeded`, others.withoutLimit(name, index));
  }
  const { program } = others.asked.snapshot.policy;
  const rule = Object.values(program.acl)
    .flat()
    .find(({ id }) => id === by);
  if (rule !== undefined) return ifSo(contrary(rule), others.withoutRule(by, index));
  return unsure(program, by);
}

/** A client, a routing rule or a copy that could not be decided: nobody knows what would have come next. */
function unsure({ clients, routing, copies }: Program, by: string): readonly string[] {
  const client = clients.find(({ name }) => by === `clients/${name}`);
  const rule = [...routing, ...copies].find(({ id }) => id === by);
  const conditions = client?.match ?? (rule === undefined ? undefined : [...rule.when, ...rule.unless]);
  return conditions === undefined ? [] : [`it were known whether ${textOf(conditions, 'and')} holds`];
}

/** The last routing rule that held is the recipient's own, those of added recipients come after it. */
function otherRoute(others: Others, steps: readonly Step[], index: number): readonly string[] {
  const { routing } = others.asked.snapshot.policy.program;
  const own = steps.findLastIndex(({ stage }) => stage === 'recipients' || stage === 'relay');
  const held = steps.slice(own + 1).find(({ stage, result }) => stage === 'routing' && result === 'yes');
  const rule = routing.find(({ id }) => id === held?.id);
  if (rule === undefined || rule.when.length + rule.unless.length === 0) return [];
  return ifSo(`${contrary(rule)} (${rule.id})`, others.withoutRule(rule.id, index));
}

function ifSo(otherwise: string, next: RecipientDecision | undefined): readonly string[] {
  return next === undefined ? [] : [`${otherwise}: ${nextText(next)}`];
}

function textOf(conditions: readonly Condition[], word: 'and' | 'or'): string {
  return conditions.map((each) => `\`${each.text}\``).join(` ${word} `);
}

function contrary({ id, when, unless }: Pick<Rule, 'id' | 'when' | 'unless'>): string {
  const parts = [
    ...(when.length === 0 ? [] : [`${textOf(when, 'or')} did not hold`]),
    ...(unless.length === 0 ? [] : [`${textOf(unless, 'or')} held`]),
  ];
  return parts.length === 0 ? `there were no rule \`${id}\`` : parts.join(', or ');
}

function nextText({ verdict, by, route, reviewQueue }: RecipientDecision): string {
  const where = route === undefined ? (reviewQueue === undefined ? '' : ` in ${reviewQueue}`) : `, route ${route}`;
  return by === '' ? `no rule would object: ${verdict}${where}` : `next ${by} would decide: ${verdict}${where}`;
}
