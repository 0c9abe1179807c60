/** The facts that share a dimension: an address with its parts, or one fact alone. */
import { matchesClock } from '../conditions.js';
import type { Bounds, Condition, ValueSet } from '../program.js';
import type { FactValue } from '../types.js';
import { splitAddress } from '../values/addresses.js';
import type { FactDefinition } from '../vocabulary.js';
import { RawDimension, textOf } from './dimension.js';
import { AddressCover, DomainCover, NetworkCover, WordCover, type Aspect, type TextCover } from './texts.js';

export type { Aspect } from './texts.js';

export function aspectOf(fact: FactDefinition): Aspect {
  if (fact.name === 'recipient.original') return 'original';
  if (fact.type === 'domain') return 'domain';
  return fact.type === 'address' ? 'address' : 'local';
}

/** `sender.domain` belongs to `sender`; every other fact to itself. */
export function groupName(fact: FactDefinition): string {
  const base = fact.name.split('.')[0] ?? '';
  const isPart = fact.derived === true && ADDRESS_GROUPS.includes(base);
  return isPart ? base : fact.name;
}

const ADDRESS_GROUPS: readonly string[] = ['sender', 'recipient', 'from'];

export interface Group {
  readonly raw: RawDimension;
  /** Several values at once: each cell is a dimension of its own. */
  readonly multiple: boolean;
  /** The point of the absent fact, after `settle`. */
  readonly absent: number | undefined;
  announce(aspect: Aspect, text: string): void;
  /** Numbers and times that conditions compare with. */
  announceSet(set: ValueSet): void;
  settle(): void;
  covered(aspect: Aspect, text: string): Iterable<number>;
  /** Points of a set that is not made of texts. */
  inSet(set: ValueSet): Iterable<number>;
  /** The text that a pattern is compared with; undefined where the point stands for many. */
  textOf(aspect: Aspect, point: number): string | undefined;
}

export interface AddressGroupOptions {
  readonly rewrite: (address: string) => string;
  readonly isOurs: (domain: string) => boolean;
  readonly multiple: boolean;
  /** The null sender, or a header field that is not there. */
  readonly mayBeAbsent: boolean;
}

export class AddressGroup implements Group {
  readonly raw: RawDimension;
  readonly multiple: boolean;
  absent: number | undefined;
  private readonly cover: AddressCover;
  private readonly freshDomains = new Set<string>();
  private somebody = '';
  private preferred = 0;

  constructor(
    name: string,
    private readonly options: AddressGroupOptions,
  ) {
    this.raw = new RawDimension(name, () => this.preferred);
    this.multiple = options.multiple;
    this.cover = new AddressCover(this.raw, options.rewrite, options.isOurs);
  }

  announce(aspect: Aspect, text: string): void {
    this.cover.announce(aspect, text);
  }

  announceSet(): void {
    // An address is compared with texts only.
  }

  settle(): void {
    const generic = this.cover.settle();
    const usual = generic.find(({ domain }) => this.options.isOurs(domain)) ?? generic[0];
    this.preferred = this.raw.name === 'recipient' ? (usual?.point ?? 0) : 0;
    for (const { domain, point } of generic) {
      const { value, fresh } = this.raw.points[point] ?? {};
      if (fresh === true) this.freshDomains.add(domain);
      this.somebody = splitAddress(textOf(value))?.local ?? '';
    }
    if (this.options.mayBeAbsent) this.absent = this.raw.add('', false);
  }

  covered(aspect: Aspect, text: string): Iterable<number> {
    return this.cover.covered(aspect, text);
  }

  inSet(set: ValueSet): Iterable<number> {
    return set.kind === 'any' ? presentPoints(this) : [];
  }

  textOf(aspect: Aspect, point: number): string | undefined {
    const written = textOf(this.raw.points[point]?.value);
    const address = aspect === 'original' ? written : this.options.rewrite(written);
    const parts = splitAddress(address);
    if (parts === undefined) return undefined;
    const isFresh = { domain: this.freshDomains.has(parts.domain), local: parts.local === this.somebody };
    if (aspect === 'domain') return isFresh.domain ? undefined : parts.domain;
    if (aspect === 'local') return isFresh.local ? undefined : parts.local;
    return isFresh.domain || isFresh.local ? undefined : address;
  }
}

function* presentPoints(group: Pick<Group, 'raw' | 'absent'>): Generator<number> {
  for (const point of group.raw.points.keys()) if (point !== group.absent) yield point;
}

/** Facts that are compared with networks, domains or words. */
export class TextGroup implements Group {
  readonly raw: RawDimension;
  readonly multiple: boolean;
  absent: number | undefined;
  private readonly cover: TextCover;

