/** P3: clients may overlap only when the narrower stands first; then nobody can be surprised by who comes first. */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Client } from '../program.js';
import { Neighbours } from './neighbours.js';
import { relate } from './relate.js';

/** Who has so many to put right needs no longer list. */
const MOST_OVERLAPS = 100;

export function analyseClientOverlap(policy: CompiledPolicy, findings: Findings): void {
  const { clients } = policy.program;
  const neighbours = new Neighbours(policy);
  let reported = 0;
  for (const [position, later] of clients.entries()) {
    for (const each of neighbours.before(position)) {
      const earlier = clients[each];
      if (earlier !== undefined && report(policy, earlier, later, findings)) reported += 1;
      if (reported >= MOST_OVERLAPS) return;
    }
  }
}

/** Whether there was something to report. */
function report(policy: CompiledPolicy, earlier: Client, later: Client, findings: Findings): boolean {
  const relation = relate(policy, earlier.match, later.match);
  if (relation.disjoint || (relation.firstInSecond && !relation.secondInFirst)) return false;
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
  return true;
}
