/**
 * All transactions that a policy can tell apart, as points per fact. Points between which no condition, grant, bound or
 * rewriting makes a difference are merged, so their number grows with the rules and not with the lists.
 */
import { evaluateCondition } from '../conditions.js';
import type { CompiledPolicy } from '../compiled.js';
import { acceptedBy, grantCovers, knownRecipient } from '../grants.js';
import { placeRecipient } from '../judge.js';
import type { Condition, Grant } from '../program.js';
import { Scope } from '../scope.js';
import { createSnapshot, type Snapshot } from '../snapshot.js';
import { splitAddress } from '../values/addresses.js';
import { FACTS, type FactDefinition } from '../vocabulary.js';
import { factPoints, textsOfConditions, textsOfMembers, type FactPoint } from './fact-points.js';
import { addressPoints, OpenLists, withOpenLists } from './points.js';

export interface Universe {
  readonly snapshot: Snapshot;
  readonly open: OpenLists;
  /** Facts of a session and of MAIL FROM, each with its points. */
  readonly shared: readonly { readonly fact: string; readonly points: readonly FactPoint[] }[];
  readonly recipients: readonly FactPoint[];
  readonly recipientCounts: readonly FactPoint[];
}

function conditionsOf(policy: CompiledPolicy): readonly Condition[] {
  const { clients, acl, routing, invariants } = policy.program;
  return [
    ...clients.flatMap((client) => client.match),
    ...Object.values(acl).flatMap((rules) => rules.flatMap((rule) => [...rule.when, ...rule.unless])),
    ...routing.flatMap((rule) => [...rule.when, ...rule.unless]),
    ...invariants.flatMap((invariant) => invariant.conditions),
  ];
}

export function buildUniverse(policy: CompiledPolicy): Universe {
  const open = new OpenLists(policy);
  const snapshot: Snapshot = { ...createSnapshot(policy), slots: open.slots() };
  const builder = new UniverseBuilder(policy, snapshot, open);
  const shared = FACTS.filter(
    (fact) => fact.derived !== true && fact.phase !== 'message' && !fact.name.startsWith('recipient'),
  ).map((fact) => ({
    fact: fact.name,
    points: builder.pointsOf(fact),
  }));
  const count = FACTS.find((fact) => fact.name === 'recipients');
  return {
    snapshot,
    open,
    shared,
    recipients: builder.recipients(),
    recipientCounts: count === undefined ? [] : builder.plain(count),
  };
}

const NOTHING: FactPoint = { value: undefined, memberOf: new Set(), fresh: false };

/** Nobody asks for it: then it says nothing in an example either. */
function isPlainFlag(fact: FactDefinition): boolean {
  return fact.mayBeAbsent === true || fact.type === 'boolean' || fact.name === 'connections';
}

class UniverseBuilder {
  private readonly conditions: readonly Condition[];
  private readonly grants: readonly Grant[];

  constructor(
    private readonly policy: CompiledPolicy,
    private readonly snapshot: Snapshot,
    private readonly open: OpenLists,
  ) {
    this.conditions = conditionsOf(policy);
    this.grants = policy.program.clients.flatMap(({ relay, senders }) => [
      ...(relay === undefined || relay === 'anywhere' ? [] : [relay]),
      ...(senders === undefined ? [] : [senders]),
    ]);
  }

  pointsOf(fact: FactDefinition): readonly FactPoint[] {
    if (fact.name === 'sender') return this.senders();
    return fact.name === 'auth.identities' ? this.identities() : this.plain(fact);
  }

  plain(fact: FactDefinition): readonly FactPoint[] {
    const conditions = this.conditions.filter((condition) => condition.fact === fact);
    const points = factPoints(this.policy, fact, conditions);
    const demanded = this.isDemanded(fact);
    if (conditions.length === 0 && !demanded) return isPlainFlag(fact) ? [NOTHING] : points.slice(0, 1);
    return this.merged(
      points,
      (scope) => {
        const value = scope.read(fact.name);
        const present = (demanded || fact.mayBeAbsent === true) && value !== undefined && value !== false ? 1 : 0;
        return [present, ...conditions.map((condition) => evaluateCondition(scope, condition))];
      },
      fact.name,
    );
  }

  /** Whether some listener takes no mail without it. */
  private isDemanded({ name }: FactDefinition): boolean {
    const listeners = [...this.policy.program.listeners.values()];
    return listeners.some((listener) =>
      name === 'tls' ? listener.tlsRequired : name === 'auth' && listener.authRequired,
    );
  }

  /** An account has no address at all, or every one: what lies between makes no difference to a single sender. */
  private identities(): readonly FactPoint[] {
    if (!this.grants.some(({ ownIdentities }) => ownIdentities)) return [NOTHING];
    const addresses = this.addresses('sender').flatMap(({ value }) => (typeof value === 'string' ? [value] : []));
    return [NOTHING, { value: [...new Set(addresses)], memberOf: new Set(), fresh: false }];
  }

