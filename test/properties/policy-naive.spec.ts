/** The evaluator against a second one, written straight from the language's rules: any policy, any facts, same decision. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { buildManagedList, compile, createSnapshot, decideTransaction, type Facts } from '#policy';
import { NaiveEvaluator, type NaiveDecision } from '../support/naive-evaluator.js';
import { arbitraryDocument, arbitraryWholeFacts, withUnknowns } from '../support/policy-arbitraries.js';
import { runs } from '../support/fuzz.js';

const STAFF = ['ann@ours.example', 'Bob@sub.ours.example'];
const UNKNOWN = [
  'ip',
  'listener',
  'helo',
  'sender',
  'recipient',
  'dnsbl',
  'rdns',
  'size.declared',
  'attachment.extension',
  'greylist',
  'spf',
  'dkim',
];

function decided(snapshot: ReturnType<typeof createSnapshot>, facts: Facts): NaiveDecision {
  const { recipient = '', recipients = 1, ...shared } = facts;
  const { verdict, by, client, tags, route, recipient: to } = decide(snapshot, shared, { recipient, recipients });
  return { verdict, by, client, tags, recipient: to, ...(route === undefined ? {} : { route }) };
}

function decide(
  snapshot: ReturnType<typeof createSnapshot>,
  shared: Facts,
  own: Facts,
): ReturnType<typeof decideTransaction>['recipients'][number] {
  const [decision] = decideTransaction(snapshot, shared, [own]).recipients;
  if (decision === undefined) throw new Error('nothing was decided');
  return decision;
}

test('two evaluators say the same', () => {
  const facts = fc.tuple(arbitraryWholeFacts, fc.oneof(fc.constant([]), fc.subarray(UNKNOWN, { maxLength: 2 })));
  const many = fc.array(facts, { minLength: 10, maxLength: 20 });
  const sizes = fc.constantFrom(0, 0, 14);
  let compared = 0;
  fc.assert(
    fc.property(
      sizes.chain((minRules) => arbitraryDocument({ minRules })),
      many,
      fc.boolean(),
      (document, all, loaded) => {
        const compiled = compile(document);
        fc.pre(compiled.ok);
        const lists = loaded ? new Map([['managed', buildManagedList('address', 'managed', 1, STAFF)]]) : new Map();
        const snapshot = createSnapshot(compiled.policy, lists);
        const naive = new NaiveEvaluator(document, loaded ? { managed: STAFF } : {});
        for (const [given, unknown] of all) {
          const each = withUnknowns(given, unknown);
          const said = naive.decide({ recipients: 1, ...each });
          expect({ ...decided(snapshot, each), of: each }).toEqual({ ...said, of: each });
          compared += 1;
        }
      },
    ),
    runs(150, 0.2),
  );
  expect(compared).toBeGreaterThan(1_000);
});
