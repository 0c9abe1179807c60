/** `signing`: keys that outgoing mail is signed with, each under its name in the DNS. */
import type { SigningDocument } from '../document-signing.js';
import { joinPointer } from '../findings.js';
import type { SigningRule } from '../program.js';
import { parseDomain } from '../values/domains.js';
import { compileConditions } from './conditions.js';
import type { CompileContext } from './context.js';

export type SigningSection = 'signing';

/** How tests, findings and the audit name an entry. */
export function signatureName({ domain, selector }: { readonly domain: string; readonly selector: string }): string {
  return `${domain}/${selector}`;
}

export function compileSigning(context: CompileContext, section: SigningSection): readonly SigningRule[] {
  return (context.document[section] ?? []).flatMap((entry, index) => {
    const pointer = joinPointer(`/${section}`, index);
    const rule = compileEntry(context, entry, { section, pointer });
    return rule === undefined ? [] : [rule];
  });
}

function compileEntry(
  context: CompileContext,
  entry: SigningDocument,
  { section, pointer }: { readonly section: SigningSection; readonly pointer: string },
): SigningRule | undefined {
  const when = compileConditions(context, entry.when, joinPointer(pointer, 'when'));
  const unless = compileConditions(context, entry.unless, joinPointer(pointer, 'unless'));
  const parsed = parseDomain(entry.domain);
  if (!parsed.ok) {
    context.findings.blocks('D3', joinPointer(pointer, 'domain'), parsed.message, parsed.fix);
    return undefined;
  }
  const { domain } = parsed;
  const { selector, key } = entry;
  return {
    id: `${section}/${signatureName({ domain, selector })}`,
    signature: { domain, selector, secret: key.slice('secret/'.length) },
    when,
    unless,
    pointer,
  };
}
