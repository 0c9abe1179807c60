/**
 * Explains a transaction that somebody made up: facts as people type them, checked like those of a document's tests.
 * Managed lists have the members that are given, else none, as in tests.
 */
import type { CompiledPolicy } from './compiled.js';
import { explainTransaction, type Explanation } from './explain.js';
import { readFact } from './given-facts.js';
import { checkListEntry } from './list-entry.js';
import { splitFacts, testSnapshot } from './run-tests.js';
import type { Facts, FactValue } from './types.js';

/** Pairs of name and text, as they were typed. */
export interface GivenTexts {
  readonly facts: readonly (readonly [name: string, text: string])[];
  /** Members of managed lists. */
  readonly members: readonly (readonly [list: string, text: string])[];
}

export type GivenExplanation =
  | { readonly ok: true; readonly explanation: Explanation; readonly facts: Facts }
  | { readonly ok: false; readonly messages: readonly string[] };

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
