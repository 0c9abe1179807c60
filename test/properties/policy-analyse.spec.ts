/** What the analyser says of all transactions, against transactions. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  buildManagedList,
  check,
  compile,
  createSnapshot,
  decideTransaction,
  type CompiledPolicy,
  type Facts,
  type Finding,
  type Step,
} from '#policy';
import { exampleOf, type Example } from '../../libs/policy/src/analyse/example.js';
import { buildFlow, type FlowRule } from '../../libs/policy/src/analyse/flow.js';
import { Searcher } from '../../libs/policy/src/analyse/search.js';
import { runs } from '../support/fuzz.js';
import { arbitraryDocument, arbitraryWholeFacts } from '../support/policy-arbitraries.js';

const STAFF = buildManagedList('address', 'managed', 1, ['ann@ours.example', 'bob@sub.ours.example']);
/** Facts that every real session has, so that no rule holds only because one of them is missing. */
const PRESENT: Facts = { helo: 'far.invalid', 'helo.kind': 'fqdn', 'early-talker': false, received: 0, size: 1 };

function reached(policy: CompiledPolicy, given: Facts): ReadonlySet<string> {
  const { recipient = '', recipients = 1, ...shared } = { ...PRESENT, ...given, tls: false };
  const steps: Step[] = [];
  decideTransaction(createSnapshot(policy, new Map([['managed', STAFF]])), shared, [{ recipient, recipients }], {
    steps,
  });
  return new Set(steps.filter(({ result }) => result === 'yes').map(({ id }) => id));
}

