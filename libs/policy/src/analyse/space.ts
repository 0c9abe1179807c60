/**
 * All transactions that a document can tell apart, as the product of its dimensions, and every condition as boxes in it.
 *
 * Members that the document does not tell (managed lists; patterns, on values that nobody wrote) are open: whether a value
 * is in such a list is a dimension of its own, bounded by `within`. Nothing is sampled: what holds for all boxes holds for
 * all transactions, as long as every fact is known.
 */
import type { CompiledPolicy } from '../compiled.js';
import type { Condition, Grant, Members } from '../program.js';
import { combine, constrain, EVERYTHING, type Atom, type Case, type Frame } from './box.js';
import { cells, complement, EVERY_CELL, NO_CELL, uniteCells, type CellSet } from './cells.js';
import { aspectOf, groupName, setKey, type Aspect, type Group } from './groups.js';
import { GroupRegister } from './register.js';

/** A set of values: cells, and the dimensions of open lists that may have more of them. */
interface Cover {
  readonly inside: CellSet;
  readonly open: readonly number[];
}

export interface PlacedGroup {
  readonly group: Group;
  /** Its dimension; of a fact with several values, one per cell. */
  readonly dimensions: readonly number[];
}

const YES_CELL = cells([1]);
const NO_ONLY = cells([0]);
/** `all: x` and `none` on facts of several values name every other value; with more of them the fact is left open. */
const MOST_ELEMENTS = 300;

export const ALWAYS: readonly Case[] = [{ box: EVERYTHING, client: EVERY_CELL, tags: [] }];

export class Space implements Frame {
  readonly sizes: number[] = [];
  readonly atoms = new Map<number, Atom>();
  /** Dimensions whose open list may be forced by the value: patterns. By dimension of the value. */
  readonly openOf = new Map<number, number[]>();
  /** Open lists: what their dimension says is a member of what. */
  readonly memberships = new Map<number, { readonly slot: number; readonly group: string; readonly aspect: Aspect }>();
  readonly groups = new Map<string, PlacedGroup>();
  readonly tags: readonly string[];
  readonly clients: readonly string[];
  private readonly atomByKey = new Map<string, number>();
  private readonly opaque = new Map<string, number>();
  private readonly register: GroupRegister;

  constructor(
    readonly policy: CompiledPolicy,
    conditions: readonly Condition[],
    /** Facts that are looked at although no condition asks for them. */
    always: readonly string[] = ['ip', 'listener', 'sender', 'recipient'],
  ) {
    const { clients, acl } = policy.program;
    this.clients = clients.map(({ name }) => name);
    const given = Object.values(acl).flatMap((rules) => rules.flatMap((rule) => rule.tags));
    this.tags = [...new Set(given)];
    this.register = new GroupRegister(policy, conditions, always);
    for (const [name, group] of this.register.groups) {
      this.groups.set(name, { group, dimensions: this.dimensionsOf(group) });
    }
  }

  /** Single pass, first match, as the judge does it. */
  rewritten(address: string): { readonly address: string; readonly external: boolean } {
    return this.register.rewritten(address);
  }

  private dimensionsOf(group: Group): readonly number[] {
    if (!group.multiple) return [this.newDimension(group.raw.dimension.size)];
    return group.raw.dimension.values.map(() => this.newDimension(2));
  }

  private newDimension(size: number): number {
    return this.sizes.push(size) - 1;
  }

  /** The dimension of one value, that is not of several. */
  single(name: string): number | undefined {
    const placed = this.groups.get(name);
    return placed === undefined || placed.group.multiple ? undefined : placed.dimensions[0];
  }

  private openDimension(name: string, aspect: Aspect, slot: number): number {
    const key = `${name} ${aspect} ${String(slot)}`;
    const known = this.atomByKey.get(key);
    if (known !== undefined) return known;
    const dimension = this.newDimension(2);
    this.atomByKey.set(key, dimension);
    this.memberships.set(dimension, { slot, group: name, aspect });
    const placed = this.groups.get(name);
    const main = this.single(name);
    if (placed === undefined || main === undefined) return dimension;
    const { raw } = placed.group;
    const inside = raw.cellsOf(raw.register(`${aspect} inside ${String(slot)}`, () => []));
    const outside = raw.cellsOf(raw.register(`${aspect} outside ${String(slot)}`, () => []));
    this.atoms.set(dimension, { main, inside, outside });
    this.openOf.set(main, [...(this.openOf.get(main) ?? []), dimension]);
    return dimension;
  }

  private coverOf(name: string, aspect: Aspect, members: Members): Cover {
    const placed = this.groups.get(name);
    if (placed === undefined) return { inside: NO_CELL, open: [] };
    const { raw } = placed.group;
    const inside = this.register
      .members(placed.group, aspect, members)
      .reduce<CellSet>((all, handle) => uniteCells(all, raw.cellsOf(handle)), NO_CELL);
    const { lists } = this.policy.program;
    const open = members.slots.filter((slot) => lists[slot]?.inline === undefined || lists[slot].type === 'regex');
    return { inside, open: open.map((slot) => this.openDimension(name, aspect, slot)) };
  }

