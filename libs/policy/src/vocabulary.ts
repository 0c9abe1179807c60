/**
 * The vocabulary: every fact that a rule may ask for, in one table.
 *
 * The document's schema, its validation, the reference in docs/policy.md and the evaluator read this table and know
 * no fact by any other way: a new fact is one row here, and somebody who feeds it. Nothing stands here that
 * the gateway can not feed.
 */
import type { ListType, Phase } from './types.js';

/**
 * - `network`: an IP address, compared with networks       - `domain`: a host or domain name, lower-case A-labels
 * - `address`: a mail address                              - `word`: text, compared without case
 * - `enum`: one of the words in `values`                   - `name`: the name of something in the document (`names`)
 * - `number`, `size` (octets), `boolean`, `time` (RFC 3339)
 */
export type FactType =
  'network' | 'domain' | 'address' | 'word' | 'enum' | 'name' | 'number' | 'size' | 'boolean' | 'time';

export interface FactDefinition {
  readonly name: string;
  /** First phase in which the fact is known. */
  readonly phase: Phase;
  readonly type: FactType;
  /** For facts that are compared with lists: the type of literals. */
  readonly literal?: 'network' | 'domain' | 'address' | 'word';
  /** Types of list that it may be compared with. */
  readonly lists: readonly ListType[];
  /** For `enum`. */
  readonly values?: readonly string[];
  /** For `name`: what it is a name of. */
  readonly names?: 'listener' | 'client' | 'tag';
  /** Several values at once: a condition holds when some value is in the set, `{ all: x }` when every one is. */
  readonly multiple?: boolean;
  /** Made by the evaluator from other facts; the gateway does not feed it. */
  readonly derived?: boolean;
  readonly meaning: string;
  readonly example: string;
}

const domainLists = ['domain', 'regex'] as const;
const wordLists = ['word', 'regex'] as const;

export const FACTS: readonly FactDefinition[] = [
  {
    name: 'ip',
    phase: 'connect',
    type: 'network',
    literal: 'network',
    lists: ['network'],
    meaning: 'address of the client; IPv4-mapped IPv6 addresses are IPv4',
    example: '10.0.0.0/8',
  },
  {
    name: 'listener',
    phase: 'connect',
    type: 'name',
    names: 'listener',
    lists: [],
    meaning: 'listener that took the connection',
    example: 'internal',
  },
  {
    name: 'time',
    phase: 'connect',
    type: 'time',
    lists: [],
    meaning: 'time of the command that is judged',
    example: '{ from: "22:00", to: "06:00", zone: Europe/Berlin }',
  },
  {
    name: 'tag',
    phase: 'connect',
    type: 'name',
    names: 'tag',
    lists: [],
    multiple: true,
    derived: true,
    meaning: 'tags given by rules that matched before',
    example: 'trial',
  },
  {
    name: 'helo',
    phase: 'helo',
    type: 'domain',
    literal: 'domain',
    lists: domainLists,
    meaning: 'name given with EHLO or HELO',
    example: '.example.net',
  },
  {
    name: 'helo.kind',
    phase: 'helo',
    type: 'enum',
    values: ['fqdn', 'literal', 'our-own-name', 'malformed'],
    lists: [],
    meaning: 'what that name is: a host name with a dot, an address literal, our own name or address, anything else',
    example: 'our-own-name',
  },
  {
    name: 'client',
    phase: 'helo',
    type: 'name',
    names: 'client',
    lists: [],
    derived: true,
    meaning: 'who is talking to us: the first client of `clients` that matches',
    example: 'app-servers',
  },
  {
    name: 'sender',
    phase: 'mail',
    type: 'address',
    literal: 'address',
    lists: ['address', 'regex'],
    meaning: 'reverse path; absent for the null sender',
    example: 'ann@example.com',
  },
  {
    name: 'sender.domain',
    phase: 'mail',
    type: 'domain',
    literal: 'domain',
    lists: domainLists,
    derived: true,
    meaning: 'its domain; absent for the null sender',
    example: 'example.com',
  },
  {
    name: 'sender.local',
    phase: 'mail',
    type: 'word',
    literal: 'word',
    lists: wordLists,
    derived: true,
    meaning: 'its local part; absent for the null sender',
    example: '[noreply]',
  },
  {
    name: 'sender.null',
    phase: 'mail',
    type: 'boolean',
    lists: [],
    derived: true,
    meaning: 'whether the reverse path is empty, as in bounces',
    example: 'true',
  },
  {
    name: 'size.declared',
    phase: 'mail',
    type: 'size',
    lists: [],
    meaning: 'size announced with MAIL FROM; absent when none was',
    example: '{ above: 20MB }',
  },
  {
    name: 'recipient',
    phase: 'rcpt',
    type: 'address',
    literal: 'address',
    lists: ['address', 'regex'],
    meaning: 'forward path after rewriting',
    example: 'ann@example.com',
  },
  {
    name: 'recipient.domain',
    phase: 'rcpt',
    type: 'domain',
    literal: 'domain',
    lists: domainLists,
    derived: true,
    meaning: 'its domain',
    example: 'example.com',
  },
  {
    name: 'recipient.local',
    phase: 'rcpt',
    type: 'word',
    literal: 'word',
    lists: wordLists,
    derived: true,
    meaning: 'its local part',
    example: '[abuse, postmaster]',
  },
  {
    name: 'recipient.original',
    phase: 'rcpt',
    type: 'address',
    literal: 'address',
    lists: ['address', 'regex'],
    derived: true,
    meaning: 'forward path as the client gave it',
    example: 'ann@old-brand.example',
  },
  {
    name: 'recipient.known',
    phase: 'rcpt',
    type: 'boolean',
    lists: [],
    derived: true,
    meaning: 'whether `domains` lists the recipient; absent for domains that are not ours',
    example: 'false',
  },
  {
    name: 'recipients',
    phase: 'rcpt',
    type: 'number',
    lists: [],
    meaning: 'RCPT commands of this transaction so far, this one included',
    example: '{ above: 50 }',
  },
];

