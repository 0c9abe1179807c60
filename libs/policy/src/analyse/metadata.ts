/** P7: rules whose time is over. L2: rules of nobody, where other rules have an owner. */
import type { PolicyDocument } from '../document.js';
import { joinPointer, type Findings } from '../findings.js';
import { ACL_PHASES } from '../vocabulary.js';
import type { CompiledPolicy } from '../compiled.js';

interface Named {
  readonly id: string;
  readonly pointer: string;
  readonly expiresAtMs?: number;
}

/** The library has no clock: whoever wants to know what has expired says when. */
export function reportExpired({ program }: CompiledPolicy, nowMs: number, findings: Findings): void {
  const rules: readonly Named[] = [...Object.values(program.acl).flat(), ...program.routing, ...program.copies];
  for (const { id, pointer, expiresAtMs } of rules) {
    if (expiresAtMs === undefined || nowMs < expiresAtMs) continue;
    const message = `rule \`${id}\` has expired and decides nothing any more, expected a later day, or no such rule`;
    findings.warns('P7', joinPointer(pointer, 'expires'), message);
  }
}

/** A document that names no owner at all does without. */
export function reportOwnerless({ acl = {} }: PolicyDocument, findings: Findings): void {
  const rules = ACL_PHASES.flatMap((phase) =>
    (acl[phase] ?? []).map((rule, index) => ({ rule, phase, pointer: joinPointer('/acl', phase, index) })),
  );
  if (rules.every(({ rule }) => rule.owner === undefined)) return;
  for (const { rule, phase, pointer } of rules) {
    if (rule.owner !== undefined) continue;
    findings.informs('L2', pointer, `rule \`${phase}/${rule.name}\` has no \`owner\`, which other rules have`);
  }
}