function neverMatching(findings: readonly Finding[]): readonly string[] {
  return findings.flatMap(({ code, message }) =>
    code === 'P1' ? (/^rule `([^`]+)` can never/.exec(message)?.[1] ?? []) : [],
  );
}

const sizes = fc.constantFrom(0, 2, 6);
const documents = sizes.chain((minRules) => arbitraryDocument({ minRules }));

/** Transactions for each document: `npm run fuzz` tries many, a document costs as much as a thousand of them. */
const PER_DOCUMENT = process.env['FUZZ_RUNS'] === undefined ? 80 : 1_000;

describe('a rule that is said never to match', () => {
  test('is never met by a random transaction', () => {
    const many = fc.array(arbitraryWholeFacts, { minLength: PER_DOCUMENT, maxLength: PER_DOCUMENT, size: 'max' });
    let said = 0;
    let tried = 0;
    fc.assert(
      fc.property(documents, many, (document, all) => {
        const compiled = compile(document);
        fc.pre(compiled.ok);
        const never = neverMatching(check(document).findings);
        said += never.length;
        if (never.length === 0) return;
        for (const facts of all) {
          tried += 1;
          const met = reached(compiled.policy, facts);
          for (const id of never) expect({ id, met: met.has(id), facts }).toEqual({ id, met: false, facts });
        }
      }),
      { ...runs(40, 0.06), endOnFailure: true },
    );
    expect(said).toBeGreaterThan(5);
    if (PER_DOCUMENT > 80) process.stdout.write(`${String(said)} rules, ${String(tried)} transactions\n`);
  });
});

describe('a rule that is not said never to match', () => {
  test('is met by the transaction that was found', () => {
    fc.assert(
      fc.property(documents, (document) => {
        const compiled = compile(document);
        fc.pre(compiled.ok);
        const flow = buildFlow(compiled.policy);
        const searcher = new Searcher(flow, 1_000_000);
        for (const rule of flow.stages.flatMap(({ rules }) => rules)) {
          if (rule.id === '' || rule.monitor) continue;
          const result = searcher.search(rule.cases, { rule });
          expect(result.kind).not.toBe('undecided');
          if (result.kind !== 'found') continue;
          const example = exampleOf(compiled.policy, flow, result.point);
          const facts = { ...PRESENT, ...example.facts };
          expect({ id: rule.id, met: isMet(rule, { ...example, facts }), facts }).toEqual({
            id: rule.id,
            met: true,
            facts,
          });
        }
      }),
      { ...runs(40, 0.1), endOnFailure: true },
    );
  });
});

/** Whether the judge comes to the rule; to one that refuses, with its verdict. */
function isMet({ id, verdict }: FlowRule, { facts, snapshot }: Example): boolean {
  const { recipient = '', recipients = 1, ...shared } = facts;
  const steps: Step[] = [];
  const [decision] = decideTransaction(snapshot, shared, [{ recipient, recipients }], { steps }).recipients;
  if (id.startsWith('builtin/')) return decision?.by === id;
  if (verdict !== undefined && verdict !== 'accept' && decision?.verdict !== verdict) return false;
  return steps.some((step) => step.id === id && step.result === 'yes');
}

/** An invariant over what the generated documents talk about. */
const invariant = fc
  .record(
    {
      verdict: fc.constantFrom('accept', 'reject', 'defer', 'hold'),
      client: fc.constantFrom('none', 'first', { not: 'none' }),
      'sender.domain': fc.constantFrom(['ours.example'], { not: 'domains' }, 'none'),
      'recipient.domain': fc.constantFrom({ not: 'domains' }, ['far.invalid'], 'domains'),
      listener: fc.constantFrom('mx', 'internal'),
      tag: fc.constantFrom('seen', { not: 'seen' }),
    },
    { requiredKeys: ['verdict'] },
  )
  .map((never) => ({ name: 'generated', never }));

describe('an invariant', () => {
  test('that is said to hold is broken by no random transaction; one that is said to be broken, by its example', () => {
    const many = fc.array(arbitraryWholeFacts, { minLength: 40, maxLength: 40, size: 'max' });
    const told = { broken: 0, held: 0 };
    fc.assert(
      fc.property(documents, invariant, many, (document, given, all) => {
        const compiled = compile({ ...document, invariants: [given] });
        fc.pre(compiled.ok);
        const { findings } = check({ ...document, invariants: [given] });
        const broken = findings.find(({ code }) => code === 'V1');
        if (broken !== undefined) {
          told.broken += 1;
          expect({ message: broken.message, shown: broken.example !== undefined }).toEqual({
            message: broken.message,
            shown: true,
          });
          return;
        }
        told.held += 1;
        for (const facts of all)
          expect({ facts, breaks: breaks(compiled.policy, given.never, facts) }).toEqual({ facts, breaks: false });
      }),
      { ...runs(40, 0.1), endOnFailure: true },
    );
    expect(Math.min(told.broken, told.held)).toBeGreaterThan(2);
  });
});

/** By a policy of its own whose only rule is the invariant's condition, so that no code of the analyser is used. */
function breaks(policy: CompiledPolicy, never: Readonly<Record<string, unknown>>, given: Facts): boolean {
  const facts: Facts = { ...PRESENT, ...given, tls: false };
  const { recipient = '', recipients = 1, listener, sender: from, ...rest } = facts;
  const shared = { ...rest, ...(listener !== undefined && { listener }), ...(from !== undefined && { sender: from }) };
  const snapshot = createSnapshot(policy, new Map([['managed', STAFF]]));
  const [decision] = decideTransaction(snapshot, shared, [{ recipient, recipients }]).recipients;
  if (decision === undefined || decision.verdict !== never['verdict']) return false;
  if (typeof recipient !== 'string' || !/^\w+@[a-z]/.test(recipient)) return false; // said of addresses only
  const sender = typeof from === 'string' ? from : '';
  const domainOf = (address: string): string | undefined =>
    address === '' ? undefined : address.slice(address.lastIndexOf('@') + 1);
  const asked: Readonly<Record<string, readonly (string | undefined)[]>> = {
    client: [decision.client],
    listener: [typeof listener === 'string' ? listener : undefined],
    'sender.domain': [domainOf(sender)],
    'recipient.domain': [domainOf(decision.recipient)],
    tag: decision.tags,
  };
  return Object.entries(asked).every(([fact, values]) => !(fact in never) || holds(never[fact], values));
}

function holds(wanted: unknown, values: readonly (string | undefined)[]): boolean {
  if (typeof wanted === 'object' && wanted !== null && 'not' in wanted) return !holds(wanted.not, values);
  const words = (Array.isArray(wanted) ? wanted : [wanted]).map(String);
  return values.some((value) =>
    words.some((word) =>
      word === 'domains' ? value !== undefined && /(?:^|\.)ours\.example$/.test(value) : word === (value ?? 'none'),
    ),
  );
}
