/** Conditions as written → `fact ∈ set`. Their shape has been checked; here names must exist and literals make sense. */
import type { Conditions, Operand, Range, Scalar, TimeRange } from '../conditions-schema.js';
import { joinPointer } from '../findings.js';
import { nearest } from '../nearest.js';
import type { Bounds, Condition, ValueSet } from '../program.js';
import { parseSizeBytes, parseTimeOfDay } from '../values/units.js';
import { factNamed, type FactDefinition } from '../vocabulary.js';
import type { CompileContext, NameKind } from './context.js';
import { spellingOf } from './spelling.js';
import type { PlainListType } from '../sets/entries.js';
import { compileMembers, eachValue } from './members.js';

/** Cheap comparisons first: with Kleene's logic the order can not matter. */
const COST: Readonly<Record<ValueSet['kind'], number>> = {
  any: 0,
  words: 0,
  booleans: 0,
  numbers: 0,
  bounds: 0,
  members: 1,
  clock: 2,
};

export interface ConditionRules {
  /** Set when a value that is in the set gives rights, and for which right. */
  readonly grant?: string;
  /** Set when a value that is *not* in the set gives rights. */
  readonly negatedGrant?: string;
}

interface Plain {
  readonly operand: Scalar | readonly Scalar[] | Range | TimeRange;
  readonly pointer: string;
  readonly negated: boolean;
  readonly every: boolean;
}

function unwrap(operand: Operand, pointer: string): Plain {
  if (typeof operand === 'object' && !Array.isArray(operand)) {
    if ('not' in operand) {
      const inner = unwrap(operand.not, joinPointer(pointer, 'not'));
      return { ...inner, negated: !inner.negated };
    }
    if ('all' in operand) return { ...unwrap(operand.all, joinPointer(pointer, 'all')), every: true };
  }
  return { operand, pointer, negated: false, every: false };
}

/** How a condition reads in an explanation. */
function printOperand(operand: Operand): string {
  if (Array.isArray(operand)) return `[${operand.map(String).join(', ')}]`;
  if (typeof operand !== 'object') return String(operand);
  const parts = Object.entries(operand).map(([key, value]) => `${key}: ${printOperand(value as Operand)}`);
  return `{ ${parts.join(', ')} }`;
}

export function compileConditions(
  context: CompileContext,
  conditions: Conditions | undefined,
  pointer: string,
  rules: ConditionRules = {},
): readonly Condition[] {
  const compiled: Condition[] = [];
  if (conditions !== undefined && context.complete && Object.keys(conditions).length === 0) {
    context.findings.blocks('D2', pointer, 'missing condition, expected at least one fact');
  }
  for (const [name, operand] of Object.entries(conditions ?? {})) {
    const fact = factNamed(name);
    if (fact === undefined || operand === undefined) continue;
    compiled.push(compileCondition(context, fact, operand, { pointer: joinPointer(pointer, name), rules }));
  }
  return compiled.sort((a, b) => COST[a.set.kind] - COST[b.set.kind]);
}

function compileCondition(
  context: CompileContext,
  fact: FactDefinition,
  operand: Operand,
  where: { readonly pointer: string; readonly rules: ConditionRules },
): Condition {
  const plain = unwrap(operand, where.pointer);
  const scalars = Array.isArray(plain.operand) ? (plain.operand as readonly Scalar[]) : [plain.operand];
  const none = scalars.includes('none');
  const grant = plain.negated ? where.rules.negatedGrant : where.rules.grant;
  return {
    fact,
    negated: plain.negated,
    every: plain.every,
    none,
    set: compileSet(context, fact, plain, grant),
    text: `${fact.name}: ${printOperand(operand)}`,
    pointer: where.pointer,
  };
}

function isObject(operand: Plain['operand']): operand is Range | TimeRange {
  return typeof operand === 'object' && !Array.isArray(operand);
}

function compileSet(context: CompileContext, fact: FactDefinition, plain: Plain, grant: string | undefined): ValueSet {
  const { operand, pointer } = plain;
  if (isObject(operand)) {
    return 'zone' in operand
      ? compileClock(context, operand, pointer)
      : { kind: 'bounds', bounds: compileBounds(context, operand, pointer, fact.type === 'size') };
  }
  // `none` is absence, and of some facts a value besides.
  const isValue = fact.values?.includes('none') === true;
  const values = eachValue<Scalar>(operand, pointer).filter(({ value }) => isValue || value !== 'none');
  const { literal } = fact;
  if (fact.any === true && operand === 'any') return { kind: 'any' };
  if (literal !== undefined) return compileMemberSet(context, { fact, literal, operand, pointer, grant });
  if (fact.type === 'name') {
    for (const { value, pointer: at } of values) requireNamed(context, fact, String(value), at);
  }
  return valuesAsSet(
    fact,
    values.map(({ value }) => value),
  );
}

