/**
 * Relay rights. They come from `clients` and `domains` only; nothing in an acl can give them.
 *
 * INVARIANT (closed relay): a recipient is accepted only where `acceptedBy`, the client's `relay`, or a rewriting entry
 * with `external: allowed` said YES.
 */
import { isMember } from './members.js';
import type { AcceptedDomain, Grant } from './program.js';
import type { Scope } from './scope.js';
import { NO, triOf, triOr, UNKNOWN, YES, type Tri } from './tri.js';
import type { FactValue } from './types.js';
import { splitAddress, type Address } from './values/addresses.js';

export interface Acceptance {
  readonly covered: Tri;
  /** The first entry that is not known to be another's. */
  readonly entry?: AcceptedDomain;
}

const NOT_OURS: Acceptance = { covered: NO };

/** The entry of `domains` that the domain belongs to. An unknown one is never skipped in favour of a later one. */
export function acceptedBy(scope: Scope, domain: string): Acceptance {
  for (const entry of scope.snapshot.policy.program.domains) {
    const covered = isMember(scope.snapshot, entry.match, domain, false);
    if (covered !== NO) return { covered, entry };
  }
  return NOT_OURS;
}

/** Whether domains, addresses and identities of a grant cover an address. */
export function grantCovers(scope: Scope, grant: Grant, address: string): Tri {
  const parts = splitAddress(address);
  if (parts === undefined) return NO;
  const domain = parts.domain.toLowerCase();
  const byDomain = isMember(scope.snapshot, grant.domains, domain, false);
  if (byDomain === YES) return YES;
  const foldLocal = scope.isOwnDomain(domain);
  const listed = triOr(byDomain, isMember(scope.snapshot, grant.addresses, address, foldLocal));
  return grant.ownIdentities ? triOr(listed, isOwnIdentity(scope, { local: parts.local, domain }, foldLocal)) : listed;
}

/** Whether the account that has signed in may send as the address. Nobody signed in: nobody may. */
function isOwnIdentity(scope: Scope, wanted: Address, foldLocal: boolean): Tri {
  const identities = scope.read('auth.identities');
  if (identities === undefined) return NO;
  if (typeof identities === 'object' && 'unknown' in identities) return UNKNOWN;
  const fold = (local: string): string => (foldLocal ? local.toLowerCase() : local);
  const granted = typeof identities === 'object' ? identities.map(String) : [String(identities)];
  return triOf(
    granted.some((identity) => {
      const parts = splitAddress(identity);
      if (parts?.domain.toLowerCase() !== wanted.domain) return false;
      return parts.local === '*' || fold(parts.local) === fold(wanted.local);
    }),
  );
}

/** The fact `recipient.known`: absent for domains that are not ours. */
export function knownRecipient(scope: Scope): FactValue | undefined {
  const { recipient } = scope;
  if (recipient === undefined || typeof recipient !== 'string') return recipient;
  const domain = splitAddress(recipient)?.domain.toLowerCase();
  if (domain === undefined) return undefined;
  const { covered, entry } = acceptedBy(scope, domain);
  if (covered === UNKNOWN) return { unknown: `whether \`${domain}\` is accepted is not known` };
  return entry === undefined ? undefined : isListed(scope, entry, recipient);
}

function isListed(scope: Scope, entry: AcceptedDomain, recipient: string): FactValue {
  if (entry.recipients === undefined || scope.snapshot.assumedKnown?.has(entry.recipients) === true) return true;
  const matcher = scope.snapshot.slots[entry.recipients];
  if (matcher === undefined) {
    const name = scope.snapshot.policy.program.lists[entry.recipients]?.name ?? '';
    return { unknown: `list \`${name}\` is not loaded` };
  }
  return matcher.match(recipient, true) !== undefined;
}
