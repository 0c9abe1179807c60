/** The document's own tests. A failed one blocks the publish (V1); a rule that no test reaches is mentioned (V2). */
import type { CompiledPolicy } from './compiled.js';
import { signatureName } from './compile/signing.js';
import { explainSteps } from './explain.js';
import type { Findings } from './findings.js';
import { decideTransaction } from './transaction.js';
import type { CompiledTest } from './program.js';
import { buildManagedList } from './sets/managed-list.js';
import { createSnapshot, type Snapshot } from './snapshot.js';
import type { Step } from './trace.js';
import type { Decision, Facts, ManagedList, RecipientDecision } from './types.js';

export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
  readonly pointer: string;
  /** What was expected and what came; empty when it passed. */
  readonly message: string;
  /** How the decision came about, in English. */
  readonly explanation: readonly string[];
  /** Ids of rules that were true, or unknown. */
  readonly reached: readonly string[];
}

/** Managed lists have the members that the test gives them, else none; an unfilled recipient list knows everybody. */
export function testSnapshot(policy: CompiledPolicy, test: Pick<CompiledTest, 'lists'>): Snapshot {
  const lists = new Map<string, ManagedList>();
  for (const { name, type } of policy.managedLists) {
    lists.set(name, buildManagedList(type, name, 0, test.lists[name] ?? []));
  }
  const assumed = policy.program.domains.flatMap(({ recipients, recipientsManaged }) => {
    const name = recipients === undefined ? undefined : policy.program.lists[recipients]?.name;
    return recipientsManaged && recipients !== undefined && !(name !== undefined && name in test.lists)
      ? [recipients]
      : [];
  });
  return createSnapshot(policy, lists, { assumedKnown: new Set(assumed) });
}

/** Facts that belong to the recipient; the others are the transaction's. */
export function splitFacts(facts: Facts): { readonly shared: Facts; readonly own: Facts | undefined } {
  const own: Record<string, Facts[string]> = {};
  const shared: Record<string, Facts[string]> = {};
  for (const [name, value] of Object.entries(facts)) {
    (name.startsWith('recipient') ? own : shared)[name] = value;
  }
  return { shared, own: 'recipient' in own ? own : undefined };
}

function mismatches(test: CompiledTest, decided: Decision, recipient: RecipientDecision | undefined): string[] {
  const { expect } = test;
  const compared: readonly (readonly [string, unknown, unknown])[] = [
    ['verdict', expect.verdict, decided.verdict],
    ['by', expect.by, decided.by],
    ['route', expect.route, recipient?.route],
    ['client', expect.client, decided.client],
    ['recipient', expect.recipient, recipient?.recipient],
    ['code', expect.code, decided.reply?.code],
    ['queue', expect.queue, recipient?.reviewQueue],
    ...expect.headers.map(([name, value]) => [`header ${name}`, value, headerValue(recipient, name)] as const),
    ...expect.added.map((address) => ['added recipient', address, addedTo(recipient, address)] as const),
    ['sealed', expect.sealed, sealOf(recipient)],
    ['signed', namesOf(expect.signed), namesOf(recipient?.signatures?.map(signatureName) ?? [])],
    ...expect.tags.map((tag) => ['tag', tag, decided.tags.includes(tag) ? tag : undefined] as const),
  ];
  return compared.flatMap(([what, expected, actual]) =>
    expected === undefined || expected === actual
      ? []
      : [`${what} \`${printed(actual)}\`, expected \`${printed(expected)}\``],
  );
}

function headerValue(recipient: RecipientDecision | undefined, name: string): string | undefined {
  return recipient?.headers?.find((edit) => edit.name.toLowerCase() === name.toLowerCase())?.value;
}

function addedTo(recipient: RecipientDecision | undefined, address: string): string | undefined {
  return recipient?.added?.find((added) => added.address.toLowerCase() === address.toLowerCase())?.address;
}

function sealOf(recipient: RecipientDecision | undefined): string {
  return recipient?.seal === undefined ? 'none' : signatureName(recipient.seal);
}

/** In an order of their own, to be compared. */
function namesOf(names: readonly string[] | undefined): string | undefined {
  if (names === undefined) return undefined;
  return names.length === 0 ? 'none' : [...names].sort().join(', ');
}

function printed(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'none';
}

export function runTest(policy: CompiledPolicy, test: CompiledTest): TestResult {
  const { shared, own } = splitFacts(test.facts);
  const steps: Step[] = [];
  const result = decideTransaction(testSnapshot(policy, test), shared, own === undefined ? [] : [own], {
    steps,
    content: true,
  });
  const recipient = result.recipients[0];
  const wrong = mismatches(test, recipient ?? result.mail, recipient);
  return {
    name: test.name,
    passed: wrong.length === 0,
    pointer: test.pointer,
    message: wrong.join('; '),
    explanation: explainSteps(steps),
    reached: steps.filter((step) => step.result === 'yes' || step.result === 'unknown').map((step) => step.id),
  };
}

export function runTests(policy: CompiledPolicy): readonly TestResult[] {
  return policy.program.tests.map((test) => runTest(policy, test));
}

/** Tests → findings. */
export function testPolicy(policy: CompiledPolicy, findings: Findings): void {
  const reached = new Set<string>();
  for (const result of runTests(policy)) {
    for (const id of result.reached) reached.add(id);
    if (result.passed) continue;
    const because = result.explanation.at(-1) ?? 'nothing was decided';
    findings.blocks('V1', result.pointer, `test \`${result.name}\` failed: ${result.message} (${because})`);
  }
  for (const rule of [
    ...Object.values(policy.program.acl).flat(),
    ...policy.program.routing,
    ...policy.program.copies,
    ...policy.program.signing,
    ...policy.program.sealing,
  ]) {
    if (!reached.has(rule.id)) findings.informs('V2', rule.pointer, `no test reaches rule \`${rule.id}\``);
  }
}
