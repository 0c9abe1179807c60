import { describe, expect, test } from '@jest/globals';
import {
  check,
  compile,
  createSnapshot,
  decideTransaction,
  explainTransaction,
  type Facts,
  type Snapshot,
} from './index.js';

const BASE = `
policy: test
listeners: { mx: { port: 25, exposure: internet, address: 192.0.2.1 } }
domains: [{ match: [ours.example], recipients: any, reason: a test }]
routing: [{ name: rest, route: inside }]
routes:
  inside: { file: { format: maildir, directory: inside } }
  junk: { file: { format: maildir, directory: junk } }
  archive: { file: { format: maildir, directory: archive } }
`;

function snapshot(rest: string): Snapshot {
  const base = rest.includes('tag: spam')
    ? BASE.replace('routing: [', `routing: [{ name: spam, when: { tag: spam }, route: junk }, `)
    : BASE;
  const result = compile(base + rest);
  if (!result.ok) throw new Error(JSON.stringify(result.findings, undefined, 2));
  return createSnapshot(result.policy);
}

const SHARED: Facts = { listener: 'mx', ip: '203.0.113.9', helo: 'x.example', sender: 'a@x.example' };
const to = (...locals: string[]): Facts[] =>
  locals.map((local, index) => ({ recipient: `${local}@ours.example`, recipients: index + 1 }));

function decide(rest: string, content: Facts, recipients: readonly Facts[]): ReturnType<typeof decideTransaction> {
  return decideTransaction(snapshot(rest), { ...SHARED, size: 100, ...content }, recipients);
}

const rules = (text: string, settings = ''): string => `acl:\n  message:\n${text}\n${settings}`;
const REJECT_BOB = `    - { name: bob, when: { recipient.local: [bob], subject: [no] }, reject: 550 5.7.1 No }`;
const DEFER_EVE = `    - { name: eve, when: { recipient.local: [eve], subject: [no] }, defer: 451 4.7.1 Later }`;

describe('one answer for all recipients', () => {
  const MIXED = `${REJECT_BOB}\n${DEFER_EVE}`;

  test('the same verdict is the answer', () => {
    const decided = decide(rules(MIXED), { subject: ['no'] }, to('bob'));
    expect(decided.refusal).toMatchObject({ verdict: 'reject', by: 'message/bob', reply: { code: 550 } });
    expect(decide(rules(MIXED), { subject: ['yes'] }, to('bob', 'ann')).refusal).toBeUndefined();
  });

  test('hold: the accepted go on, the others are held in `mixed`', () => {
    const decided = decide(rules(MIXED), { subject: ['no'] }, to('ann', 'bob', 'eve'));
    expect(decided.refusal).toBeUndefined();
    expect(decided.recipients).toMatchObject([
      { verdict: 'accept', route: 'inside' },
      {
        verdict: 'hold',
        reviewQueue: 'mixed',
        by: 'message/bob',
        instead: { verdict: 'reject', reply: { code: 550 } },
      },
      { verdict: 'hold', reviewQueue: 'mixed', by: 'message/eve', instead: { verdict: 'defer' } },
    ]);
    expect(decided.recipients[1]).not.toHaveProperty('route');
  });

  test('strictest: any reject rejects all, else any deferral defers all', () => {
    const strict = 'settings: { mixed-verdicts: strictest }';
    const rejected = decide(rules(MIXED, strict), { subject: ['no'] }, to('ann', 'eve', 'bob'));
    expect(rejected.refusal).toMatchObject({ verdict: 'reject', by: 'message/bob' });
    expect(rejected.recipients.map(({ verdict }) => verdict)).toEqual(['reject', 'reject', 'reject']);
    expect(rejected.recipients[0]).toMatchObject({ by: 'message/bob', instead: { verdict: 'accept' } });
    expect(decide(rules(MIXED, strict), { subject: ['no'] }, to('ann', 'eve')).refusal).toMatchObject({
      verdict: 'defer',
    });
  });

  test('split: a recipient that message rules can tell apart gets 452 at RCPT', () => {
    const split = 'settings: { mixed-verdicts: split }';
    const decided = decide(rules(MIXED, split), { subject: ['no'] }, to('ann', 'bob', 'amy', 'eve'));
    expect(decided.recipients.map(({ verdict, by, reply }) => [verdict, by, reply?.code])).toEqual([
      ['accept', '', undefined],
      ['defer', 'builtin/other-class', 452],
      ['accept', '', undefined],
      ['defer', 'builtin/other-class', 452],
    ]);
    const both = decide(rules(MIXED, split), { subject: ['no'] }, to('bob', 'bob'));
    expect(both.refusal).toMatchObject({ verdict: 'reject' });
  });

  test('hold and discard are 250 for the client: nothing is mixed', () => {
    const text = `    - { name: h, when: { recipient.local: [bob] }, hold: mixed }
    - { name: d, when: { recipient.local: [eve] }, discard: true, reason: a test }`;
    const decided = decide(rules(text), {}, to('ann', 'bob', 'eve'));
    expect(decided.refusal).toBeUndefined();
    expect(decided.recipients.map(({ verdict }) => verdict)).toEqual(['accept', 'hold', 'discard']);
  });
});

