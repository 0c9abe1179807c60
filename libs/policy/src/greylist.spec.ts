import { describe, expect, test } from '@jest/globals';
import {
  check,
  compile,
  createSnapshot,
  decideTransaction,
  explainTransaction,
  greylistNetwork,
  judgeRecipient,
  type Facts,
  type RecipientDecision,
  type Snapshot,
} from './index.js';

const BASE = `
policy: test
listeners: { mx: { port: 25, exposure: internet, address: 192.0.2.1 } }
domains: [{ match: [ours.example], recipients: any, reason: a test }]
routing: [{ name: rest, route: inside }]
routes: { inside: { file: { format: maildir, directory: inside } } }
acl:
  rcpt:
    - name: strangers
      when: { helo: .elsewhere.example }
      unless: { recipient.local: [postmaster] }
      greylist: { delay: 5m, remember: 35d }
    - name: gone
      when: { recipient.local: [gone] }
      reject: 550 5.1.6 Gone
`;

function snapshot(text = BASE): Snapshot {
  const result = compile(text);
  if (!result.ok) throw new Error(JSON.stringify(result.findings));
  return createSnapshot(result.policy);
}

const FACTS: Facts = { listener: 'mx', ip: '203.0.113.9', helo: 'mail.elsewhere.example', sender: 'a@x.example' };

function decided(own: Facts, text = BASE): RecipientDecision {
  const { recipient = 'ann@ours.example', ...rest } = own;
  return judgeRecipient(snapshot(text), { ...FACTS, ...rest, recipient });
}

const TERMS = { delayMs: 300_000, rememberMs: 35 * 86_400_000 };
const STRANGER = { verdict: 'defer', by: 'rcpt/strangers', greylist: TERMS };

describe('greylist', () => {
  test('nobody asked yet: it defers, on which terms', () => {
    expect(decided({})).toMatchObject({
      ...STRANGER,
      reply: { code: 451, enhanced: '4.7.1', text: 'Greylisted, try again in 5 minutes' },
    });
  });

  test.each([
    ['new', 'Greylisted, try again in 5 minutes'],
    ['waiting', 'Greylisted, try again later, 5 minutes after the first attempt'],
  ])('%s: deferred', (greylist, text) => {
    expect(decided({ greylist })).toMatchObject({ ...STRANGER, reply: { code: 451, text } });
  });

  test('passed: the next rules are asked', () => {
    expect(decided({ greylist: 'passed' })).toMatchObject({ verdict: 'accept', by: '', route: 'inside' });
    expect(decided({ greylist: 'passed', recipient: 'gone@ours.example' })).toMatchObject({ by: 'rcpt/gone' });
    expect(decided({ greylist: 'passed' })).not.toHaveProperty('greylist');
  });

  test('whoever is excepted, or was refused before, is not looked up', () => {
    for (const own of [
      { recipient: 'postmaster@ours.example' },
      { helo: 'mail.known.example' },
      { recipient: 'b@else.example' },
    ]) {
      expect(decided(own)).not.toHaveProperty('greylist');
    }
  });

  test('a memory that can not be asked defers; `on-unknown: skip` goes on without it', () => {
    const away = { greylist: { unknown: 'a test' } };
    expect(decided(away)).toMatchObject({
      verdict: 'defer',
      by: 'rcpt/strangers',
      unknown: 'greylist: a test',
      reply: { code: 451, enhanced: '4.4.3' },
    });
    expect(decided(away)).not.toHaveProperty('greylist');
    expect(decided(away, BASE.replace('unless:', 'on-unknown: skip\n      unless:'))).toMatchObject({
      verdict: 'accept',
    });
  });

  test('unknown conditions defer, and nobody is remembered for that', () => {
    const unsure = decided({ helo: { unknown: 'a test' } });
    expect(unsure).toMatchObject({ verdict: 'defer', by: 'rcpt/strangers', reply: { enhanced: '4.4.3' } });
    expect(unsure).not.toHaveProperty('greylist');
  });

  test('only watched: it never defers, and nobody is looked up', () => {
    const watched = decided({}, BASE.replace('unless:', 'mode: monitor\n      unless:'));
    expect(watched).toMatchObject({ verdict: 'accept' });
    expect(watched).not.toHaveProperty('greylist');
  });

  test('is explained, with the fact and what would have decided otherwise', () => {
    const { lines, wouldChangeIf } = explainTransaction(snapshot(), FACTS, [
      { recipient: 'ann@ours.example', greylist: 'waiting' },
    ]);
    expect(lines).toContainEqual(
      'rule rcpt/strangers: holds, defer until 5 minutes after the first attempt (greylist); ' +
        'when helo: .elsewhere.example: yes (it is mail.elsewhere.example, covered by .elsewhere.example); ' +
        'when greylist: { not: passed }: yes (it is waiting); unless recipient.local: [postmaster]: no (it is ann)',
    );
    expect(wouldChangeIf).toEqual([
      [
        '`helo: .elsewhere.example` or `greylist: { not: passed }` did not hold, ' +
          'or `recipient.local: [postmaster]` held: no rule would object: accept, route inside',
      ],
    ]);
  });

  test('decided again from what was recorded, it comes out as it did', () => {
    for (const greylist of ['new', 'waiting', 'passed', { unknown: 'a test' }]) {
      const own = { recipient: 'ann@ours.example', greylist };
      expect(decideTransaction(snapshot(), FACTS, [own]).recipients).toEqual([decided(own)]);
    }
  });
});

