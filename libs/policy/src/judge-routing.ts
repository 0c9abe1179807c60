/**
 * Where mail that was accepted before goes by the policy in force: for operators who choose its route anew, or send it to
 * another address. Connection, envelope and tags are as they were recorded; nothing is judged but routing.
 */
import { acceptedBy } from './grants.js';
import { recipientDecision } from './judge.js';
import { ACCEPTED } from './outcomes.js';
import { routeOutcome } from './place.js';
import { Scope } from './scope.js';
import type { Snapshot } from './snapshot.js';
import { UNKNOWN, YES } from './tri.js';
import type { Facts, RecipientDecision } from './types.js';
import { splitAddress } from './values/addresses.js';

export interface RoutingQuestion {
  /** Of connection, envelope and recipient. */
  readonly facts: Facts;
  /** Policy client that matched, or `none`. */
  readonly client: string;
  readonly tags: readonly string[];
  /** Where it goes. */
  readonly recipient: string;
  /** As the client gave it. */
  readonly original: string;
}

export function judgeRouting(snapshot: Snapshot, question: RoutingQuestion): RecipientDecision {
  const scope = new Scope(snapshot, question.facts);
  scope.client = question.client === 'none' ? undefined : question.client;
  scope.tags.push(...question.tags);
  scope.recipient = question.recipient;
  scope.original = question.original;
  return recipientDecision(scope, routeOutcome(scope, ACCEPTED));
}

/**
 * Whether a person may send accepted mail to this address: to accepted domains, and wherever the policy itself sends mail
 * (`redirect`, `add-recipient` and `rewriting` with `external: allowed`).
 */
export function mayRedirectTo(snapshot: Snapshot, address: string): 'yes' | 'no' | 'unknown' {
  const parts = splitAddress(address);
  if (parts === undefined) return 'no';
  const { covered } = acceptedBy(new Scope(snapshot, {}), parts.domain.toLowerCase());
  if (covered === YES || isNamedTarget(snapshot, address)) return 'yes';
  return covered === UNKNOWN ? 'unknown' : 'no';
}

function isNamedTarget({ policy }: Snapshot, address: string): boolean {
  const wanted = address.toLowerCase();
  const { acl, rewriting } = policy.program;
  const targets = Object.values(acl).flatMap((rules) =>
    rules.flatMap(({ redirect, addRecipients }) => [...addRecipients, ...(redirect === undefined ? [] : [redirect])]),
  );
  const rewritten = rewriting
    .filter(({ external }) => external)
    .map(({ toLocal, toDomain }) => `${toLocal}@${toDomain}`);
  return [...targets, ...rewritten].some((target) => target.toLowerCase() === wanted);
}
