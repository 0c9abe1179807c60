/** `signing` and `sealing`: keys that outgoing mail is signed with, each under its name in the DNS. */
import type { SigningDocument } from '../document-signing.js';
import { joinPointer } from '../findings.js';
import type { SigningRule } from '../program.js';
import { parseDomain } from '../values/domains.js';
import { compileConditions } from './conditions.js';
import type { CompileContext } from './context.js';

export type SigningSection = 'signing' | 'sealing';

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

/** What a seal tells of: found out for all mail where there is one. */
const SEALED_FACTS = ['spf', 'dkim', 'dmarc', 'arc'];

/** Facts that are wanted even where no rule asks. */
export function recordedFacts({ document }: CompileContext): readonly string[] {
  const recorded = document.settings?.facts ?? [];
  return (document.sealing ?? []).length === 0 ? recorded : [...recorded, ...SEALED_FACTS];
}

export function compileAuthservId(context: CompileContext): { readonly authservId?: string } {
  const written = context.document.settings?.['authserv-id'];
  if (written === undefined) return {};
  const parsed = parseDomain(written);
  if (parsed.ok) return { authservId: parsed.domain };
  context.findings.blocks('D3', '/settings/authserv-id', parsed.message, parsed.fix);
  return {};
}