describe('facts of the content', () => {
  test('unknown defers for every verdict but accept, and never means none', () => {
    const text = '    - { name: exe, when: { attachment.extension: [exe] }, hold: mixed }';
    const decided = decide(rules(text), { 'attachment.extension': { unknown: 'mime.limit' } }, to('ann'));
    expect(decided.refusal).toMatchObject({ verdict: 'defer', by: 'message/exe', reply: { code: 451 } });
    expect(decided.recipients[0]?.unknown).toBe('attachment.extension: mime.limit');
  });

  test('several values: some, every, none', () => {
    const asks = (condition: string, facts: Facts): string | undefined =>
      decide(rules(`    - { name: r, when: { ${condition} }, reject: 550 5.7.1 No }`), facts, to('ann')).recipients[0]
        ?.verdict;
    expect(asks('attachment.size: { above: 1MB }', { 'attachment.size': [10, 2_000_000] })).toBe('reject');
    expect(asks('attachment.size: { all: { above: 1MB } }', { 'attachment.size': [10, 2_000_000] })).toBe('accept');
    expect(asks('header.List-Id: none', {})).toBe('reject');
    expect(asks('header.List-Id: none', { 'header.list-id': ['x'] })).toBe('accept');
    expect(asks('from.domain: [bank.example]', { from: ['a@b.example', 'c@bank.example'] })).toBe('reject');
    expect(asks('from.count: { not: 1 }', { from: ['a@b.example', 'c@bank.example'] })).toBe('reject');
  });

  test('names of fields compare without case', () => {
    const text = '    - { name: r, when: { header.X-SPAM: [YES] }, reject: 550 5.7.1 No }';
    expect(decide(rules(text), { 'header.x-spam': ['yes'] }, to('ann')).refusal).toMatchObject({ by: 'message/r' });
  });
});