function valuesAsSet(fact: FactDefinition, values: readonly Scalar[]): ValueSet {
  switch (fact.type) {
    case 'boolean':
      return { kind: 'booleans', booleans: new Set(values.map((value) => value === true)) };
    case 'number':
    case 'size':
      return { kind: 'numbers', numbers: new Set(values.map(Number)) };
    default:
      return { kind: 'words', words: new Set(values.map(String)) };
  }
}

interface MemberOperand {
  readonly fact: FactDefinition;
  readonly literal: PlainListType;
  readonly operand: Scalar | readonly Scalar[];
  readonly pointer: string;
  readonly grant: string | undefined;
}

/** Lists and literals. Words in brackets are literals, `none` among them too. */
function compileMemberSet(
  context: CompileContext,
  { fact, literal, operand, pointer, grant }: MemberOperand,
): ValueSet {
  const literalsOnly = literal === 'word' && Array.isArray(operand);
  const rules = { lists: fact.lists, literal, literalsOnly, ...(grant === undefined ? {} : { grant }) };
  const spelling = spellingOf(fact);
  const spelt = spelling === undefined ? rules : { ...rules, spelling };
  return { kind: 'members', members: compileMembers(context, writtenMembers(operand, literalsOnly), pointer, spelt) };
}

/** Without `none`, which is no member; in brackets a word may be called `none`. */
function writtenMembers(operand: Scalar | readonly Scalar[], literalsOnly: boolean): string | readonly string[] {
  if (!Array.isArray(operand)) return operand === 'none' ? [] : String(operand);
  const texts = (operand as readonly Scalar[]).map(String);
  return literalsOnly ? texts : texts.filter((text) => text !== 'none');
}

function requireNamed(context: CompileContext, fact: FactDefinition, name: string, pointer: string): void {
  const kind: NameKind = fact.names ?? 'list';
  if (kind !== 'tag') {
    context.requireName(kind, name, pointer);
  } else if (!context.names.tag.has(name)) {
    const guess = nearest(name, context.names.tag);
    const hint = guess === undefined ? ', expected a tag that some rule gives' : `, did you mean \`${guess}\`?`;
    context.findings.blocks('D4', pointer, `no rule gives the tag \`${name}\`${hint}`, guess);
  }
}

function compileBounds(context: CompileContext, range: Range, pointer: string, sizes: boolean): Bounds {
  const read = (key: keyof Range, otherwise: number): number => {
    const value = range[key];
    if (value === undefined) return otherwise;
    const parsed = typeof value === 'number' ? value : sizes ? parseSizeBytes(value) : undefined;
    if (parsed === undefined || !Number.isFinite(parsed)) {
      context.findings.blocks(
        'D3',
        joinPointer(pointer, key),
        `\`${String(value)}\` is not a ${sizes ? 'size, expected a number with its unit such as `20MB`' : 'number'}`,
      );
    }
    return parsed ?? otherwise;
  };
  if (range.above !== undefined && range['at-least'] !== undefined) {
    context.findings.blocks('D7', pointer, '`above` and `at-least` exclude each other, expected one of them');
  }
  if (range.below !== undefined && range['at-most'] !== undefined) {
    context.findings.blocks('D7', pointer, '`below` and `at-most` exclude each other, expected one of them');
  }
  if (Object.keys(range).length === 0) {
    context.findings.blocks('D2', pointer, 'missing bound, expected `at-least`, `above`, `at-most` or `below`');
  }
  return {
    min: read(range.above === undefined ? 'at-least' : 'above', -Infinity),
    minIncluded: range.above === undefined,
    max: read(range.below === undefined ? 'at-most' : 'below', Infinity),
    maxIncluded: range.below === undefined,
  };
}

function compileClock(context: CompileContext, range: TimeRange, pointer: string): ValueSet {
  const from = parseTimeOfDay(range.from) ?? 0;
  const to = parseTimeOfDay(range.to) ?? 0;
  if (from === to) {
    context.findings.blocks(
      'D3',
      pointer,
      `\`${range.from}\` to \`${range.to}\` is no time at all, expected two different times of day`,
    );
  }
  const format = (zone: string): Intl.DateTimeFormat =>
    new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  try {
    return { kind: 'clock', from, to, zone: format(range.zone) };
  } catch {
    context.findings.blocks(
      'D3',
      joinPointer(pointer, 'zone'),
      `\`${range.zone}\` is not a time zone, expected a name such as \`Europe/Berlin\``,
    );
    return { kind: 'clock', from, to, zone: format('UTC') };
  }
}