describe('in a document', () => {
  const tested = (given: string, expected: string): string =>
    `${BASE}tests: [{ name: one, given: { listener: mx, ip: 203.0.113.9, helo: m.elsewhere.example, sender: a@x.example, recipient: ann@ours.example${given} }, expect: { ${expected} } }]`;

  test.each([
    ['', 'verdict: defer, by: rcpt/strangers, code: 451'],
    [', greylist: waiting', 'verdict: defer, by: rcpt/strangers'],
    [', greylist: passed', 'verdict: accept, by: ""'],
    [', greylist: unknown', 'verdict: defer, by: rcpt/strangers'],
  ])('a test may say what is remembered%s', (given, expected) => {
    const { findings } = check(tested(given, expected));
    expect(findings.filter(({ severity }) => severity === 'blocks')).toEqual([]);
  });

  test.each([
    ['delay: 5', /a duration with its unit/],
    ['delay: 2d', /`2d` is out of range, expected `1s` to `24h`/],
    ['delay: 0s', /`0s` is out of range/],
    ['remember: 400d', /`400d` is out of range, expected at most `366d`/],
    ['remember: 5m', /`5m` is out of range, expected more than the delay of `5m`/],
  ])('%s is refused', (change, message) => {
    const [key = ''] = change.split(':');
    const { findings } = check(BASE.replace(new RegExp(`${key}: \\w+`), change));
    expect(findings.filter(({ severity }) => severity === 'blocks').map((finding) => finding.message)).toEqual([
      expect.stringMatching(message),
    ]);
  });

  test('a rule behind it that it covers can never match', () => {
    const covered = BASE.replace(
      '    - name: gone\n      when: { recipient.local: [gone] }\n      reject: 550 5.1.6 Gone\n',
      '    - name: again\n      when: { helo: mx.elsewhere.example }\n      unless: { recipient.local: [postmaster] }\n      greylist: { delay: 1h, remember: 35d }\n',
    );
    const { findings } = check(covered);
    expect(findings.filter(({ severity }) => severity === 'blocks')).toEqual([
      expect.objectContaining({ code: 'P1', message: expect.stringContaining('rcpt/strangers') as unknown }),
    ]);
    // What comes through when the wait is over still reaches a refusal.
    expect(check(BASE).findings.filter(({ code }) => code === 'P1')).toEqual([]);
  });

  test('beside other facts: strangers whose sender is not authenticated, but for partners and the abuse desk', () => {
    const text = BASE.replace(
      /when: \{ helo[^]*?greylist/,
      'when: { client: none, spf: { not: pass } }\n      unless: { sender.domain: partners, recipient: abuse-desk }\n      greylist',
    ).replace(
      'domains:',
      'lists:\n  partners: { type: domain, entries: [.partner.example] }\n  abuse-desk: { type: address, entries: [abuse@ours.example, postmaster@ours.example] }\ndomains:',
    );
    const by = (facts: Facts, recipient = 'ann@ours.example'): string =>
      judgeRecipient(snapshot(text), { ...FACTS, ...facts, recipient }).by;
    expect(by({ spf: 'none' })).toBe('rcpt/strangers');
    expect(by({ spf: 'pass' })).toBe('');
    expect(by({ spf: 'fail', sender: 'a@lab.partner.example' })).toBe('');
    expect(by({ spf: 'fail' }, 'Abuse@ours.example')).toBe('');
    expect(
      judgeRecipient(snapshot(text), { ...FACTS, spf: { unknown: 'x' }, recipient: 'ann@ours.example' }),
    ).toMatchObject({
      verdict: 'defer',
      unknown: 'spf: x',
    });
  });

  test('elsewhere it is refused, with the phase that has it', () => {
    const elsewhere = BASE.replace('  rcpt:\n', '  message:\n');
    expect(check(elsewhere).findings).toContainEqual(
      expect.objectContaining({
        code: 'D6',
        message: '`greylist` can not be done in phase `message`, expected in phase `rcpt`',
      }),
    );
  });
});

test.each([
  ['203.0.113.9', '203.0.113.0'],
  ['203.0.113.250', '203.0.113.0'],
  ['255.255.255.255', '255.255.255.0'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
  ['nonsense', 'nonsense'],
])('%s is remembered as %s', (address, network) => {
  expect(greylistNetwork(address)).toBe(network);
});