  senders(): readonly FactPoint[] {
    const conditions = this.about('sender');
    const grants = this.policy.program.clients.flatMap(({ senders }) => (senders === undefined ? [] : [senders]));
    const points: FactPoint[] = [{ value: '', memberOf: new Set(), fresh: false }, ...this.addresses('sender')];
    return this.merged(
      points,
      (scope) => {
        const { sender } = scope.facts;
        const address = typeof sender === 'string' ? sender : '';
        return [
          address === '' ? 1 : 0,
          ...conditions.map((condition) => evaluateCondition(scope, condition)),
          ...grants.map((grant) => grantCovers(scope, grant, address)),
        ];
      },
      'sender',
    );
  }

  recipients(): readonly FactPoint[] {
    const conditions = this.about('recipient');
    return this.merged(
      this.addresses('recipient'),
      (scope) => {
        placeRecipient(scope);
        const address = typeof scope.recipient === 'string' ? scope.recipient : '';
        const domain = splitAddress(address)?.domain ?? '';
        const known = knownRecipient(scope);
        const { entry } = acceptedBy(scope, domain);
        return [
          scope.recipient === scope.original ? 0 : 1,
          entry === undefined ? -1 : this.policy.program.domains.indexOf(entry),
          known === undefined ? 2 : known === true ? 1 : 0,
          ...conditions.map((condition) => evaluateCondition(scope, condition)),
          ...this.grants.map((grant) => grantCovers(scope, grant, address)),
        ];
      },
      'recipient',
    );
  }

  private about(prefix: 'sender' | 'recipient'): readonly Condition[] {
    return this.conditions.filter(({ fact }) => fact.name === prefix || fact.name.startsWith(`${prefix}.`));
  }

  /** Everything that is written about addresses of this kind: whole addresses, domains, local parts. */
  private addresses(prefix: 'sender' | 'recipient'): readonly FactPoint[] {
    const about = this.about(prefix);
    const ofType = (type: string): readonly Condition[] => about.filter(({ fact }) => fact.type === type);
    const { domains, rewriting, lists } = this.policy.program;
    const verification = domains.flatMap(({ recipients }) =>
      recipients === undefined ? [] : (lists[recipients]?.entries ?? []),
    );
    const rewritten = rewriting.flatMap((entry) => [
      `${entry.fromLocal}@${entry.fromDomain}`,
      ...(entry.toLocal === '{local}' ? [] : [`${entry.toLocal}@${entry.toDomain}`]),
    ]);
    const addresses = [
      ...textsOfConditions(this.policy, ofType('address')),
      ...this.grants.flatMap((grant) => textsOfMembers(this.policy, grant.addresses)),
      ...(prefix === 'recipient' ? [...verification, ...rewritten] : []),
    ];
    const entries = [
      ...textsOfConditions(this.policy, ofType('domain')),
      ...addresses.filter((text) => !text.includes('@')),
      ...this.grants.flatMap((grant) => textsOfMembers(this.policy, grant.domains)),
      ...domains.flatMap((domain) => textsOfMembers(this.policy, domain.match)),
    ];
    const at = domainValues(entries);
    const words = textsOfConditions(this.policy, ofType('word'));
    const whole = addresses.filter((text) => text.includes('@'));
    return addressPoints(whole, at, words).flatMap(({ value, fresh }) => this.opened(value, fresh));
  }

  /** An address is in open lists by itself, and by its domain; both at once. */
  private opened(address: string, fresh: boolean): readonly FactPoint[] {
    const domain = splitAddress(address)?.domain ?? '';
    return withOpenLists(this.policy, address, fresh, ['address', 'regex', 'word']).flatMap((own) =>
      withOpenLists(this.policy, domain, fresh, ['domain']).map((of) => ({
        ...own,
        memberOf: new Set([...own.memberOf, ...of.memberOf]),
      })),
    );
  }

  /** One point per signature. */
  private merged(
    points: readonly FactPoint[],
    signature: (scope: Scope) => readonly number[],
    fact: string,
  ): readonly FactPoint[] {
    const bySignature = new Map<string, FactPoint>();
    for (const point of points) {
      this.open.clear();
      placePoint(this.open, point);
      const scope = new Scope(this.snapshot, point.value === undefined ? {} : { [fact]: point.value });
      const key = signature(scope).join(',');
      if (!bySignature.has(key)) bySignature.set(key, point);
    }
    return [...bySignature.values()];
  }
}

function domainValues(entries: readonly string[]): readonly string[] {
  const values = new Set(['elsewhere.invalid']);
  for (const entry of entries) {
    values.add(entry.startsWith('.') ? entry.slice(1) : entry);
    if (entry.startsWith('.')) values.add(`below${entry}`);
  }
  return [...values];
}

/** Puts a point's value, and of an address its domain and local part, where the open lists find them. */
export function placePoint(open: OpenLists, point: FactPoint): boolean {
  if (typeof point.value !== 'string') return true;
  if (!open.place(point.value, point.memberOf)) return false;
  const parts = splitAddress(point.value);
  if (parts === undefined) return true;
  // Only lists of their own type: an address list that has the whole address says nothing about its domain.
  const ofDomain = open.ofTypes(point.memberOf, ['domain', 'regex']);
  return open.place(parts.domain, ofDomain) && open.place(parts.local, open.ofTypes(point.memberOf, ['word', 'regex']));
}
