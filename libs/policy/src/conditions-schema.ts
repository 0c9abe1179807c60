/** Shapes of conditions, of a test's facts and of an invariant, made from the vocabulary. */
import { z } from 'zod';
import type { Phase } from './types.js';
import { HEADER_FACT } from './content-facts.js';
import { LIMIT_FACT } from './limit-facts.js';
import { TIME_OF_DAY_PATTERN } from './values/units.js';
import { FACTS, factsIn, type FactDefinition } from './vocabulary.js';

export type Scalar = string | number | boolean;
export type Range = Partial<Record<'at-least' | 'above' | 'at-most' | 'below', string | number | undefined>>;
export interface TimeRange {
  from: string;
  to: string;
  zone: string;
}
/** What may stand after a fact's name. */
export type Operand = Scalar | Scalar[] | Range | TimeRange | { not: Operand } | { all: Operand };
export type Conditions = Record<string, Operand | undefined>;
/** Keys of the facts of which there are as many as names, as a document spells them. */
export interface FamilyKeys {
  readonly headers: readonly string[];
  readonly limits: readonly string[];
}
export type GivenValue = Scalar | Scalar[] | Record<string, string[]>;

/** What to say to somebody who wrote something else. */
function expectedOperand(fact: FactDefinition): string {
  const kinds: Record<FactDefinition['type'], string> = {
    network: 'the name of a network list, or a network such as `192.0.2.0/24`',
    domain: 'the name of a domain list, or a domain such as `example.com` or `.example.com`',
    address: 'the name of an address list, or an address such as `ann@example.com` or `*@example.com`',
    word: `${fact.any === true ? '`any`, ' : ''}the name of a word list, or words in brackets such as \`${wordExample(fact)}\``,
    enum: `one of ${(fact.values ?? []).map((value) => `\`${value}\``).join(', ')}`,
    name: `the name of a ${fact.names ?? 'thing'}${fact.names === 'client' ? ', or `none`' : ''}`,
    number: 'a number, or `{ at-least, above, at-most, below: NUMBER }`',
    size: '`{ at-least, above, at-most, below: SIZE }` with sizes such as `20MB`',
    boolean: '`true` or `false`',
    time: '`{ from: "22:00", to: "06:00", zone: Europe/Berlin }`',
  };
  return kinds[fact.type];
}

function wordExample(fact: FactDefinition): string {
  return fact.example.startsWith('[') ? fact.example : '[ann]';
}

function scalarSchema(fact: FactDefinition, error: string): z.ZodType<Scalar> {
  if (fact.type === 'boolean') return z.union([z.boolean(), z.literal('none')], { error });
  if (fact.type === 'number') return z.union([z.number(), z.literal('none')], { error });
  if (fact.type === 'enum') return z.enum([...new Set([...(fact.values ?? []), 'none'])], { error });
  return z.string({ error }).min(1, { error });
}

function rangeSchema(fact: FactDefinition, error: string): z.ZodType<Range> {
  const bound = fact.type === 'size' ? z.string({ error }) : z.number({ error });
  const optional = bound.optional();
  return z.strictObject({ 'at-least': optional, above: optional, 'at-most': optional, below: optional }, { error });
}

function timeSchema(error: string): z.ZodType<TimeRange> {
  const clock = z
    .string({ error: 'a time of day such as `22:00`' })
    .regex(TIME_OF_DAY_PATTERN, { error: 'a time of day such as `22:00`' });
  return z.strictObject(
    { from: clock, to: clock, zone: z.string({ error: 'a time zone such as `Europe/Berlin`' }) },
    { error },
  );
}

function plainOperands(fact: FactDefinition, error: string): z.ZodType<Operand>[] {
  if (fact.type === 'time') return [timeSchema(error)];
  if (fact.type === 'size') return [z.literal('none'), rangeSchema(fact, error)];
  const scalar = scalarSchema(fact, error);
  const options: z.ZodType<Operand>[] = [scalar, z.array(scalar, { error }).min(1, { error })];
  return fact.type === 'number' ? [...options, rangeSchema(fact, error)] : options;
}

function operandSchema(fact: FactDefinition): z.ZodType<Operand> {
  const error = expectedOperand(fact);
  const plain = z.union(plainOperands(fact, error), { error });
  const options: z.ZodType<Operand>[] = [plain, z.strictObject({ not: plain }, { error })];
  if (fact.multiple === true) options.push(z.strictObject({ all: plain }, { error }));
  return z.union(options, { error });
}

function optionalOperands(facts: readonly FactDefinition[]): Record<string, z.ZodOptional<z.ZodType<Operand>>> {
  const askable = facts.filter((fact) => fact.evidence !== true);
  return Object.fromEntries(askable.map((fact) => [fact.name, operandSchema(fact).optional()]));
}

/** Facts of the family `header.<name>` under the keys that a document uses. */
function headerOperands(keys: readonly string[]): Record<string, z.ZodOptional<z.ZodType<Operand>>> {
  const operand = operandSchema(HEADER_FACT).optional();
  return Object.fromEntries(keys.map((key) => [key, operand]));
}

/** `when`, `unless` and `match`: facts known in the phase, without those in `except`. */
export function conditionsSchema(
  phase: Phase,
  except: readonly string[] = [],
  headers: readonly string[] = [],
): z.ZodType<Conditions> {
  const facts = factsIn(phase).filter((fact) => !except.includes(fact.name));
  return z.strictObject(
    { ...optionalOperands(facts), ...headerOperands(headers) },
    { error: 'conditions: facts and what they must be' },
  );
}

/** What an invariant forbids: any fact, the verdict, the route. */
export function neverSchema(verdict: z.ZodType<string>): z.ZodType<Conditions> {
  const route = z.string({ error: 'the name of a route' }).min(1);
  const routes = z.union(
    [route, z.array(route).min(1), z.strictObject({ not: z.union([route, z.array(route).min(1)]) })],
    {
      error: 'the name of a route',
    },
  );
  return z.strictObject(
    { ...optionalOperands(factsIn('routing')), verdict: verdict.optional(), route: routes.optional() },
    {
      error: 'facts, `verdict` and `route`',
    },
  );
}

function givenValue(fact: FactDefinition): z.ZodType<GivenValue> {
  if (fact.name === 'client' || fact.name === 'tag') {
    return z.literal('unknown', {
      error: '`unknown`, the only value that can be given: it follows from the other facts',
    });
  }
  const error = `a value of \`${fact.name}\` (${fact.meaning}), or \`unknown\``;
  const unknown = z.literal('unknown');
  if (fact.type === 'boolean') return z.union([z.boolean(), unknown], { error });
  if (fact.type === 'number') return z.union([z.number().int().min(0), unknown], { error });
  if (fact.type === 'enum') {
    const one = z.enum([...(fact.values ?? []), 'unknown'], { error });
    return fact.multiple === true ? z.union([one, z.array(z.enum(fact.values ?? [], { error }))], { error }) : one;
  }
  const text = z.string({ error });
  return fact.multiple === true ? z.union([text, z.array(text)], { error }) : text;
}

/** A test's facts, and members of managed lists. */
export function givenSchema({ headers, limits }: FamilyKeys): z.ZodType<Record<string, GivenValue | undefined>> {
  const facts = Object.fromEntries(FACTS.map((fact) => [fact.name, givenValue(fact).optional()]));
  for (const key of headers) facts[key] = givenValue(HEADER_FACT).optional();
  for (const key of limits) facts[key] = givenValue(LIMIT_FACT).optional();
  const members = z.record(z.string(), z.array(z.string({ error: 'a text' }), { error: 'a list of texts' }), {
    error: 'members of managed lists by name',
  });
  return z.strictObject({ ...facts, lists: members.optional() }, { error: 'facts and their values' });
}