describe('effects', () => {
  test('the last change of a field counts; verdicts end the phase, effects stay', () => {
    const text = `    - { name: a, set-header: { X-A: "1", X-B: b } }
    - { name: b, set-header: { x-a: "2" }, remove-header: X-C }
    - { name: c, accept: true }
    - { name: d, set-header: { X-A: "3" } }`;
    expect(decide(rules(text), {}, to('ann')).recipients[0]?.headers).toEqual([
      { op: 'set', name: 'x-a', value: '2' },
      { op: 'set', name: 'X-B', value: 'b' },
      { op: 'remove', name: 'X-C' },
    ]);
  });

  test('tags of message rules choose the route anew, content never does', () => {
    const text = '    - { name: s, when: { subject: [spam] }, tag: spam }';
    expect(decide(rules(text), { subject: ['spam'] }, to('ann')).recipients[0]).toMatchObject({
      route: 'junk',
      tags: ['spam'],
    });
    expect(decide(rules(text), { subject: ['ham'] }, to('ann')).recipients[0]).toMatchObject({ route: 'inside' });
  });

  test('redirect and added recipients are placed; copies go with what is accepted', () => {
    const text = `  rcpt:
    - { name: away, when: { recipient.local: [bob] }, redirect: ann@ours.example, add-recipient: eve@ours.example }
  message:
    - { name: on, when: { subject: [x] }, redirect: amy@ours.example }`;
    const rest = `acl:\n${text}\ncopies: [{ name: all, route: archive }]`;
    expect(decide(rest, {}, to('bob')).recipients[0]).toMatchObject({
      original: 'bob@ours.example',
      recipient: 'ann@ours.example',
      added: [
        { address: 'eve@ours.example', route: 'inside', by: 'rcpt/away' },
        { address: 'ann@ours.example', route: 'archive', by: 'copies/all' },
      ],
    });
    expect(decide(rest, { subject: ['x'] }, to('bob')).recipients[0]).toMatchObject({
      recipient: 'amy@ours.example',
      added: [
        { address: 'eve@ours.example', by: 'rcpt/away' },
        { address: 'amy@ours.example', by: 'copies/all' },
      ],
    });
  });

  test('monitor rules change nothing', () => {
    const text = '    - { name: m, mode: monitor, set-header: { X: y }, hold: mixed }';
    const decided = decide(rules(text), {}, to('ann')).recipients[0];
    expect(decided).toMatchObject({ verdict: 'accept', route: 'inside' });
    expect(decided).not.toHaveProperty('headers');
    const { lines } = explainTransaction(snapshot(rules(text)), { ...SHARED, size: 1 }, to('ann'));
    expect(lines.join('\n')).toContain('would have made it hold in mixed, set header X: y');
  });
});

test('without message rules nothing is asked of the content', () => {
  expect(snapshot('').policy.contentFacts).toBeUndefined();
  expect(snapshot(rules('    - { name: h, set-header: { X: y } }')).policy.contentFacts).toEqual(new Set());
});

test('what would have decided otherwise', () => {
  const text = `${REJECT_BOB}\n    - { name: later, when: { subject: [no] }, hold: mixed }`;
  const { wouldChangeIf } = explainTransaction(
    snapshot(rules(text)),
    { ...SHARED, size: 1, subject: ['no'] },
    to('bob'),
  );
  expect(wouldChangeIf).toEqual([
    ['`recipient.local: [bob]` or `subject: [no]` did not hold: next message/later would decide: hold in mixed'],
  ]);
});

describe('refused documents', () => {
  const finds = (rest: string): readonly string[] =>
    check(BASE + rest).findings.flatMap(({ severity, code, message }) =>
      severity === 'info' ? [] : [`${code} ${message}`],
    );

  test.each([
    ['    - { name: a, hold: revew }', 'D4 unknown review queue `revew`, expected `mixed`'],
    ['    - { name: a, discard: true }', 'D2 rule `a` loses mail without telling anybody, expected a `reason`'],
    [
      '    - { name: a, redirect: x@else.example }',
      'D7 `else.example` is not an accepted domain, expected one of `domains`, or `external: allowed` beside it',
    ],
    [
      '    - { name: a, set-header: { Received: x } }',
      'D7 `Received` says how or whence mail came and how it is read, expected another field',
    ],
    [
      '    - { name: a, set-header: { X-A: "a\\nb" } }',
      'D3 the value of `X-A` must be printable ASCII in one line without space around it',
    ],
    [
      '    - { name: a, add-header: { X-A: b }, remove-header: x-a }',
      'D7 rule `a` changes `x-a` twice, expected one change',
    ],
    ['    - { name: a, reject: 421 4.7.1 x }', 'D3 `421` does not fit `reject`, expected a code that begins with 5'],
  ])('%s', (text, finding) => {
    expect(finds(rules(text))).toContain(finding);
  });

  test('content is not known before the message', () => {
    expect(finds('acl: { rcpt: [{ name: a, when: { header.X-Y: [z] }, reject: 550 5.7.1 x }] }')).toEqual([
      'D6 fact `header.X-Y` is not known in phase `rcpt`, expected in phase `message` or later',
    ]);
  });

  test('expiry that discards needs a reason', () => {
    expect(finds('review-queues: { q: { expire: 1d, on-expire: discard } }')).toEqual([
      'D2 `on-expire: discard` loses mail that nobody saw, expected a `reason` beside it',
    ]);
  });
});
