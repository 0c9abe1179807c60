/** What every policy that compiles must keep, whatever its rules and whatever the facts. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  buildManagedList,
  compile,
  createSnapshot,
  decideTransaction,
  explainTransaction,
  judgeMail,
  judgeRecipient,
  type Facts,
  type RecipientDecision,
  type Snapshot,
} from '#policy';
import { runs } from '../support/fuzz.js';
import {
  arbitraryDocument,
  arbitraryFacts,
  arbitraryNonsense,
  arbitraryRule,
  withUnknowns,
} from '../support/policy-arbitraries.js';

const STAFF = buildManagedList('address', 'managed', 1, ['ann@ours.example', 'bob@sub.ours.example']);

function snapshotOf(document: unknown): Snapshot | undefined {
  const result = compile(document);
  return result.ok ? createSnapshot(result.policy, new Map([['managed', STAFF]])) : undefined;
}

function judge(snapshot: Snapshot, { recipient = '', recipients = 1, ...shared }: Facts): RecipientDecision {
  const decided = decideTransaction(snapshot, shared, [{ recipient, recipients }]).recipients[0];
  if (decided === undefined) throw new Error('no decision');
  return decided;
}

interface Acl {
  readonly acl: Readonly<Record<string, readonly Record<string, unknown>[]>>;
}

/** The document with a change to the rules of one phase. */
function withRules(
  document: Record<string, unknown>,
  phase: string,
  change: (rules: readonly Record<string, unknown>[]) => readonly Record<string, unknown>[],
): Record<string, unknown> {
  const { acl } = document as unknown as Acl;
  return { ...document, acl: { ...acl, [phase]: change(acl[phase] ?? []) } };
}

const PHASES = fc.constantFrom('connect', 'helo', 'mail', 'rcpt');
/** Compiling costs more than judging: each document is judged with many facts. */
const manyFacts = fc.array(arbitraryFacts, { minLength: 15, maxLength: 25 });
/** `npm run fuzz` takes more. */
const RUNS = runs(50, 0.1);

describe('judging', () => {
  test('enough generated documents compile, or nothing would be tested here', () => {
    const documents = fc.sample(arbitraryDocument(), 100);
    expect(documents.filter((document) => snapshotOf(document) !== undefined).length).toBeGreaterThan(8);
  });

  test('is total and deterministic, also on nonsense', () => {
    const facts = fc.array(fc.oneof(arbitraryFacts, arbitraryNonsense), { minLength: 15, maxLength: 25 });
    fc.assert(
      fc.property(arbitraryDocument(), facts, (document, many) => {
        const snapshot = snapshotOf(document);
        fc.pre(snapshot !== undefined);
        for (const each of many) {
          const decision = judge(snapshot, each);
          expect(judge(snapshot, each)).toEqual(decision);
          expect(decision.verdict === 'accept').toBe(decision.route !== undefined);
          expect(decision.verdict === 'accept').toBe(decision.reply === undefined);
        }
      }),
      RUNS,
    );
  });

  test('step by step, at once, and explained give the same answer', () => {
    fc.assert(
      fc.property(arbitraryDocument(), manyFacts, (document, many) => {
        const snapshot = snapshotOf(document);
        fc.pre(snapshot !== undefined);
        for (const { recipient = '', recipients = 1, ...shared } of many) {
          const own = { recipient, recipients };
          const stepwise = judgeRecipient(snapshot, { ...shared, ...own }, judgeMail(snapshot, shared));
          expect(judge(snapshot, { ...shared, ...own })).toEqual(stepwise);
          expect(judgeRecipient(snapshot, { ...shared, ...own })).toEqual(stepwise);
          expect(explainTransaction(snapshot, shared, [own]).decision.recipients[0]).toEqual(stepwise);
        }
      }),
      RUNS,
    );
  });

  test('the index of many rules skips none that matters: steps are taken without it', () => {
    fc.assert(
      fc.property(arbitraryDocument({ minRules: 14 }), manyFacts, fc.boolean(), (document, many, unknownIp) => {
        const snapshot = snapshotOf(document);
        fc.pre(snapshot !== undefined);
        for (const each of many) {
          const { recipient = '', recipients = 1, ...shared } = withUnknowns(each, unknownIp ? ['ip', 'sender'] : []);
          const own = { recipient, recipients };
          const indexed = decideTransaction(snapshot, shared, [own]);
          expect(explainTransaction(snapshot, shared, [own]).decision.mail).toEqual(indexed.mail);
          expect(explainTransaction(snapshot, shared, [own]).decision.recipients).toEqual(indexed.recipients);
        }
      }),
      runs(40, 0.1),
    );
  });

  test('no unidentified client relays, in any policy that compiles', () => {
    fc.assert(
      fc.property(arbitraryDocument(), manyFacts, (document, many) => {
        const snapshot = snapshotOf(document);
        fc.pre(snapshot !== undefined);
        for (const facts of many) {
          const decision = judge(snapshot, facts);
          const domain = decision.recipient.slice(decision.recipient.lastIndexOf('@') + 1);
          const ours = JSON.stringify(document['domains']) !== '[]' && /(^|\.)ours\.example$/.test(domain);
          if (decision.verdict !== 'accept' || ours) continue;
          expect(decision.client).not.toBe('none');
          // Whoever relays is known by an address that only the internal listener may trust.
          expect(facts['listener']).toBe('internal');
        }
      }),
      runs(150, 0.1),
    );
  });

  test('a rule after the deciding one never changes the verdict', () => {
    fc.assert(
      fc.property(arbitraryDocument(), manyFacts, PHASES.chain(phaseAndRule), (document, many, { phase, rule }) => {
        const snapshot = snapshotOf(document);
        fc.pre(snapshot !== undefined);
        const longer = snapshotOf(withRules(document, phase, (rules) => [...rules, { name: 'extra', ...rule }]));
        fc.pre(longer !== undefined);
        for (const facts of many) {
          const before = judge(snapshot, facts);
          if (before.by.startsWith(`${phase}/`)) expect(judge(longer, facts)).toEqual(before);
        }
      }),
      RUNS,
    );
  });

  test('a rule that only watches never changes anything', () => {
    fc.assert(
      fc.property(arbitraryDocument(), manyFacts, PHASES.chain(phaseAndRule), (document, many, { phase, rule }) => {
        const before = snapshotOf(document);
        const watch = { name: 'watch', mode: 'monitor', ...rule };
        const watched = snapshotOf(withRules(document, phase, (rules) => [watch, ...rules]));
        fc.pre(before !== undefined && watched !== undefined);
        for (const facts of many) expect(judge(watched, facts)).toEqual(judge(before, facts));
      }),
      RUNS,
    );
  });

  test('what is accepted with a fact unknown is accepted with every value of it', () => {
    const document = arbitraryDocument({ tags: false, onUnknown: false });
    const names = fc.constantFrom('ip', 'listener', 'helo', 'helo.kind', 'sender', 'size.declared', 'greylist');
    const unknownFacts = fc.array(names, { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(document, manyFacts, unknownFacts, (generated, many, unknown) => {
        const snapshot = snapshotOf(generated);
        fc.pre(snapshot !== undefined);
        for (const facts of many) {
          if (judge(snapshot, withUnknowns(facts, unknown)).verdict !== 'accept') continue;
          expect(judge(snapshot, facts).verdict).toBe('accept');
        }
      }),
      runs(150, 0.1),
    );
  });
});

function phaseAndRule(phase: string): fc.Arbitrary<{ phase: string; rule: Record<string, unknown> }> {
  return arbitraryRule(phase).map((rule) => ({ phase, rule }));
}