export const PHASES: readonly Phase[] = ['connect', 'helo', 'mail', 'rcpt', 'routing'];

/** Phases that have rules under `acl`. */
export type AclPhase = Exclude<Phase, 'routing'>;
export const ACL_PHASES: readonly AclPhase[] = ['connect', 'helo', 'mail', 'rcpt'];

export interface PhaseDefinition {
  readonly phase: Phase;
  readonly meaning: string;
  /** Reply codes allowed per verb; absent = any of the verb's class. */
  readonly rejectCodes?: readonly number[];
  readonly deferCodes?: readonly number[];
  /** Facts that reply texts may name. */
  readonly placeholders: readonly string[];
}

export const PHASE_TABLE: Readonly<Record<AclPhase, PhaseDefinition>> = {
  connect: {
    phase: 'connect',
    meaning: 'a client has connected',
    rejectCodes: [554],
    deferCodes: [421],
    placeholders: ['ip'],
  },
  helo: { phase: 'helo', meaning: 'each EHLO or HELO', placeholders: ['ip'] },
  mail: { phase: 'mail', meaning: 'MAIL FROM', placeholders: ['ip', 'sender'] },
  rcpt: { phase: 'rcpt', meaning: 'each RCPT TO', placeholders: ['ip', 'sender', 'recipient'] },
};

const BY_NAME: ReadonlyMap<string, FactDefinition> = new Map(FACTS.map((fact) => [fact.name, fact]));

export function factNamed(name: string): FactDefinition | undefined {
  return BY_NAME.get(name);
}

/** Facts known in a phase: its own and those of the phases before. */
export function factsIn(phase: Phase): readonly FactDefinition[] {
  const until = PHASES.indexOf(phase);
  return FACTS.filter((fact) => PHASES.indexOf(fact.phase) <= until);
}

/** Words with a meaning of their own: nothing in a document may be named like this. */
export const RESERVED_NAMES: readonly string[] = ['none', 'any', 'anywhere', 'own-identities', 'all', 'not', 'unknown'];
