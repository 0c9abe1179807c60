/** V1: an invariant is broken by a transaction, which is shown, or it holds for all of them. */
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import type { CompiledInvariant } from '../program.js';
import { combine, TooManyCases, type Case } from './box.js';
import { exampleOf, judgeExample, printFacts, type Example } from './example.js';
import { casesOfAll, type Flow, type FlowRule } from './flow.js';
import type { Goal, Searcher, TransactionPoint } from './search.js';

export function proveInvariants(policy: CompiledPolicy, flow: Flow, searcher: Searcher, findings: Findings): void {
  const proof: Proof = { flow, searcher, findings, exampleAt: (point) => exampleOf(policy, flow, point) };
  for (const invariant of policy.program.invariants) prove(proof, invariant);
}

export interface Proof {
  readonly flow: Flow;
  readonly searcher: Searcher;
  readonly findings: Findings;
  /** The transaction that a point stands for, with the lists to judge it by. */
  readonly exampleAt: (point: TransactionPoint) => Example;
  /** Says what could not be proven, where that is not to block. */
  readonly notProven?: (invariant: CompiledInvariant) => void;
}

export function prove(proof: Proof, invariant: CompiledInvariant): void {
  const cases = forbidden(proof, invariant);
  if (cases === undefined) return;
  for (const goal of goalsOf(proof.flow, invariant)) {
    for (const one of cases) if (!isKept(proof, invariant, one, goal)) return;
  }
}

/** Whether the search goes on: neither broken so far, nor given up. */
function isKept(proof: Proof, invariant: CompiledInvariant, forbiddenCase: Case, goal: Goal): boolean {
  const { flow, searcher } = proof;
  const within = combine(flow.space, [{ ...forbiddenCase, tags: [] }], goal.rule.cases);
  const wanted = { ...goal, finally: forbiddenCase.tags };
  const result = searcher.search(within, wanted);
  if (result.kind === 'none') return true;
  const example = result.kind === 'found' ? proof.exampleAt(result.point) : undefined;
  const decision = example === undefined ? undefined : judgeExample(example);
  if (example === undefined || decision === undefined || !isMeant(invariant, decision)) {
    // What a redirect makes of a transaction is told by its target, which is not looked at here.
    if (searcher.search(within, { ...wanted, unmoved: true }).kind === 'none') {
      const message = `invariant \`${invariant.name}\` holds but for mail that a rule redirects, of which it was not proven`;
      proof.findings.warns('V1', invariant.pointer, message);
      return true;
    }
    notProven(proof, invariant);
    return false;
  }
  const by = decision.by === '' ? '' : ` by \`${decision.by}\``;
  const message = `invariant \`${invariant.name}\` is broken: ${printFacts(example.facts)} gives ${decision.verdict}${by}`;
  proof.findings.refutes('V1', invariant.pointer, message, example.facts);
  return false;
}

function forbidden(proof: Proof, invariant: CompiledInvariant): readonly Case[] | undefined {
  try {
    return casesOfAll(proof.flow.space, invariant.conditions);
  } catch (error) {
    if (!(error instanceof TooManyCases)) throw error;
    notProven(proof, invariant);
    return undefined;
  }
}

function notProven(proof: Proof, invariant: CompiledInvariant): void {
  if (proof.notProven !== undefined) {
    proof.notProven(invariant);
    return;
  }
  const { name, pointer } = invariant;
  const message = `invariant \`${name}\` could not be proven, expected rules that depend on fewer others: fewer facts in one rule, or one list instead of many rules`;
  proof.findings.blocks('V1', pointer, message);
}

/** Every way in which the forbidden verdict can come about. */
function goalsOf(flow: Flow, { verdict, routes }: CompiledInvariant): readonly Goal[] {
  const rules = flow.stages.flatMap((stage) => stage.rules).filter(({ id, monitor }) => id !== '' && !monitor);
  const accepts = rules
    .filter(({ route, verdict: own }) => route !== undefined && own !== undefined && isWanted(routes, route))
    .map((rule): Goal => ({ rule, toTheEnd: true }));
  const stops = rules.filter((rule) => isStop(rule) && (verdict === undefined || rule.verdict === verdict));
  if (verdict === 'accept' || routes !== undefined) return accepts;
  return [...(verdict === undefined ? accepts : []), ...stops.map((rule): Goal => ({ rule }))];
}

function isStop({ verdict }: FlowRule): boolean {
  return verdict !== undefined && verdict !== 'accept';
}

function isWanted(routes: CompiledInvariant['routes'], route: string): boolean {
  return routes === undefined || routes.names.has(route) !== routes.negated;
}

function isMeant(
  { verdict, routes }: CompiledInvariant,
  decision: { readonly verdict: string; readonly route?: string },
): boolean {
  if (verdict !== undefined && verdict !== decision.verdict) return false;
  return routes === undefined || (decision.route !== undefined && isWanted(routes, decision.route));
}
