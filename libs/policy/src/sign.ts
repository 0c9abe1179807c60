/**
 * Which keys sign the mail of a recipient (DKIM), and which one seals it (ARC). Decided like routing: from envelope and client, never from content; so the
 * decision can be stored with the mail, and a test of the document can ask for it.
 *
 * INVARIANT (own mail only): mail of a client that the policy does not know is never signed, whatever an entry says.
 */
import { ruleHolds } from './conditions.js';
import { unknownRule } from './outcomes.js';
import type { Placed } from './place.js';
import type { SigningRule } from './program.js';
import type { Scope } from './scope.js';
import { traceStep } from './trace.js';
import { NO, UNKNOWN, YES, type Tri } from './tri.js';
import type { SigningKeyUse } from './types.js';
import { splitAddress } from './values/addresses.js';

/**
 * Every entry of `signing` that holds signs, the first of `sealing` that holds seals. One that can not be decided defers:
 * mail does not leave unsigned because a look-up failed.
 */
export function withSignatures(scope: Scope, placed: Placed): Placed {
  const { sealing, signing } = scope.snapshot.policy.program;
  if (placed.verdict !== 'accept') return placed;
  const isSigned = signing.length > 0 && scope.client !== undefined;
  const signed = isSigned ? signedBy(scope, placed, signing) : placed;
  return sealing.length === 0 || signed.verdict !== 'accept' ? signed : sealedBy(scope, signed, sealing);
}

/** For mail of our own making. */
export function withOwnSignatures(scope: Scope, placed: Placed): Placed {
  const { signing } = scope.snapshot.policy.program;
  return signing.length === 0 || placed.verdict !== 'accept' ? placed : signedBy(scope, placed, signing);
}

function signedBy(scope: Scope, placed: Placed, rules: readonly SigningRule[]): Placed {
  const signatures: SigningKeyUse[] = [];
  for (const rule of rules) {
    const { domain, selector } = rule.signature;
    const holds = speaksFor(scope, domain) ? ruleHolds(scope, rule) : NO;
    traceSigning(scope, rule, { holds, effect: `signed as ${domain} with selector ${selector}` });
    if (holds === UNKNOWN) return unknownRule(scope, rule);
    if (holds !== YES) continue;
    scope.reached?.add(rule.id);
    signatures.push(rule.signature);
  }
  return signatures.length === 0 ? placed : { ...placed, signatures };
}

/** Mail of whomever: a seal says what was found out about it, not that it is ours. */
function sealedBy(scope: Scope, placed: Placed, rules: readonly SigningRule[]): Placed {
  for (const rule of rules) {
    const { id, signature } = rule;
    const holds = ruleHolds(scope, rule);
    const effect = `sealed by ${signature.domain} with selector ${signature.selector}`;
    traceSigning(scope, rule, { holds, effect });
    if (holds === UNKNOWN) return unknownRule(scope, rule);
    if (holds !== YES) continue;
    scope.reached?.add(id);
    return { ...placed, seal: signature };
  }
  return placed;
}

function traceSigning(
  scope: Scope,
  { id, when, unless }: SigningRule,
  { holds, effect }: { readonly holds: Tri; readonly effect: string },
): void {
  traceStep(scope, { stage: 'signing', id, result: holds, effect, when, unless });
}

/** The sender is of the domain, or of one below it; or it is nobody, as in notices, and the author alone says. */
function speaksFor({ facts: { sender } }: Scope, domain: string): boolean {
  if (typeof sender !== 'string' || sender === '') return true;
  const own = splitAddress(sender)?.domain.toLowerCase() ?? '';
  return own === domain || own.endsWith(`.${domain}`);
}
