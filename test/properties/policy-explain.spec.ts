/** Whatever is decided is explained: the rule that decided stands among the steps, with the facts it looked at. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { buildManagedList, compile, createSnapshot, explainTransaction, type Facts, type Step } from '#policy';
import { arbitraryDocument, arbitraryWholeFacts, withUnknowns } from '../support/policy-arbitraries.js';
import { runs } from '../support/fuzz.js';

const STAFF = buildManagedList('address', 'managed', 1, ['ann@ours.example', 'bob@sub.ours.example']);
const UNKNOWN = ['ip', 'helo', 'sender', 'recipient', 'dnsbl', 'rdns', 'size.declared', 'greylist'];

/** The step that decided: a rule that held or could not be known, or a builtin that said no, or did not know. */
function deciding(steps: readonly Step[], by: string): Step | undefined {
  const id = by.startsWith('clients/') ? by.slice('clients/'.length) : by;
  const known = id === 'builtin/recipient-unverified' ? 'builtin/no-such-recipient' : id;
  return steps.findLast((step) => step.id === known);
}

function conditionsOf(document: Record<string, unknown>, by: string): number {
  const { acl = {}, routing = [] } = document as { acl?: Record<string, object[]>; routing?: object[] };
  const [phase = '', name] = by.split('/');
  const rule = [...(acl[phase] ?? []), ...(phase === 'routing' ? routing : [])].find(
    (each) => (each as { name: string }).name === name,
  ) as { when?: object; unless?: object } | undefined;
  return Object.keys({ ...rule?.when }).length + Object.keys({ ...rule?.unless }).length;
}

test('rule, result, fact, value, and what would have changed it', () => {
  const facts = fc.tuple(arbitraryWholeFacts, fc.oneof(fc.constant([]), fc.subarray(UNKNOWN, { maxLength: 2 })));
  let explained = 0;
  fc.assert(
    fc.property(arbitraryDocument(), fc.array(facts, { minLength: 8, maxLength: 12 }), (document, many) => {
      const compiled = compile(document);
      fc.pre(compiled.ok);
      const snapshot = createSnapshot(compiled.policy, new Map([['managed', STAFF]]));
      for (const [given, unknown] of many) {
        const { recipient = '', recipients = 1, ...shared }: Facts = withUnknowns(given, unknown);
        const { decision, steps, recipientSteps, wouldChangeIf } = explainTransaction(snapshot, shared, [
          { recipient, recipients },
        ]);
        const decided = decision.recipients[0];
        const all = [...steps, ...(recipientSteps[0] ?? [])];
        if (decided === undefined || decided.by === '' || recipient === 'postmaster') continue;
        const step = deciding(all, decided.by);
        expect({ by: decided.by, step: step?.result }).toEqual({
          by: decided.by,
          step: expect.stringMatching(/^(yes|no|unknown)$/) as unknown,
        });
        expect(step?.conditions.length).toBeGreaterThanOrEqual(conditionsOf(document, decided.by));
        if (decided.by.startsWith('builtin/')) expect(step?.conditions.length).toBeGreaterThan(0);
        if (decided.verdict !== 'accept') expect(wouldChangeIf[0]).not.toEqual([]);
        explained += 1;
      }
    }),
    runs(40, 0.1),
  );
  expect(explained).toBeGreaterThan(80);
});
