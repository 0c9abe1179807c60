/** The catalogue of open relays: each is refused, and where mail would be relayed, the judge confirms the example. */
import { describe, expect, test } from '@jest/globals';
import {
  check,
  createSnapshot,
  decideTransaction,
  buildManagedList,
  type Facts,
  type Finding,
  type ManagedList,
} from '#policy';
import { parse } from 'yaml';
import { compileUnproven } from '../../libs/policy/src/compile.js';
import { OPEN_RELAYS, SOUND, type OpenRelay } from './open-relays.js';

function mutant({ edits }: OpenRelay): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`);
    return text.replace(from, to);
  }, SOUND);
}

/** Lists that others may edit have what the example needs: that is what is wrong with them. */
function verdictOf(text: string, example: Facts): string | undefined {
  const policy = compileUnproven(parse(text));
  if (policy === undefined) throw new Error('nothing to judge by');
  const { recipient = '', recipients = 1, ...shared } = example;
  const domain = (typeof recipient === 'string' ? recipient.split('@')[1] : undefined) ?? '';
  const lists = new Map<string, ManagedList>();
  for (const { name, type } of policy.managedLists) {
    lists.set(name, buildManagedList(type, name, 1, type === 'domain' ? [domain] : []));
  }
  return decideTransaction(createSnapshot(policy, lists), shared, [{ recipient, recipients }]).recipients[0]?.verdict;
}

test('the policy they come from is sound', () => {
  expect(check(SOUND).findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
});

test('there are enough, and each has its name', () => {
  expect(OPEN_RELAYS.length).toBeGreaterThanOrEqual(60);
  expect(new Set(OPEN_RELAYS.map(({ name }) => name)).size).toBe(OPEN_RELAYS.length);
});

describe('refused', () => {
  test.each(OPEN_RELAYS.map((each) => [each.name, each] as const))('%s', (_, each) => {
    const text = mutant(each);
    const result = check(text);
    const codes = result.findings.filter(({ severity }) => severity === 'blocks').map(({ code }) => code);
    expect({ ok: result.ok, codes }).toEqual({ ok: false, codes: expect.arrayContaining([each.code]) });
    const shown = result.findings.filter(
      (finding): finding is Finding & { example: Facts } => finding.example !== undefined,
    );
    if (!each.relays) return;
    expect(shown.map(({ code }) => code)).toContain(each.code);
    for (const { example, code } of shown)
      if (code !== 'V1') expect({ example, verdict: verdictOf(text, example) }).toEqual({ example, verdict: 'accept' });
  });
});
