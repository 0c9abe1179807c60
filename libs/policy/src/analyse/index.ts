/**
 * What is wrong, or odd, about a document whose parts are all well-formed. One file per family of finding.
 *
 * These need only the tables of the document. What needs its transactions (rules that never match, invariants, routes in
 * a circle) is in explore.ts, and asked for by `check` only.
 */
import type { CompileContext } from '../compile/context.js';
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import { analyseClientOverlap } from './clients.js';
import { analyseEffects } from './effects.js';
import { analyseLists } from './lists.js';
import { analyseRelay } from './relay.js';
import { analyseRouteTls } from './route-tls.js';
import { analyseRoutes } from './routes.js';
import { analyseRules } from './rules.js';
import { analyseSigning } from './signing.js';
import { analyseSpokesmen } from './spokesmen.js';

export function analyse(context: CompileContext, policy: CompiledPolicy, findings: Findings): void {
  analyseRelay(context, policy, findings);
  analyseSpokesmen(policy, findings);
  analyseClientOverlap(policy, findings);
  analyseRoutes(policy, findings);
  analyseEffects(policy, findings);
  analyseRouteTls(context, policy, findings);
  analyseSigning(policy, findings);
  if (context.complete) analyseRules(policy, findings); // two rules may differ in what was cut out
  analyseLists(context, policy, findings);
}
