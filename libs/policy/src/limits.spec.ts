import { describe, expect, test } from '@jest/globals';
import {
  check,
  compile,
  createSnapshot,
  decideTransaction,
  explainTransaction,
  judgeMail,
  limitKeys,
  type Facts,
  type Snapshot,
} from './index.js';

const BASE = `
policy: test
listeners: { mx: { port: 25, exposure: internet, address: 192.0.2.1 } }
domains: [{ match: [ours.example], recipients: any, reason: a test }]
routing: [{ name: rest, route: inside }]
routes: { inside: { file: { format: maildir, directory: inside } } }
limits:
  - { name: visits, key: [ip], count: connections, max: 5, per: 1m, on-exceed: reject }
  - { name: letters, key: [sender.domain], count: messages, max: 5, per: 1h, on-exceed: defer }
  - { name: names, key: [ip, recipient.domain], count: recipients, max: 5, per: 1h, on-exceed: defer }
  - { name: probing, key: [ip], count: rejects, max: 5, per: 1h, on-exceed: defer }
  - { name: gently, key: [ip], count: messages, max: 2, per: 1h, on-exceed: slow }
`;

function snapshot(text = BASE): Snapshot {
  const result = compile(text);
  if (!result.ok) throw new Error(JSON.stringify(result.findings));
  return createSnapshot(result.policy);
}

const FACTS: Facts = { listener: 'mx', ip: '203.0.113.9', sender: 'a@X.example' };
const OWN: Facts = { recipient: 'bob@ours.example', recipients: 1 };

function decided(more: Facts): unknown {
  const [recipient] = decideTransaction(snapshot(), { ...FACTS, ...more }, [OWN]).recipients;
  return [recipient?.verdict, recipient?.by, recipient?.reply?.code, recipient?.reply?.enhanced];
}

describe('an exceeded limit', () => {
  test.each([
    [{}, ['accept', '', undefined, undefined]],
    [{ 'limit.visits': 'exceeded' }, ['reject', 'builtin/limit-visits', 554, '5.7.1']],
    [{ 'limit.letters': 'exceeded' }, ['defer', 'builtin/limit-letters', 451, '4.7.1']],
    [{ 'limit.names': 'exceeded' }, ['defer', 'builtin/limit-names', 450, '4.7.1']],
    [{ 'limit.probing': 'exceeded' }, ['defer', 'builtin/limit-probing', 450, '4.7.1']],
    [{ 'limit.gently': 'exceeded' }, ['accept', '', undefined, undefined]],
    [{ 'limit.gently': { unknown: 'a test' } }, ['defer', 'builtin/limit-gently', 451, '4.4.3']],
  ])('%j', (facts, expected) => {
    expect(decided(facts as Facts)).toEqual(expected);
  });

  test('never says who exists, nor comes before what refuses anyway', () => {
    const to = (recipient: string, facts: Facts): unknown =>
      decideTransaction(snapshot(), { ...FACTS, ...facts }, [{ recipient }]).recipients[0]?.by;
    expect(to('b@else.example', { 'limit.probing': 'exceeded' })).toBe('builtin/limit-probing');
    expect(to('b@else.example', { 'limit.names': 'exceeded' })).toBe('builtin/relay-denied');
  });

  test('is explained', () => {
    const facts = { ...FACTS, 'limit.letters': 'exceeded', 'limit.letters.count': 5 };
    const { lines, wouldChangeIf } = explainTransaction(snapshot(), facts, [OWN]);
    expect(lines).toContain(
      'rule builtin/limit-letters: holds, defer; when limit.letters: exceeded: yes (it is exceeded); ' +
        'when at most 5 messages in 1 hour by sender.domain: no (it is 5)',
    );
    expect(lines).toContain('rule builtin/limit-visits: does not hold; when limit.visits: exceeded: no (it is absent)');
    expect(wouldChangeIf).toEqual([['limit `letters` were not exceeded: no rule would object: accept, route inside']]);
  });
});

describe('keys', () => {
  const keys = (facts: Facts): readonly string[] => {
    const live = snapshot();
    const all = { ...FACTS, ...facts };
    return limitKeys(live, ['connections', 'messages'], all, judgeMail(live, all)).map(
      ({ limit, key }) => `${limit.name} ${key}`,
    );
  };

  test('are values without case, an IPv6 address its /64', () => {
    expect(keys({})).toEqual(['visits 203.0.113.9', 'letters x.example', 'gently 203.0.113.9']);
    expect(keys({ ip: '2001:db8::1:2' })[0]).toBe(keys({ ip: '2001:db8::ffff' })[0]);
    expect(keys({ ip: '2001:db8:0:1::1' })[0]).not.toBe(keys({ ip: '2001:db8::1' })[0]);
  });

  test('a limit applies where every fact of its key is there', () => {
    expect(keys({ sender: '' })).toEqual(['visits 203.0.113.9', 'gently 203.0.113.9']);
  });
});

test('facts in keys are looked up, and only where a limit wants them', () => {
  const needed = (count: string): unknown => {
    const text = BASE.replace('key: [ip], count: connections', `key: [rdns], count: ${count}`);
    const { connect, mail } = snapshot(text).policy.neededFacts;
    return [connect.has('rdns'), mail.has('rdns')];
  };
  expect(needed('connections')).toEqual([true, false]);
  expect(needed('messages')).toEqual([false, true]);
});

test('in tests a limit is given by its name', () => {
  const withTest = (given: string): readonly string[] =>
    check(
      `${BASE}tests: [{ name: t, given: { listener: mx, ip: 203.0.113.9, sender: a@x.example, recipient: b@ours.example, ${given} }, expect: { verdict: defer, by: builtin/limit-letters } }]`,
    ).findings.flatMap(({ severity, code, message }) => (severity === 'blocks' ? [`${code} ${message}`] : []));
  expect(withTest('limit.letters: exceeded')).toEqual([]);
  expect(withTest('limit.leters: exceeded')).toEqual(['D4 unknown limit `leters`, did you mean `letters`?']);
  expect(withTest('limit.letters: full')).toHaveLength(1);
});
