import type { CompiledPolicy, CompileResult } from './compiled.js';
import type { Snapshot } from './snapshot.js';
import type { Decision, Facts, ListType, ManagedList, RecipientDecision, TransactionDecision } from './types.js';
/* eslint-disable */
const no = (): never => {
  throw new Error('not built yet');
};
/** Reads, checks and analyses a document; `text` is YAML or JSON, anything else a document as a value. */
export const compile = (document: unknown, file?: string): CompileResult => no();
/** `compile`, then the document's own tests and invariants (V1 blocks). What a publish and `policy check` use. */
export const check = (document: unknown, file?: string): CompileResult => no();
export const createSnapshot = (
  policy: CompiledPolicy,
  lists?: ReadonlyMap<string, ManagedList>,
  compiledAt?: string,
): Snapshot => no();
export const buildManagedList = (
  type: Exclude<ListType, 'regex'>,
  name: string,
  revision: number,
  values: Iterable<string>,
): ManagedList => no();
export type ListEntryResult =
  { readonly ok: true; readonly value: string } | { readonly ok: false; readonly message: string };
/** Canonical form of an entry typed by a person, checked against the list's type and `within` bound. */
export const checkListEntry = (policy: CompiledPolicy, list: string, raw: string): ListEntryResult => no();
/** Facts: ip, listener, time. */
export const judgeConnect = (snapshot: Snapshot, facts: Facts): Decision => no();
/** Facts: those of connect and helo. */
export const judgeHelo = (snapshot: Snapshot, facts: Facts): Decision => no();
/** Connect, helo and mail again, all under this one snapshot; facts: those of connect, helo and mail. */
export const judgeMail = (snapshot: Snapshot, facts: Facts): Decision => no();
/** Facts: all of the transaction and `recipient` (or `postmaster` without a domain). `earlier` = what judgeMail said; made again from the facts when left out. */
export const judgeRecipient = (snapshot: Snapshot, facts: Facts, earlier?: Decision): RecipientDecision => no();
/** Everything again from recorded facts. Recipient facts: those only that recipient had. */
export const decideTransaction = (
  snapshot: Snapshot,
  facts: Facts,
  recipients: readonly Facts[],
): TransactionDecision => no();
/** The decision in English, one line per thing that mattered. */
export const explainTransaction = (snapshot: Snapshot, facts: Facts, recipients: readonly Facts[]): readonly string[] =>
  no();
export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
  readonly pointer: string;
  readonly message: string;
}
export const runTests = (policy: CompiledPolicy): readonly TestResult[] => no();
export const policyJsonSchema = (): Record<string, unknown> => no();
export const renderVocabulary = (): string => no();
