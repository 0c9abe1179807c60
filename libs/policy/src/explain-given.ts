/**
 * Explains a transaction that somebody made up: facts as people type them, checked like those of a document's tests.
 * Managed lists have the members that are given, else none, as in tests.
 */
import { parseGiven } from './compile/expectations.js';
import type { CompiledPolicy } from './compiled.js';
import { explainTransaction, type Explanation } from './explain.js';
import { checkListEntry } from './list-entry.js';
import { nearest } from './nearest.js';
import { splitFacts, testSnapshot } from './run-tests.js';
import type { Facts, FactValue } from './types.js';
import { FACTS, factNamed, type FactDefinition } from './vocabulary.js';

/** Pairs of name and text, as they were typed. */
export interface GivenTexts {
  readonly facts: readonly (readonly [name: string, text: string])[];
  /** Members of managed lists. */
  readonly members: readonly (readonly [list: string, text: string])[];
}

export type GivenExplanation =
  | { readonly ok: true; readonly explanation: Explanation; readonly facts: Facts }
  | { readonly ok: false; readonly messages: readonly string[] };

type Parsed<Value> = { readonly value: Value } | { readonly message: string };

export function explainGiven(policy: CompiledPolicy, given: GivenTexts): GivenExplanation {
  const messages: string[] = [];
  const facts: Record<string, FactValue> = {};
  for (const [name, text] of given.facts) {
    const parsed = name in facts ? { message: `fact \`${name}\` is given twice` } : readFact(policy, name, text);
    if ('message' in parsed) messages.push(parsed.message);
    else facts[name] = parsed.value;
  }
  const lists: Record<string, string[]> = {};
  for (const [list, text] of given.members) {
    const entry = checkListEntry(policy, list, text);
    if (entry.ok) (lists[list] ??= []).push(entry.value);
    else messages.push(entry.message);
  }
  if (messages.length > 0) return { ok: false, messages };
  const { shared, own } = splitFacts(facts);
  const explanation = explainTransaction(testSnapshot(policy, { lists }), shared, own === undefined ? [] : [own], true);
  return { ok: true, explanation, facts };
}

function readFact(policy: CompiledPolicy, name: string, text: string): Parsed<FactValue> {
  const fact = factNamed(name);
  if (fact === undefined) {
    const guess = nearest(
      name,
      FACTS.map((each) => each.name),
    );
    return { message: `unknown fact \`${name}\`${guess === undefined ? '' : `, did you mean \`${guess}\`?`}` };
  }
  if (text === 'unknown') return { value: { unknown: 'given as unknown' } };
  if (fact.name === 'client' || fact.name === 'tag') {
    return { message: `fact \`${name}\` follows from the other facts, expected \`unknown\` or nothing` };
  }
  const value = fact.multiple === true ? valuesOf(policy, fact, text) : valueOf(policy, fact, text);
  return value === undefined ? { message: `\`${text}\` is no value of \`${name}\` (${fact.meaning})` } : { value };
}

/** Several values are separated by commas. */
function valuesOf(policy: CompiledPolicy, fact: FactDefinition, text: string): FactValue | undefined {
  const values = text.split(',').map((each) => valueOf(policy, fact, each.trim()));
  return values.every((value) => typeof value === 'string') ? values : undefined;
}

function valueOf(policy: CompiledPolicy, fact: FactDefinition, text: string): FactValue | undefined {
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