  /** Cases in which the value is covered; with `wanted` false, in which it is not. */
  private casesOf(name: string, cover: Cover, wanted: boolean): readonly Case[] {
    const dimension = this.single(name);
    if (dimension === undefined) return wanted ? [] : ALWAYS;
    if (wanted) {
      return [...this.only(dimension, cover.inside), ...cover.open.flatMap((open) => this.only(open, YES_CELL))];
    }
    return cover.open.reduce(
      (all, open) => combine(this, all, this.only(open, NO_ONLY)),
      this.only(dimension, complement(cover.inside)),
    );
  }

  /** One case: the dimension's value is in the set. None, where the set is empty. */
  only(dimension: number, set: CellSet): readonly Case[] {
    const box = constrain(this, EVERYTHING, dimension, set);
    return box === undefined ? [] : [{ box, client: EVERY_CELL, tags: [] }];
  }

  /** The condition, or its opposite, as cases. */
  conditionCases(condition: Condition, wanted: boolean): readonly Case[] {
    const holds = condition.negated ? !wanted : wanted;
    const { fact, set } = condition;
    if (fact.name === 'client') return this.clientCases(condition, holds);
    if (fact.name === 'tag') return this.tagCases(condition, holds);
    if (fact.name === 'recipient.known') return this.knownCases(condition, holds);
    const name = groupName(fact);
    const placed = this.groups.get(name);
    if (placed === undefined) return ALWAYS;
    if (placed.group.multiple) return this.multipleCases(condition, placed, holds);
    const { raw } = placed.group;
    const cover: Cover =
      set.kind === 'members'
        ? this.coverOf(name, aspectOf(fact), set.members)
        : { inside: raw.cellsOf(this.register.plain(placed.group, condition)), open: [] };
    const absent = condition.none ? raw.cellsOf(raw.register('absent', () => [])) : NO_CELL;
    return this.casesOf(name, { ...cover, inside: uniteCells(cover.inside, absent) }, holds);
  }

  private clientCases({ set, none }: Condition, holds: boolean): readonly Case[] {
    const words = set.kind === 'words' ? set.words : new Set<string>();
    const named = this.clients.flatMap((name, index) => (words.has(name) || set.kind === 'any' ? [index + 1] : []));
    const inside = cells(none ? [0, ...named] : named);
    const client = holds ? inside : complement(inside);
    const isNobody = client.negated ? client.ids.length > this.clients.length : client.ids.length === 0;
    return isNobody ? [] : [{ box: EVERYTHING, client, tags: [] }];
  }

  private tagCases({ set, none, every }: Condition, holds: boolean): readonly Case[] {
    const words = set.kind === 'words' ? set.words : new Set(this.tags);
    const wanted = this.tags.flatMap((name, tag) => (words.has(name) ? [tag] : []));
    if (none || every) return ALWAYS; // rare, and then left open
    const one = (tag: number, given: boolean): Case => ({
      box: EVERYTHING,
      client: EVERY_CELL,
      tags: [{ tag, given }],
    });
    if (holds) return wanted.map((tag) => one(tag, true));
    return wanted.reduce<readonly Case[]>((all, tag) => combine(this, all, [one(tag, false)]), ALWAYS);
  }

  /** Facts of several values: a cell is a value that may be among them. */
  private multipleCases(condition: Condition, placed: PlacedGroup, holds: boolean): readonly Case[] {
    const { set, fact, every, none } = condition;
    const { dimensions, group } = placed;
    const members = set.kind === 'members' ? set.members : undefined;
    const isOpen = members?.slots.some((slot) => this.isOpenSlot(slot)) === true;
    if (isOpen || ((every || none) && dimensions.length > MOST_ELEMENTS)) {
      return this.only(this.opaqueDimension(condition), holds ? YES_CELL : NO_ONLY);
    }
    const { register } = this;
    const handles =
      members === undefined ? [register.plain(group, condition)] : register.members(group, aspectOf(fact), members);
    const inside = handles.reduce<CellSet>((all, handle) => uniteCells(all, group.raw.cellsOf(handle)), NO_CELL);
    const chosen = inside.ids.flatMap((cell) => dimensions[cell] ?? []);
    if (every || none) return this.wholeCases({ every, dimensions, chosen }, holds);
    return holds ? this.some(chosen) : this.no(chosen);
  }

