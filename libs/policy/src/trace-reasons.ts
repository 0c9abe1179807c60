/**
 * Why what is no rule of the document decided as it did: the fact, its value, what it was compared with, and the entry that
 * covers it. Made for who asks for steps, after the judge has decided: nothing here decides.
 */
import { findMember } from './members.js';
import type { LimitProfile } from './limit-types.js';
import type { Grant, Members, Rewriting } from './program.js';
import type { Scope } from './scope.js';
import type { ConditionStep, StepResult } from './trace.js';
import { splitAddress } from './values/addresses.js';
import { durationInWords } from './values/units.js';

type Found = ReturnType<typeof findMember>;

function reason(
  fact: string,
  condition: string,
  value: ConditionStep['value'],
  found: { readonly result: StepResult; readonly member?: Found },
): ConditionStep {
  return {
    part: 'when',
    fact,
    condition,
    result: found.result,
    ...(value === undefined ? {} : { value }),
    ...found.member,
  };
}

/** Of a set whose lists may be missing: what no loaded list has is unknown then. */
function membership(scope: Scope, members: readonly Members[], member: Found): { result: StepResult; member?: Found } {
  if (member !== undefined) return { result: 'yes', member };
  const isMissing = members.some(({ slots }) => slots.some((slot) => scope.snapshot.slots[slot] === undefined));
  return { result: isMissing ? 'unknown' : 'no' };
}

/** A domain of ours, or one that the client may relay to. */
export function relayReasons(scope: Scope): readonly ConditionStep[] {
  const { recipient, snapshot } = scope;
  if (typeof recipient !== 'string')
    return [reason('recipient', 'recipient.domain in domains', recipient, { result: 'unknown' })];
  const domain = splitAddress(recipient)?.domain.toLowerCase() ?? '';
  const sets = snapshot.policy.program.domains.map(({ match }) => match);
  const member = sets.map((match) => findMember(snapshot, match, domain, false)).find((found) => found !== undefined);
  const ours = reason('recipient.domain', 'recipient.domain in domains', domain, membership(scope, sets, member));
  const client = snapshot.policy.program.clients.find(({ name }) => name === scope.client);
  if (client?.relay === undefined) return [ours];
  const condition = `recipient in relay of client ${client.name}`;
  if (client.relay === 'anywhere') return [ours, reason('recipient', condition, recipient, { result: 'yes' })];
  return [ours, grantReason(scope, client.relay, { fact: 'recipient', condition, address: recipient })];
}

/** What the client may send as. */
export function senderReasons(scope: Scope, name: string, senders: Grant): readonly ConditionStep[] {
  const { sender } = scope.facts;
  const condition = `sender in senders of client ${name}`;
  if (typeof sender !== 'string') return [reason('sender', condition, sender, { result: 'unknown' })];
  const granted = grantReason(scope, senders, { fact: 'sender', condition, address: sender });
  if (!senders.ownIdentities || granted.result === 'yes') return [granted];
  const own = scope.read('auth.identities');
  const isOwn = Array.isArray(own) ? (own as readonly string[]).find((one) => covers(one, sender)) : undefined;
  const result = isOwn !== undefined ? 'yes' : typeof own === 'object' && 'unknown' in own ? 'unknown' : 'no';
  return [
    reason('auth.identities', `${sender} in own-identities`, own, {
      result,
      member: isOwn === undefined ? undefined : { entry: isOwn },
    }),
  ];
}

function covers(identity: string, address: string): boolean {
  const [granted, wanted] = [splitAddress(identity), splitAddress(address)];
  if (granted === undefined || wanted === undefined) return false;
  const sameDomain = granted.domain.toLowerCase() === wanted.domain.toLowerCase();
  return sameDomain && (granted.local === '*' || granted.local.toLowerCase() === wanted.local.toLowerCase());
}

function grantReason(
  scope: Scope,
  { domains, addresses }: Grant,
  { fact, condition, address }: { readonly fact: string; readonly condition: string; readonly address: string },
): ConditionStep {
  const domain = splitAddress(address)?.domain.toLowerCase() ?? '';
  const member =
    findMember(scope.snapshot, domains, domain, false) ??
    findMember(scope.snapshot, addresses, address, scope.isOwnDomain(domain));
  return reason(fact, condition, address, membership(scope, [domains, addresses], member));
}

/** The list of who exists. */
export function recipientReasons(scope: Scope): readonly ConditionStep[] {
  const { recipient, snapshot } = scope;
  const known = scope.read('recipient.known');
  const result = known === true ? 'yes' : known === false ? 'no' : 'unknown';
  if (typeof recipient !== 'string') return [reason('recipient.known', 'recipient in recipients', known, { result })];
  const domain = splitAddress(recipient)?.domain.toLowerCase() ?? '';
  const { domains, lists } = snapshot.policy.program;
  const entry = domains.find(({ match }) => findMember(snapshot, match, domain, false) !== undefined);
  if (entry?.recipients === undefined)
    return [reason('recipient', 'recipient in recipients: any', recipient, { result })];
  const list = lists[entry.recipients]?.name ?? '';
  const found = snapshot.slots[entry.recipients]?.match(recipient, true);
  const member = found === undefined ? undefined : { entry: found, list };
  return [reason('recipient', `recipient in recipients: ${list}`, recipient, { result, member })];
}

export function limitReasons(scope: Scope, limit: LimitProfile): readonly ConditionStep[] {
  const fact = `limit.${limit.name}`;
  const state = scope.facts[fact];
  const result = state === undefined ? 'no' : typeof state === 'object' ? 'unknown' : 'yes';
  const bound = `at most ${String(limit.max)} ${limit.count} in ${durationInWords(limit.perMs)} by ${limit.key.join(', ')}`;
  const count = scope.facts[`${fact}.count`];
  const counted = count === undefined ? [] : [reason(`${fact}.count`, bound, count, { result: 'no' })];
  return [reason(fact, `${fact}: exceeded`, state, { result }), ...counted];
}

export function rewritingReasons(recipient: string, { fromLocal, fromDomain }: Rewriting): readonly ConditionStep[] {
  const from = `${fromLocal}@${fromDomain}`;
  return [reason('recipient', `recipient: ${from}`, recipient, { result: 'yes', member: { entry: from } })];
}

/** A fact compared with what the builtin wants of it. */
export function plainReason(
  fact: string,
  condition: string,
  value: ConditionStep['value'],
  result: StepResult,
): readonly ConditionStep[] {
  return [reason(fact, condition, value, { result })];
}
