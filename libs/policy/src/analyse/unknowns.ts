/**
 * V1 where facts can not be known: an invariant has to hold while the DNS is down, too.
 *
 * Kleene's logic makes that a proof about another policy. A rule that asks for an unknown fact is undecided exactly when
 * the rest of its conditions hold; and then it does what `on-unknown` says. So it becomes a rule of the rest of its
 * conditions that defers, matches, or is not there. What is found is put to the judge, with the unknown facts, before it
 * is believed.
 *
 * Relaying needs no such proof: clients and domains alone give the right to it, and an undecided client is deferred.
 */
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import type { CompiledInvariant, Condition, CopyRule, Program, Rule } from '../program.js';
import { factNamed, type FactDefinition } from '../vocabulary.js';
import { exampleOf, inOrder, type Example } from './example.js';
import { buildFlow } from './flow.js';
import { prove } from './invariants.js';
import { Searcher, type TransactionPoint } from './search.js';

/** So many facts are taken to be unknown in all their combinations; of more, each alone and all together. */
const MOST_COMBINED = 3;

export function proveWithUnknowns(policy: CompiledPolicy, budget: number, findings: Findings): void {
  const broken = new Set(findings.list().flatMap(({ code, pointer }) => (code === 'V1' ? [pointer] : [])));
  const open = policy.program.invariants.filter(({ pointer }) => !broken.has(pointer));
  for (const unknown of combinationsOf(relevantFacts(policy, open))) {
    const concerned = open.filter(
      ({ conditions, pointer }) => !broken.has(pointer) && !conditions.some((each) => unknown.has(each.fact.name)),
    );
    if (concerned.length > 0) proveWith(policy, { unknown, concerned, budget, broken }, findings);
  }
}

interface Assumed {
  readonly unknown: ReadonlySet<string>;
  readonly concerned: readonly CompiledInvariant[];
  readonly budget: number;
  /** Pointers of invariants of which enough was said. */
  readonly broken: Set<string>;
}

function proveWith(policy: CompiledPolicy, { unknown, concerned, budget, broken }: Assumed, findings: Findings): void {
  const world = { ...policy, program: withoutKnowing(policy.program, unknown) };
  const flow = buildFlow(world);
  const proof = {
    flow,
    searcher: new Searcher(flow, budget),
    findings,
    exampleAt: (point: TransactionPoint) => unknownIn(policy, exampleOf(world, flow, point), unknown),
    notProven: ({ name, pointer }: CompiledInvariant) => {
      const message = `invariant \`${name}\` was not proven of transactions in which ${[...unknown].join(', ')} can not be known`;
      findings.warns('V1', pointer, message);
    },
  };
  for (const invariant of concerned) {
    prove(proof, invariant);
    if (findings.list().some(({ code, pointer }) => code === 'V1' && pointer === invariant.pointer)) {
      broken.add(invariant.pointer);
    }
  }
}

function unknownIn(policy: CompiledPolicy, { facts, snapshot }: Example, unknown: ReadonlySet<string>): Example {
  const assumed = Object.fromEntries([...unknown].map((name) => [name, { unknown: 'assumed' }]));
  return { facts: inOrder({ ...facts, ...assumed }), snapshot: { ...snapshot, policy } };
}

/** Looked up, or read from content that may be too odd to be read. */
function mayBeUnknown({ fetched, derived, phase, name }: FactDefinition): boolean {
  return derived !== true && (fetched === true || (phase === 'message' && name !== 'size'));
}

/**
 * Facts for whose sake something may happen that does not where they are known. Where every rule that asks for a fact
 * defers mail for it, nothing is accepted that would not be otherwise.
 */
function relevantFacts({ program }: CompiledPolicy, invariants: readonly CompiledInvariant[]): readonly string[] {
  const onlyAccepts = invariants.every(({ verdict }) => verdict === 'accept');
  const rules = Object.values(program.acl)
    .flat()
    .filter(({ onUnknown, monitor }) => !monitor && (!onlyAccepts || onUnknown !== 'defer'));
  const facts = rules.flatMap(({ when, unless }) => [...when, ...unless].map(({ fact }) => fact));
  return [...new Set(facts.filter(mayBeUnknown).map(({ name }) => name))];
}

function combinationsOf(facts: readonly string[]): readonly ReadonlySet<string>[] {
  if (facts.length > MOST_COMBINED) return [...facts.map((fact) => new Set([fact])), new Set(facts)];
  const all = facts.reduce<readonly (readonly string[])[]>(
    (sets, fact) => [...sets, ...sets.map((set) => [...set, fact])],
    [[]],
  );
  return all.filter((set) => set.length > 0).map((set) => new Set(set));
}

function withoutKnowing(program: Program, unknown: ReadonlySet<string>): Program {
  const asks = (conditions: readonly Condition[]): boolean => conditions.some(({ fact }) => unknown.has(fact.name));
  const isKnown = ({ when, unless }: Pick<CopyRule, 'when' | 'unless'>): boolean => !asks([...when, ...unless]);
  const rules = (of: readonly Rule[]): readonly Rule[] =>
    of.flatMap((rule) => (isKnown(rule) ? rule : undecided(rule, unknown)));
  const acl = Object.fromEntries(
    Object.entries(program.acl).map(([phase, of]) => [phase, rules(of)]),
  ) as Program['acl'];
  return {
    ...program,
    acl,
    // Undecided, these three defer. Left out, more is accepted than there is, which the judge will not confirm.
    clients: program.clients.map((client) => (asks(client.match) ? { ...client, match: [NEVER] } : client)),
    routing: program.routing.filter(isKnown),
    copies: program.copies.filter(isKnown),
  };
}

function undecided(rule: Rule, unknown: ReadonlySet<string>): readonly Rule[] {
  if (rule.onUnknown === 'skip') return [];
  const known = (conditions: readonly Condition[]): readonly Condition[] =>
    conditions.filter(({ fact }) => !unknown.has(fact.name));
  const rest = { ...rule, when: known(rule.when), unless: known(rule.unless) };
  if (rule.onUnknown === 'match') return [rest];
  const { redirect: _redirect, ...deferring } = rest;
  return [{ ...deferring, verdict: 'defer', tags: [], headers: [], addRecipients: [] }];
}

const LISTENER = factNamed('listener');
if (LISTENER === undefined) throw new Error('there is no fact `listener`');

const NEVER: Condition = {
  fact: LISTENER,
  negated: false,
  every: false,
  none: false,
  set: { kind: 'words', words: new Set() },
  text: '',
  pointer: '',
};
