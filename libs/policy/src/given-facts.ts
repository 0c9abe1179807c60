/**
 * Facts that somebody made up, as people type them or programs send them → facts as the gateway would record them. The
 * same values as in a document's tests, checked in the same way.
 */
import { parseGiven } from './compile/expectations.js';
import type { CompiledPolicy } from './compiled.js';
import { LIMIT_PREFIX } from './limit-facts.js';
import { nearest } from './nearest.js';
import type { Facts, FactValue } from './types.js';
import { FACTS, factNamed, type FactDefinition } from './vocabulary.js';

export interface GivenFault {
  readonly fact: string;
  readonly message: string;
}

export type GivenFacts =
  | {
      readonly ok: true;
      /** Of the transaction. */
      readonly facts: Facts;
      /** Of each recipient, in their order; none when no recipient is given. */
      readonly recipients: readonly Facts[];
    }
  | { readonly ok: false; readonly faults: readonly GivenFault[] };

export type Parsed<Value> = { readonly value: Value } | { readonly message: string };

/**
 * Values are texts, numbers, `true`, `false`, lists of them, and `"unknown"` or `{ "unknown": "why" }`. `recipient` may be a list: so
 * many recipients of one transaction.
 */
export function readGivenFacts(policy: CompiledPolicy, given: Readonly<Record<string, unknown>>): GivenFacts {
  const faults: GivenFault[] = [];
  const facts: Record<string, FactValue> = {};
  const read = (name: string, value: unknown): FactValue | undefined => {
    const parsed = readFact(policy, name, value);
    if ('value' in parsed) return parsed.value;
    faults.push({ fact: name, message: parsed.message });
    return undefined;
  };
  const { recipient, ...others } = given;
  for (const [name, value] of Object.entries(others)) {
    const fact = read(name, value);
    if (fact !== undefined) facts[factNamed(name)?.name ?? name] = fact;
  }
  const all = recipient === undefined ? [] : Array.isArray(recipient) ? (recipient as unknown[]) : [recipient];
  const addresses = all.flatMap((one) => read('recipient', one) ?? []) as readonly FactValue[];
  if (faults.length > 0) return { ok: false, faults };
  return { ok: true, ...split(facts, addresses) };
}

/** Facts whose name begins with `recipient` are those of each recipient. */
function split(
  facts: Facts,
  addresses: readonly FactValue[],
): { readonly facts: Facts; readonly recipients: readonly Facts[] } {
  const isOwn = (name: string): boolean => name.startsWith('recipient') || name === 'greylist';
  const named = Object.entries(facts);
  const own = Object.fromEntries(named.filter(([name]) => isOwn(name)));
  const shared = Object.fromEntries(named.filter(([name]) => !isOwn(name)));
  const recipients = addresses.map((recipient, index) => ({ recipients: index + 1, ...own, recipient }));
  return { facts: shared, recipients };
}

/** One fact from text or value. */
export function readFact(policy: CompiledPolicy, name: string, given: unknown): Parsed<FactValue> {
  const fact = factNamed(name);
  if (fact === undefined) {
    const guess = nearest(
      name,
      FACTS.map((each) => each.name),
    );
    return { message: `unknown fact \`${name}\`${guess === undefined ? '' : `, did you mean \`${guess}\`?`}` };
  }
  const unknown = unknownOf(given);
  if (unknown !== undefined) return { value: { unknown } };
  if (fact.name === 'client' || fact.name === 'tag') {
    return { message: `fact \`${name}\` follows from the other facts, expected \`unknown\` or nothing` };
  }
  if (name.startsWith(LIMIT_PREFIX) && !policy.limitProfiles.some((limit) => name === LIMIT_PREFIX + limit.name)) {
    return { message: `the policy has no limit \`${name.slice(LIMIT_PREFIX.length)}\`` };
  }
  const value = fact.multiple === true ? valuesOf(policy, fact, given) : valueOf(policy, fact, given);
  return value === undefined ? { message: `${shown(given)} is no value of \`${name}\` (${fact.meaning})` } : { value };
}

function unknownOf(given: unknown): string | undefined {
  if (given === 'unknown') return 'given as unknown';
  if (typeof given !== 'object' || given === null || !('unknown' in given)) return undefined;
  return typeof given.unknown === 'string' ? given.unknown : undefined;
}

function shown(given: unknown): string {
  const text = typeof given === 'string' ? given : JSON.stringify(given);
  return `\`${text.length > 60 ? `${text.slice(0, 57)}…` : text}\``;
}

/** Several values are a list, or separated by commas. */
function valuesOf(policy: CompiledPolicy, fact: FactDefinition, given: unknown): FactValue | undefined {
  const each = Array.isArray(given) ? (given as unknown[]) : typeof given === 'string' ? given.split(',') : [given];
  const values = each.map((one) => valueOf(policy, fact, typeof one === 'string' ? one.trim() : one));
  if (values.every((value) => typeof value === 'string')) return values;
  return values.every((value) => typeof value === 'number') ? values : undefined;
}

function valueOf(policy: CompiledPolicy, fact: FactDefinition, given: unknown): FactValue | undefined {
  if (typeof given === 'boolean' || typeof given === 'number') {
    return fact.type === 'size' ? sizeOf(given) : textValue(policy, fact, String(given));
  }
  return typeof given === 'string' ? textValue(policy, fact, given) : undefined;
}

function sizeOf(given: number | boolean): number | undefined {
  return typeof given === 'number' && Number.isSafeInteger(given) && given >= 0 ? given : undefined;
}

function textValue(policy: CompiledPolicy, fact: FactDefinition, text: string): FactValue | undefined {
  switch (fact.type) {
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'number':
      return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    case 'enum':
      return fact.values?.includes(text) === true ? text : undefined;
    case 'name':
      return policy.listeners.some((listener) => listener.name === text) ? text : undefined;
    case 'address':
      return text === '<>' ? '' : parseGiven(fact, text);
    default:
      return parseGiven(fact, text);
  }
}