  /** Every value is among the chosen, and there is one; or some is, or there is no value at all. */
  private wholeCases(
    of: { readonly every: boolean; readonly dimensions: readonly number[]; readonly chosen: readonly number[] },
    holds: boolean,
  ): readonly Case[] {
    const { every, dimensions, chosen } = of;
    const others = dimensions.filter((dimension) => !chosen.includes(dimension));
    if (every) {
      if (holds) return combine(this, this.some(chosen), this.no(others));
      return [...this.no(chosen), ...this.some(others)];
    }
    return holds ? [...this.some(chosen), ...this.no(dimensions)] : combine(this, this.no(chosen), this.some(others));
  }

  private some(of: readonly number[]): readonly Case[] {
    return of.flatMap((dimension) => this.only(dimension, YES_CELL));
  }

  private no(of: readonly number[]): readonly Case[] {
    return of.reduce((all, dimension) => combine(this, all, this.only(dimension, NO_ONLY)), ALWAYS);
  }

  private isOpenSlot(slot: number): boolean {
    const list = this.policy.program.lists[slot];
    return list?.inline === undefined || list.type === 'regex';
  }

  /** A condition that is looked at as a whole: it may hold or not. The same text is the same question. */
  private opaqueDimension(condition: Condition): number {
    const key = `${condition.fact.name} ${String(condition.every)} ${String(condition.none)} ${setKey(condition)}`;
    const known = this.opaque.get(key) ?? this.newDimension(2);
    this.opaque.set(key, known);
    return known;
  }

  /** Cases in which the i-th entry of `domains` is the recipient's. */
  private entryCases(index: number): readonly Case[] {
    const { domains } = this.policy.program;
    let cases: readonly Case[] = ALWAYS;
    for (const [at, { match }] of domains.slice(0, index + 1).entries()) {
      const cover = this.coverOf('recipient', 'domain', match);
      cases = combine(this, cases, this.casesOf('recipient', cover, at === index));
    }
    return cases;
  }

  /** Cases in which the recipient is of a domain of ours, or of none. */
  acceptedCases(wanted: boolean): readonly Case[] {
    const covers = this.policy.program.domains.map(({ match }) => this.coverOf('recipient', 'domain', match));
    const all: Cover = {
      inside: covers.reduce<CellSet>((union, { inside }) => uniteCells(union, inside), NO_CELL),
      open: [...new Set(covers.flatMap(({ open }) => open))],
    };
    return this.casesOf('recipient', all, wanted);
  }

  /** Cases in which a list has the recipient, by entry of `domains`. */
  listedCases(wanted: boolean): readonly Case[] {
    return this.policy.program.domains.flatMap(({ recipients }, index) => {
      if (recipients === undefined) return wanted ? this.entryCases(index) : [];
      const cover = this.coverOf('recipient', 'address', { slots: [recipients], literalTexts: [] });
      return combine(this, this.entryCases(index), this.casesOf('recipient', cover, wanted));
    });
  }

  private knownCases({ set, none }: Condition, holds: boolean): readonly Case[] {
    const booleans = set.kind === 'booleans' ? set.booleans : new Set([true, false]);
    const cases: Case[] = [];
    if (booleans.has(true) === holds) cases.push(...this.listedCases(true));
    if (booleans.has(false) === holds) cases.push(...this.listedCases(false));
    if (none === holds) cases.push(...this.acceptedCases(false));
    return cases;
  }

  /** Cases in which the grant does not cover the address, of `sender` or `recipient`. */
  notGrantedCases(name: string, grant: Grant): readonly Case[] {
    const domains = this.casesOf(name, this.coverOf(name, 'domain', grant.domains), false);
    const addresses = this.casesOf(name, this.coverOf(name, 'address', grant.addresses), false);
    const listed = combine(this, domains, addresses);
    return grant.ownIdentities ? combine(this, listed, this.only(this.ownIdentity(), NO_ONLY)) : listed;
  }

  /** Whether the sender is an identity of the account; absent when no client asks for it. */
  get ownIdentityDimension(): number | undefined {
    return this.opaque.get('own identity');
  }

  private ownIdentity(): number {
    const known = this.opaque.get('own identity') ?? this.newDimension(2);
    this.opaque.set('own identity', known);
    return known;
  }

  /** Cases in which the fact is there, or is not; without a group for it, nobody asks, and nothing is said. */
  presence(name: string, wanted: boolean): readonly Case[] {
    const placed = this.groups.get(name);
    if (placed === undefined) return [];
    const { group, dimensions } = placed;
    if (group.multiple) {
      if (wanted) return dimensions.flatMap((dimension) => this.only(dimension, YES_CELL));
      return dimensions.reduce((all, dimension) => combine(this, all, this.only(dimension, NO_ONLY)), ALWAYS);
    }
    const absent = this.named(name, 'absent');
    const [dimension = 0] = dimensions;
    return this.only(dimension, wanted ? complement(absent) : absent);
  }

  /** A set that was registered under its key. */
  named(name: string, key: string): CellSet {
    const placed = this.groups.get(name);
    return placed === undefined ? NO_CELL : placed.group.raw.cellsOf(placed.group.raw.register(key, () => []));
  }
}
