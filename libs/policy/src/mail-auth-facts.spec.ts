import { describe, expect, it } from '@jest/globals';
import { compile } from './compile.js';
import { createSnapshot } from './snapshot.js';
import { decideTransaction } from './transaction.js';
import { runTests } from './run-tests.js';
import type { Facts } from './types.js';

const DOCUMENT = (rules: string, more = ''): string => `
policy: main
listeners: { mx: { port: 25, exposure: internet } }
lists: { trusted-sealers: { type: domain, entries: [lists.example.net] } }
domains: [{ match: example.com, recipients: any, reason: all of them }]
acl:
${rules}
routing: [{ name: all, route: inside }]
routes: { inside: { hosts: [{ host: mbx.inside.example }] } }
${more}`;

const MESSAGE_RULES = `
  mail:
    - name: no-spf
      when: { spf: [fail, permerror] }
      reject: 550 5.7.23 SPF does not allow this host
  message:
    - name: dmarc
      when: { dmarc: fail, dmarc.policy: [reject, quarantine] }
      unless: { arc.sealer: trusted-sealers }
      reject: 550 5.7.26 From address is not authenticated
    - name: unsigned
      when: { dkim: { not: pass }, from.aligned: none }
      tag: unsigned
`;

const MAIL: Facts = { listener: 'mx', ip: '203.0.113.9', sender: 'a@x.example' };

function decide(rules: string, facts: Facts): readonly [string, string, readonly string[]] {
  const compiled = compile(DOCUMENT(rules));
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings));
  const recipients = [{ recipient: 'ann@example.com', recipients: 1 }];
  const snapshot = createSnapshot(compiled.policy, new Map());
  const [decided] = decideTransaction(snapshot, { ...MAIL, size: 10, ...facts }, recipients).recipients;
  if (decided === undefined) throw new Error('nothing was decided');
  return [decided.verdict, decided.by, decided.tags];
}

describe('facts of mail authentication', () => {
  it.each<[Facts, string, string]>([
    [{ spf: 'pass', dmarc: 'pass', 'dmarc.policy': 'reject', dkim: ['pass'] }, 'accept', ''],
    [{ spf: 'fail' }, 'reject', 'mail/no-spf'],
    [{ spf: { unknown: 'time-out' } }, 'defer', 'mail/no-spf'],
    [{ spf: 'none', dmarc: 'fail', 'dmarc.policy': 'reject' }, 'reject', 'message/dmarc'],
    [{ spf: 'none', dmarc: 'fail', 'dmarc.policy': 'none' }, 'accept', ''],
    [{ spf: 'none', dmarc: 'fail', 'dmarc.policy': 'reject', 'arc.sealer': 'lists.example.net' }, 'accept', ''],
    [
      { spf: 'none', dmarc: 'fail', 'dmarc.policy': 'reject', 'arc.sealer': 'mallory.example' },
      'reject',
      'message/dmarc',
    ],
    [{ spf: 'none', dmarc: { unknown: 'time-out' }, 'dmarc.policy': 'reject' }, 'defer', 'message/dmarc'],
    // The sealer could not be checked: whether the rule is cancelled is not known.
    [
      {
        spf: 'none',
        dmarc: 'fail',
        'dmarc.policy': 'reject',
        'arc.sealer': { unknown: 'time-out', among: ['lists.example.net'] },
      },
      'defer',
      'message/dmarc',
    ],
    [
      {
        spf: 'none',
        dmarc: 'fail',
        'dmarc.policy': 'reject',
        'arc.sealer': { unknown: 'time-out', among: ['other.example'] },
      },
      'reject',
      'message/dmarc',
    ],
  ])('%j: %s %s', (facts, verdict, by) => {
    expect(decide(MESSAGE_RULES, facts).slice(0, 2)).toEqual([verdict, by]);
  });

  it.each<[Facts, boolean]>([
    [{ dkim: ['none'] }, true],
    [{}, true],
    [{ dkim: ['fail', 'pass'] }, false],
    [{ dkim: ['fail'], 'from.aligned': ['spf'] }, false],
    // One signature holds, whatever became of the other.
    [{ dkim: { unknown: 'key', values: ['pass'], among: ['pass', 'fail'] } }, false],
  ])('%j: tagged %j', (facts, tagged) => {
    expect(decide(MESSAGE_RULES, facts)[2]).toEqual(tagged ? ['unsigned'] : []);
  });

  it('`none` is the value and the absence', () => {
    const rules =
      '  message: [{ name: nothing, when: { spf: none, dkim: none, dmarc: none, arc: none }, tag: nothing }]';
    expect(decide(rules, {})[2]).toEqual(['nothing']);
    expect(decide(rules, { spf: 'none', dkim: ['none'], dmarc: 'none', arc: 'none' })[2]).toEqual(['nothing']);
    expect(decide(rules, { spf: 'none', dkim: ['fail'], dmarc: 'none', arc: 'none' })[2]).toEqual([]);
  });

  it('can be given in tests of the document', () => {
    const given = 'given: { listener: mx, ip: 203.0.113.9, sender: a@x.example, recipient: ann@example.com,';
    const compiled = compile(
      DOCUMENT(
        MESSAGE_RULES,
        `tests:
  - { name: one, ${given} spf: pass, dkim: [pass, fail], dkim.domain: [x.example], dmarc: fail, dmarc.policy: reject }, expect: { verdict: reject, by: message/dmarc } }
  - { name: two, ${given} spf: none, dkim: none, dmarc: none, arc: pass, arc.sealer: lists.example.net }, expect: { verdict: accept } }
  - { name: three, ${given} spf: unknown }, expect: { verdict: defer, by: mail/no-spf } }
  - { name: four, ${given} spf: pass, from.aligned: [spf] }, expect: { verdict: accept } }`,
      ),
    );
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings));
    expect(runTests(compiled.policy).map(({ passed }) => passed)).toEqual([true, true, true, true]);
  });

  it.each([
    ['spf: passed', /`pass`/],
    ['spf: temperror', /`pass`/],
    ['dmarc.policy: delete', /`none`|`quarantine`/],
  ])('%s is no condition', (condition, expected) => {
    const compiled = compile(DOCUMENT(`  message: [{ name: wrong, when: { ${condition} }, tag: x }]`));
    expect(compiled.ok ? '' : JSON.stringify(compiled.findings)).toMatch(expected);
  });

  it('are needed where a rule or the settings ask for them', () => {
    const needs = (text: string): [boolean, readonly string[]] => {
      const compiled = compile(text);
      if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings));
      const { neededFacts, contentFacts } = compiled.policy;
      return [neededFacts.mail.has('spf'), [...(contentFacts ?? [])].toSorted()];
    };
    expect(needs(DOCUMENT('  mail: []'))).toEqual([false, []]);
    expect(needs(DOCUMENT(MESSAGE_RULES))[1]).toEqual(['arc.sealer', 'dkim', 'dmarc', 'dmarc.policy', 'from.aligned']);
    expect(needs(DOCUMENT('  mail: []', 'settings: { facts: [spf, dkim] }'))).toEqual([true, ['dkim']]);
  });
});
