/**
 * The facts of a document as groups, each told everything that is written about it: first all texts, then all sets, so
 * that no cell has to be cut later.
 */
import type { CompiledPolicy } from '../compiled.js';
import type { Condition, Grant, ListenerProgram, ListSlot, Members } from '../program.js';
import type { FactValue, ListenerDefinition } from '../types.js';
import { splitAddress } from '../values/addresses.js';
import { factNamed, type FactDefinition } from '../vocabulary.js';
import { textOf } from './dimension.js';
import { AddressGroup, aspectOf, groupName, setKey, TextGroup, ValueGroup, type Aspect, type Group } from './groups.js';

type ListenerTrait = (listener: ListenerDefinition, program: ListenerProgram) => boolean;

const LISTENER_TRAITS: Readonly<Record<string, ListenerTrait>> = {
  'demands tls': (_, { tlsRequired }) => tlsRequired,
  'demands auth': (_, { authRequired }) => authRequired,
  'always tls': ({ tls }) => tls?.mode === 'implicit',
  'no tls': ({ tls }) => tls === undefined,
  'no certificates': ({ tls }) => tls?.clientCertificates !== 'request',
  'no auth': ({ auth }) => auth === undefined,
  'no greeting delay': ({ greetingDelayMs }) => greetingDelayMs === 0,
  'no auth without tls': ({ auth }) => auth !== undefined && !auth.withoutTls,
};

export class GroupRegister {
  readonly groups: ReadonlyMap<string, Group>;

  constructor(
    private readonly policy: CompiledPolicy,
    conditions: readonly Condition[],
    private readonly always: readonly string[],
  ) {
    const groups = this.makeGroups(conditions);
    this.announceAll(groups, conditions);
    for (const group of groups.values()) group.settle();
    this.registerAll(groups, conditions);
    this.groups = groups;
  }

  private makeGroups(conditions: readonly Condition[]): Map<string, Group> {
    const facts = new Set(conditions.map(({ fact }) => fact));
    for (const name of this.always) {
      const fact = factNamed(name);
      if (fact !== undefined) facts.add(fact);
    }
    const groups = new Map<string, Group>();
    for (const fact of facts) {
      const name = groupName(fact);
      if (fact.name === 'client' || fact.name === 'tag' || groups.has(name)) continue;
      groups.set(name, this.makeGroup(factNamed(name) ?? fact));
    }
    return groups;
  }

  private makeGroup(fact: FactDefinition): Group {
    if (fact.type === 'address') {
      const isRecipient = fact.name === 'recipient';
      return new AddressGroup(fact.name, {
        rewrite: isRecipient ? (address) => this.rewritten(address).address : (address) => address,
        isOurs: (domain) => this.isOurs(domain),
        multiple: fact.multiple === true,
        mayBeAbsent: !isRecipient && fact.multiple !== true,
      });
    }
    if (fact.literal !== undefined) return new TextGroup(fact);
    return new ValueGroup(fact, fact.names === 'listener' ? this.policy.listeners.map(({ name }) => name) : []);
  }

  /** Single pass, first match, as the judge does it. */
  rewritten(address: string): { readonly address: string; readonly external: boolean } {
    const parts = splitAddress(address);
    const local = parts?.local.toLowerCase();
    const entry = this.policy.program.rewriting.find(
      ({ fromDomain, fromLocal }) => fromDomain === parts?.domain && (fromLocal === '*' || fromLocal === local),
    );
    if (entry === undefined || parts === undefined) return { address, external: false };
    const to = entry.toLocal === '{local}' ? parts.local : entry.toLocal;
    return { address: `${to}@${entry.toDomain}`, external: entry.external };
  }

  private isOurs(domain: string): boolean {
    const { domains, lists } = this.policy.program;
    return domains.some(
      ({ match }) =>
        match.literals?.match(domain, false) !== undefined ||
        match.slots.some((slot) => lists[slot]?.inline?.match(domain, false) !== undefined),
    );
  }

