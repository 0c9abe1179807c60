/**
 * What follows from all rules together, for every transaction there can be: rules that never match (P1), rules whose
 * order matters (P2), routes in a circle (T1), broken invariants (V1). Exact; what takes too long to prove blocks.
 */
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import { reportCircles, reportMovedCircles } from './circles.js';
import { buildFlow, type Flow, type FlowRule } from './flow.js';
import { proveInvariants } from './invariants.js';
import { canMoveTo } from './moves.js';
import { reportOrder } from './order.js';
import { Searcher, type SearchResult } from './search.js';
import { reportSurprises } from './surprises.js';
import { proveWithUnknowns } from './unknowns.js';

/** Steps of all searches of one document together: some seconds. */
const BUDGET = 400_000;

export function explore(policy: CompiledPolicy, findings: Findings): void {
  reportSurprises(policy, findings);
  const flow = buildFlow(policy);
  for (const { id, pointer } of flow.tangled) {
    const message = `rule \`${id}\` has too many cases to be proven, expected fewer lists and values in one rule, or a list of their own for them`;
    findings.blocks('P1', pointer, message);
  }
  if (flow.tangled.length > 0) return;
  const searcher = new Searcher(flow, BUDGET);
  reportUnreached(policy, flow, searcher, findings);
  reportOrder(policy, flow, searcher, findings);
  reportCircles(policy, flow, searcher, findings);
  reportMovedCircles(policy, findings);
  proveInvariants(policy, flow, searcher, findings);
  proveWithUnknowns(policy, BUDGET, findings);
}

function reportUnreached(policy: CompiledPolicy, flow: Flow, searcher: Searcher, findings: Findings): void {
  for (const rule of flow.stages.flatMap(({ rules }) => rules)) {
    if (rule.pointer === '') continue;
    const result = searcher.search(rule.cases, { rule });
    if (result.kind === 'found' || (result.kind === 'none' && canMoveTo(policy, flow, searcher, rule))) continue;
    findings.blocks('P1', rule.pointer, sentence(rule, result));
  }
}

const MOST_NAMED = 3;

function sentence(rule: FlowRule, result: SearchResult): string {
  if (result.kind !== 'none') {
    return `whether rule \`${rule.id}\` can ever match could not be decided, expected rules that depend on fewer others: fewer facts in one rule, or one list instead of many rules`;
  }
  const { instead } = result;
  if (instead.length === 0) {
    return `rule \`${rule.id}\` can never match: its conditions contradict each other, or nobody can meet them`;
  }
  const named = instead.slice(0, MOST_NAMED).map((id) => `\`${id}\``);
  const more = instead.length > MOST_NAMED ? `, and ${String(instead.length - MOST_NAMED)} more` : '';
  const verb = instead.length === 1 ? 'decides' : 'decide';
  return `rule \`${rule.id}\` can never match: ${named.join(', ')}${more} ${verb} before it`;
}
