/** T1: mail for a domain of ours that takes a route by MX comes back to whoever is the MX: ourselves. */
import type { CompiledPolicy } from '../compiled.js';
import type { Findings } from '../findings.js';
import { splitAddress } from '../values/addresses.js';
import { combine } from './box.js';
import { acceptedBy } from '../grants.js';
import { Scope } from '../scope.js';
import { createSnapshot } from '../snapshot.js';
import { YES } from '../tri.js';
import { textOf } from './dimension.js';
import { exampleOf } from './example.js';
import type { Flow } from './flow.js';
import { routingOf, targetsOf } from './moves.js';
import type { Searcher } from './search.js';

export function reportCircles(policy: CompiledPolicy, flow: Flow, searcher: Searcher, findings: Findings): void {
  const ours = flow.space.acceptedCases(true);
  const told = new Set<string>();
  for (const rule of flow.stages.find(({ name }) => name === 'routing')?.rules ?? []) {
    const route = rule.route ?? '';
    if (policy.routes.get(route)?.kind !== 'mx' || told.has(route)) continue;
    const result = searcher.search(combine(flow.space, rule.cases, ours), { rule, unmoved: true });
    if (result.kind !== 'found') continue;
    told.add(route);
    const { recipient } = exampleOf(policy, flow, result.point).facts;
    const domain = splitAddress(flow.space.rewritten(textOf(recipient)).address)?.domain ?? '';
    const message = `mail for our own domain \`${domain}\` takes the mx route \`${route}\`, whose MX may be ourselves, expected a route with \`hosts\` or \`file\``;
    findings.blocks('T1', rule.pointer, message);
  }
}

/** The same for mail that a rule sends on to a domain of ours: it is routed by the address it is sent on to. */
export function reportMovedCircles(policy: CompiledPolicy, findings: Findings): void {
  const scope = new Scope(createSnapshot(policy), {});
  for (const mover of Object.values(policy.program.acl).flat()) {
    if (mover.monitor) continue;
    for (const target of targetsOf(mover)) {
      const domain = splitAddress(target)?.domain.toLowerCase() ?? '';
      if (acceptedBy(scope, domain).covered !== YES) continue;
      const taken = routingOf(policy, target);
      const circle = taken.find(({ route }) => policy.routes.get(route)?.kind === 'mx');
      if (circle === undefined) continue;
      const message = `rule \`${mover.id}\` sends mail to \`${target}\`, a domain of ours, ${taken.length === 1 ? 'which takes' : 'which may take'} the mx route \`${circle.route}\`, whose MX may be ourselves, expected a route with \`hosts\` or \`file\``;
      if (taken.length === 1) findings.blocks('T1', mover.pointer, message);
      else findings.warns('T1', mover.pointer, message);
    }
  }
}
