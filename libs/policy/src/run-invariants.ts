/** The document's invariants, one by one: each is proven over every transaction that the policy can tell apart. */
import { explore } from './analyse/explore.js';
import type { CompiledPolicy } from './compiled.js';
import { Findings } from './findings.js';

export interface InvariantResult {
  readonly name: string;
  /** `not-proven`: too many transactions differ to look at each. */
  readonly result: 'holds' | 'broken' | 'not-proven';
  readonly pointer: string;
  /** The transaction that breaks it, or why it was not proven; empty when it holds. */
  readonly message: string;
}

export function runInvariants(policy: CompiledPolicy): readonly InvariantResult[] {
  const { invariants } = policy.program;
  if (invariants.length === 0) return [];
  const findings = new Findings();
  explore(policy, findings);
  const said = new Map(findings.list().flatMap((each) => (each.code === 'V1' ? [[each.pointer, each]] : [])));
  return invariants.map(({ name, pointer }) => {
    const finding = said.get(pointer);
    if (finding === undefined) return { name, result: 'holds', pointer, message: '' };
    const result = finding.severity === 'blocks' ? 'broken' : 'not-proven';
    return { name, result, pointer, message: finding.message };
  });
}