  private announceAll(groups: ReadonlyMap<string, Group>, conditions: readonly Condition[]): void {
    const { rewriting, clients, domains } = this.policy.program;
    for (const { fact, set } of conditions) {
      const group = groups.get(groupName(fact));
      if (group === undefined) continue;
      if (set.kind === 'members') this.announceMembers(group, aspectOf(fact), set.members);
      else group.announceSet(set);
    }
    const sender = groups.get('sender');
    const recipient = groups.get('recipient');
    for (const client of clients) {
      if (sender !== undefined && client.senders !== undefined) this.announceGrant(sender, client.senders);
      if (recipient !== undefined && typeof client.relay === 'object') this.announceGrant(recipient, client.relay);
    }
    if (recipient === undefined) return;
    for (const { match, recipients } of domains) {
      this.announceMembers(recipient, 'domain', match);
      if (recipients !== undefined) this.announceSlot(recipient, 'address', recipients);
    }
    for (const { fromLocal, fromDomain, toLocal, toDomain } of rewriting) {
      recipient.announce('address', `${fromLocal}@${fromDomain}`);
      recipient.announce('address', `${toLocal === '{local}' ? '*' : toLocal}@${toDomain}`);
    }
  }

  private announceGrant(group: Group, grant: Grant): void {
    this.announceMembers(group, 'domain', grant.domains);
    this.announceMembers(group, 'address', grant.addresses);
  }

  private announceMembers(group: Group, aspect: Aspect, members: Members): void {
    for (const text of members.literalTexts) group.announce(aspect, text);
    for (const slot of members.slots) this.announceSlot(group, aspect, slot);
  }

  private announceSlot(group: Group, aspect: Aspect, slot: number): void {
    const list = this.policy.program.lists[slot];
    if (list === undefined || list.type === 'regex') return;
    for (const text of list.entries) group.announce(aspect, text);
    const bound = this.boundOf(list);
    for (const text of bound?.entries ?? []) group.announce(bound?.type === 'domain' ? 'domain' : aspect, text);
  }

  private boundOf(list: ListSlot): ListSlot | undefined {
    return list.within === undefined ? undefined : this.policy.program.lists.find(({ name }) => name === list.within);
  }

  /** Everything that will be asked, so that no cell has to be cut later. */
  private registerAll(groups: ReadonlyMap<string, Group>, conditions: readonly Condition[]): void {
    for (const group of groups.values()) {
      group.raw.register('absent', () => (group.absent === undefined ? [] : [group.absent]));
    }
    for (const condition of conditions) {
      const group = groups.get(groupName(condition.fact));
      if (group === undefined) continue;
      if (condition.set.kind === 'members') this.members(group, aspectOf(condition.fact), condition.set.members);
      else this.plain(group, condition);
    }
    this.registerDemands(groups);
    const { clients, domains } = this.policy.program;
    for (const name of ['sender', 'recipient']) {
      const group = groups.get(name);
      if (group === undefined) continue;
      for (const client of clients) {
        const grant = name === 'sender' ? client.senders : client.relay;
        if (typeof grant === 'object') this.registerGrant(group, grant);
      }
    }
    const recipient = groups.get('recipient');
    if (recipient === undefined) return;
    for (const { match, recipients } of domains) {
      this.members(recipient, 'domain', match);
      if (recipients !== undefined) this.registerSlot(recipient, 'address', recipients);
    }
    recipient.raw.register('external', () => this.externalPoints(recipient));
  }

  /** What listeners demand and offer, and the flags of a session. */
  private registerDemands(groups: ReadonlyMap<string, Group>): void {
    const listener = groups.get('listener');
    for (const [trait, has] of Object.entries(LISTENER_TRAITS)) {
      listener?.raw.register(trait, () => pointsWhere(listener, (value) => this.hasTrait(textOf(value), has)));
    }
    for (const name of ['tls', 'auth']) {
      const fact = groups.get(name);
      fact?.raw.register('missing', () => pointsWhere(fact, (value) => value === undefined || value === false));
    }
  }

