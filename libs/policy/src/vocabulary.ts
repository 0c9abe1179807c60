/**
 * The vocabulary: every fact that a rule may ask for, in one table.
 *
 * The document's schema, its validation, the reference in docs/policy.md and the evaluator read this table and know
 * no fact by any other way: a new fact is one row here, and somebody who feeds it. Nothing stands here that
 * the gateway can not feed.
 */
import { CONTENT_FACTS, HEADER_FACT, headerFact } from './content-facts.js';
import { ENVELOPE_FACTS } from './envelope-facts.js';
import type { FactDefinition } from './fact-definition.js';
import { LIMIT_FACT, limitFact } from './limit-facts.js';
import type { Phase } from './types.js';

export type { FactDefinition, FactType } from './fact-definition.js';

export const FACTS: readonly FactDefinition[] = [...ENVELOPE_FACTS, ...CONTENT_FACTS];

/** As people read it: one row for each of the families `limit.<name>` and `header.<name>`. */
export const FACT_ROWS: readonly FactDefinition[] = [...ENVELOPE_FACTS, LIMIT_FACT, ...CONTENT_FACTS, HEADER_FACT];

export const PHASES: readonly Phase[] = ['connect', 'helo', 'mail', 'rcpt', 'message', 'routing'];

/** Phases that have rules under `acl`. */
export type AclPhase = Exclude<Phase, 'routing'>;
export const ACL_PHASES: readonly AclPhase[] = ['connect', 'helo', 'mail', 'rcpt', 'message'];

export interface PhaseDefinition {
  readonly phase: Phase;
  readonly meaning: string;
  /** Reply codes allowed per verb; absent = any of the verb's class. */
  readonly rejectCodes?: readonly number[];
  readonly deferCodes?: readonly number[];
  /** Facts that reply texts may name. */
  readonly placeholders: readonly string[];
  /** Keys of a rule beside its conditions. */
  readonly verdicts: readonly string[];
  readonly effects: readonly string[];
}

const REFUSALS = ['accept', 'reject', 'defer'];
const RECIPIENT_EFFECTS = ['tag', 'add-recipient', 'redirect'];

export const PHASE_TABLE: Readonly<Record<AclPhase, PhaseDefinition>> = {
  connect: {
    phase: 'connect',
    meaning: 'a client has connected',
    rejectCodes: [554],
    deferCodes: [421],
    placeholders: ['ip'],
    verdicts: REFUSALS,
    effects: ['tag'],
  },
  helo: {
    phase: 'helo',
    meaning: 'each EHLO or HELO',
    placeholders: ['ip'],
    verdicts: REFUSALS,
    effects: ['tag'],
  },
  mail: {
    phase: 'mail',
    meaning: 'MAIL FROM',
    placeholders: ['ip', 'sender'],
    verdicts: REFUSALS,
    effects: ['tag'],
  },
  rcpt: {
    phase: 'rcpt',
    meaning: 'each RCPT TO',
    placeholders: ['ip', 'sender', 'recipient'],
    verdicts: [...REFUSALS, 'greylist'],
    effects: RECIPIENT_EFFECTS,
  },
  message: {
    phase: 'message',
    meaning: 'after the final dot, once per accepted recipient',
    placeholders: ['ip', 'sender', 'recipient'],
    verdicts: [...REFUSALS, 'hold', 'discard'],
    effects: [...RECIPIENT_EFFECTS, 'set-header', 'add-header', 'remove-header'],
  },
};

const BY_NAME: ReadonlyMap<string, FactDefinition> = new Map(FACTS.map((fact) => [fact.name, fact]));

export function factNamed(name: string): FactDefinition | undefined {
  return BY_NAME.get(name) ?? headerFact(name) ?? limitFact(name);
}

/** Facts known in a phase: its own and those of the phases before. Routing is asked before DATA: content is not known. */
export function factsIn(phase: Phase): readonly FactDefinition[] {
  const until = PHASES.indexOf(phase === 'routing' ? 'rcpt' : phase);
  return FACTS.filter((fact) => PHASES.indexOf(fact.phase) <= until);
}

/** Words with a meaning of their own: nothing in a document may be named like this. */
export const RESERVED_NAMES: readonly string[] = ['none', 'any', 'anywhere', 'own-identities', 'all', 'not', 'unknown'];