  constructor(private readonly fact: FactDefinition) {
    this.multiple = fact.multiple === true;
    if (fact.type === 'network') {
      this.raw = new RawDimension(fact.name, () => networks.usual());
      const networks = new NetworkCover(this.raw);
      this.cover = networks;
    } else {
      this.raw = new RawDimension(fact.name);
      this.cover = fact.type === 'domain' ? new DomainCover(this.raw) : new WordCover(this.raw);
    }
  }

  announce(_aspect: Aspect, text: string): void {
    this.cover.announce(text);
  }

  announceSet(): void {
    // Texts only.
  }

  settle(): void {
    this.cover.settle();
    if (!this.multiple && this.fact.mayBeAbsent === true) this.absent = this.raw.add(undefined, false);
  }

  covered(_aspect: Aspect, text: string): Iterable<number> {
    return this.cover.covered(text);
  }

  inSet(set: ValueSet): Iterable<number> {
    return set.kind === 'any' ? presentPoints(this) : [];
  }

  textOf(_aspect: Aspect, point: number): string | undefined {
    const { value, fresh } = this.raw.points[point] ?? {};
    return fresh === true || typeof value !== 'string' ? undefined : value;
  }
}

const DAY = '2026-06-15';

/** Words of a vocabulary, numbers, booleans, times of day. */
export class ValueGroup implements Group {
  readonly raw: RawDimension;
  readonly multiple: boolean;
  absent: number | undefined;
  private readonly values = new Set<FactValue>();

  constructor(
    private readonly fact: FactDefinition,
    names: readonly string[],
  ) {
    this.raw = new RawDimension(fact.name);
    this.multiple = fact.multiple === true;
    for (const value of fact.type === 'boolean' ? [false, true] : (fact.values ?? names)) this.values.add(value);
    if (fact.type === 'number' || fact.type === 'size') this.values.add(1);
  }

  announce(): void {
    // Not compared with texts.
  }

  announceSet(set: ValueSet): void {
    for (const value of edgesOf(set)) if (value >= 0) this.values.add(value);
    if (set.kind === 'clock' && !this.values.has(`${DAY}T00:00:00.000Z`)) {
      for (let minute = 0; minute < 1440; minute += 1) {
        this.values.add(new Date(Date.parse(`${DAY}T00:00:00Z`) + minute * 60_000).toISOString());
      }
    }
  }

  settle(): void {
    if (!this.multiple && this.fact.mayBeAbsent === true) this.absent = this.raw.add(undefined, false);
    for (const value of this.values) this.raw.add(value, false);
  }

  covered(): Iterable<number> {
    return [];
  }

  *inSet(set: ValueSet): Generator<number> {
    for (const [point, { value }] of this.raw.points.entries()) {
      if (value !== undefined && isInSet(set, value)) yield point;
    }
  }

  textOf(): string | undefined {
    return undefined;
  }
}

function edgesOf(set: ValueSet): readonly number[] {
  if (set.kind === 'numbers') return [...set.numbers].flatMap((number) => [number, number + 1]);
  if (set.kind !== 'bounds') return [];
  const edges = [set.bounds.min, set.bounds.max].filter((edge) => Number.isFinite(edge));
  return edges.flatMap((edge) => [Math.ceil(edge) - 1, Math.ceil(edge), Math.floor(edge) + 1]);
}

function isInSet(set: ValueSet, value: FactValue): boolean {
  switch (set.kind) {
    case 'any':
      return true;
    case 'words':
      return typeof value === 'string' && set.words.has(value);
    case 'booleans':
      return typeof value === 'boolean' && set.booleans.has(value);
    case 'numbers':
      return typeof value === 'number' && set.numbers.has(value);
    case 'bounds':
      return typeof value === 'number' && isWithinBounds(set.bounds, value);
    case 'clock':
      return typeof value === 'string' && matchesClock(set, value) === 1;
    case 'members':
      return false;
  }
}

function isWithinBounds({ min, max, minIncluded, maxIncluded }: Bounds, value: number): boolean {
  return (minIncluded ? value >= min : value > min) && (maxIncluded ? value <= max : value < max);
}

/** What tells two sets of values apart, apart from negation. */
export function setKey({ set }: Condition): string {
  switch (set.kind) {
    case 'members':
      return `m ${set.members.literalTexts.join(' ')} / ${set.members.slots.join(' ')}`;
    case 'any':
      return 'any';
    case 'words':
      return `w ${[...set.words].join(' ')}`;
    case 'booleans':
      return `b ${[...set.booleans].join(' ')}`;
    case 'numbers':
      return `n ${[...set.numbers].join(' ')}`;
    case 'bounds':
      return `r ${JSON.stringify([set.bounds.min, set.bounds.minIncluded, set.bounds.max, set.bounds.maxIncluded])}`;
    case 'clock':
      return `c ${String(set.from)} ${String(set.to)} ${set.zone.resolvedOptions().timeZone}`;
  }
}