  private hasTrait(name: string, has: ListenerTrait): boolean {
    const program = this.policy.program.listeners.get(name);
    const listener = this.policy.listeners.find((each) => each.name === name);
    return program !== undefined && listener !== undefined && has(listener, program);
  }

  private *externalPoints(recipient: Group): Generator<number> {
    for (const [point, { value }] of recipient.raw.points.entries()) {
      if (this.rewritten(textOf(value)).external) yield point;
    }
  }

  private registerGrant(group: Group, grant: Grant): void {
    this.members(group, 'domain', grant.domains);
    this.members(group, 'address', grant.addresses);
  }

  plain(group: Group, condition: Condition): number {
    if (condition.fact.name === 'sender.null') {
      const wanted = condition.set.kind === 'booleans' && condition.set.booleans.has(true);
      const other = condition.set.kind === 'booleans' && condition.set.booleans.has(false);
      return group.raw.register(`null ${String(wanted)} ${String(other)}`, () =>
        [...group.raw.points.keys()].filter((point) => (point === group.absent ? wanted : other)),
      );
    }
    return group.raw.register(setKey(condition), () => group.inSet(condition.set));
  }

  members(group: Group, aspect: Aspect, members: Members): readonly number[] {
    const texts = members.literalTexts;
    const literals = group.raw.register(`${aspect} ${texts.join(' ')}`, () => coveredBy(group, aspect, texts));
    return [literals, ...members.slots.flatMap((slot) => this.registerSlot(group, aspect, slot))];
  }

  /** The handle of an inline list; an open list gets a dimension instead. */
  private registerSlot(group: Group, aspect: Aspect, slot: number): readonly number[] {
    const list = this.policy.program.lists[slot];
    if (list === undefined) return [];
    if (list.inline !== undefined && list.type !== 'regex') {
      return [group.raw.register(`${aspect} list ${String(slot)}`, () => coveredBy(group, aspect, list.entries))];
    }
    const sides = this.sidesOf(group, aspect, list);
    group.raw.register(`${aspect} inside ${String(slot)}`, () => sides.inside());
    group.raw.register(`${aspect} outside ${String(slot)}`, () => sides.outside());
    return [];
  }

  /** Points that may be in an open list, and points that may be outside. */
  private sidesOf(
    group: Group,
    aspect: Aspect,
    list: ListSlot,
  ): { readonly inside: () => Iterable<number>; readonly outside: () => Iterable<number> } {
    const all = [...group.raw.points.keys()];
    const present = all.filter((point) => point !== group.absent);
    if (list.type === 'regex') {
      const verdicts = new Map(present.map((point) => [point, this.patternSays(group, aspect, point, list)]));
      return {
        inside: () => present.filter((point) => verdicts.get(point) !== false),
        outside: () => all.filter((point) => verdicts.get(point) !== true),
      };
    }
    const bound = this.boundOf(list);
    const boundAspect = bound?.type === 'domain' ? 'domain' : aspect;
    const isOriginal = aspect === 'original' || bound === undefined;
    return {
      inside: () => (isOriginal ? present : coveredBy(group, boundAspect, bound.entries)),
      outside: () => all,
    };
  }

  private patternSays(group: Group, aspect: Aspect, point: number, list: ListSlot): boolean | undefined {
    const text = group.textOf(aspect, point);
    return text === undefined ? undefined : list.inline?.match(text, false) !== undefined;
  }
}

function pointsWhere(group: Group, isMeant: (value: FactValue | undefined) => boolean): readonly number[] {
  return [...group.raw.points.keys()].filter((point) => isMeant(group.raw.points[point]?.value));
}

function* coveredBy(group: Group, aspect: Aspect, texts: readonly string[]): Generator<number> {
  for (const text of texts) yield* group.covered(aspect, text);
}
