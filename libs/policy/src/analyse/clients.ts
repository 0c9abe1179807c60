/** P3: clients may overlap only when the narrower stands first; then nobody can be surprised by who comes first. */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Client } from '../program.js';
import { relate } from './relate.js';

export function analyseClientOverlap(policy: CompiledPolicy, findings: Findings): void {
  const { clients } = policy.program;
  for (const [index, later] of clients.entries()) {
    for (const earlier of clients.slice(0, index)) report(policy, earlier, later, findings);
  }
}

function report(policy: CompiledPolicy, earlier: Client, later: Client, findings: Findings): void {
  const relation = relate(policy, earlier.match, later.match);
  if (relation.disjoint || (relation.firstInSecond && !relation.secondInFirst)) return;
  const at = joinPointer(later.pointer, 'match');
  const where = relation.example === '' ? '' : ` (both are met by ${relation.example})`;
  if (relation.secondInFirst) {
    const message = `client \`${later.name}\` can never be met, \`${earlier.name}\` before it covers it, expected the narrower first`;
    findings.blocks('P3', at, message);
  } else {
    findings.blocks(
      'P3',
      at,
      `clients \`${earlier.name}\` and \`${later.name}\` overlap and neither contains the other${where}`,
    );
  }
}
