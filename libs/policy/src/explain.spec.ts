/** Every decision says which rule, which fact with which value, which entry of which list, and what would have changed it. */
import { describe, expect, test } from '@jest/globals';
import {
  buildManagedList,
  compile,
  createSnapshot,
  explainTransaction,
  type ConditionStep,
  type Explanation,
  type Facts,
} from './index.js';

const POLICY = `
policy: test
listeners:
  mx: { port: 25, exposure: internet, address: 192.0.2.1 }
  inside: { port: 2525, exposure: internal, address: 10.0.0.1 }
  submit: { port: 587, exposure: internet, address: 192.0.2.1, tls: { mode: starttls, certificate: x, required: true }, auth: required }
lists:
  ours: { type: domain, entries: [ours.example] }
  staff: { type: address, source: managed, within: { domain: ours } }
  bad-nets: { type: network, entries: [198.51.100.0/24] }
  programs: { type: word, entries: [exe] }
clients:
  - { name: lab, match: { ip: 10.0.1.0/24, rdns: .lab.example, listener: inside }, relay: { to: partners }, senders: [robot@ours.example] }
  - { name: servers, match: { ip: 10.0.0.0/8, listener: inside }, relay: anywhere, senders: ours }
  - { name: people, match: { auth: any, listener: submit }, relay: anywhere, senders: own-identities }
domains: [{ match: ours, recipients: staff }]
rewriting: [{ name: old, recipient: { from: '*@old.example', to: '{local}@ours.example' } }]
acl:
  connect: [{ name: net, when: { ip: bad-nets }, reject: 554 5.7.1 No }]
  helo: [{ name: liar, when: { helo.kind: our-own-name }, reject: 550 5.7.1 No }]
  mail: [{ name: big, when: { size.declared: { above: 20MB } }, unless: { client: servers }, defer: 451 4.3.4 Later }]
  rcpt: [{ name: strangers, when: { client: none }, unless: { recipient.local: [postmaster] }, greylist: { delay: 5m, remember: 35d } }]
  message: [{ name: programs, when: { attachment.extension: programs }, hold: review }]
copies: [{ name: journal, when: { sender.domain: ours }, route: archive }]
routing:
  - { name: named, when: { recipient.domain: ours, rdns: .named.example }, route: archive }
  - { name: inside, when: { recipient.domain: ours }, route: inside }
  - { name: rest, route: out }
routes: { inside: { hosts: [{ host: mbx.example }] }, out: { hosts: [{ host: out.example }] }, archive: { file: { format: maildir, directory: a } } }
review-queues: { review: { expire: 14d, on-expire: return-to-sender } }
limits: [{ name: letters, key: [ip], count: messages, max: 5, per: 1h, on-exceed: defer }]
`.replace('to: partners', 'to: far.example');

const compiled = compile(POLICY);
if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings));
const { policy } = compiled;
const snapshot = createSnapshot(
  policy,
  new Map([['staff', buildManagedList('address', 'staff', 7, ['ann@ours.example', '*@sub.ours.example'])]]),
);

const MX: Facts = { listener: 'mx', ip: '203.0.113.9', sender: 'a@x.example', size: 100 };
const SERVER: Facts = { listener: 'inside', ip: '10.0.2.7', sender: 'app@ours.example' };
const ANN: Facts = { recipient: 'ann@ours.example', greylist: 'passed' };

function explain(facts: Facts, own: Facts): Explanation {
  return explainTransaction(snapshot, facts, [own]);
}

interface Because extends Partial<ConditionStep> {
  readonly fact: string;
}

const CASES: readonly (readonly [by: string, facts: Facts, own: Facts, because: Because, otherwise: RegExp])[] = [
  [
    'connect/net',
    { ...MX, ip: '198.51.100.7' },
    ANN,
    { fact: 'ip', value: '198.51.100.7', list: 'bad-nets', entry: '198.51.100.0/24', result: 'yes' },
    /^`ip: bad-nets` did not hold: no rule would object: accept, route inside$/,
  ],
  [
    'helo/liar',
    { ...MX, 'helo.kind': 'our-own-name' },
    ANN,
    { fact: 'helo.kind', value: 'our-own-name', result: 'yes' },
    /^`helo.kind: our-own-name` did not hold: no rule would object/,
  ],
  [
    'mail/big',
    { ...MX, 'size.declared': 30_000_000 },
    ANN,
    { fact: 'size.declared', value: 30_000_000, result: 'yes' },
    /did not hold, or `client: servers` held: no rule would object/,
  ],
  [
    'rcpt/strangers',
    MX,
    { recipient: 'ann@ours.example', greylist: 'waiting' },
    { fact: 'greylist', value: 'waiting', result: 'yes' },
    /`greylist: \{ not: passed \}` did not hold, or .*: no rule would object: accept, route inside$/,
  ],
  [
    'message/programs',
    { ...MX, 'attachment.extension': ['pdf', 'exe'] },
    ANN,
    { fact: 'attachment.extension', value: ['pdf', 'exe'], list: 'programs', entry: 'exe', result: 'yes' },
    /^`attachment.extension: programs` did not hold: no rule would object: accept, route inside$/,
  ],
  [
    'routing/named',
    { ...MX, rdns: { unknown: 'name server failed' } },
    ANN,
    { fact: 'rdns', value: { unknown: 'name server failed' }, result: 'unknown' },
    /^it were known whether `rdns: .named.example` and `recipient.domain: ours` holds$/,
  ],
  [
    'clients/lab',
    { ...SERVER, ip: '10.0.1.7', rdns: { unknown: 'name server failed' } },
    ANN,
    { fact: 'rdns', value: { unknown: 'name server failed' }, result: 'unknown' },
    /^it were known whether .*`rdns: .lab.example` holds$/,
  ],
  [
    'builtin/relay-denied',
    MX,
    { recipient: 'b@y.example' },
    { fact: 'recipient.domain', value: 'y.example', result: 'no' },
    /were in `domains`/,
  ],
  [
    'builtin/relay-denied',
    { ...SERVER, ip: '10.0.1.7', rdns: ['x.lab.example'], sender: 'robot@ours.example' },
    { recipient: 'b@y.example' },
    { fact: 'recipient', condition: 'recipient in relay of client lab', value: 'b@y.example', result: 'no' },
    /might relay to it/,
  ],
  [
    'builtin/no-such-recipient',
    MX,
    { recipient: 'eve@ours.example', greylist: 'passed' },
    { fact: 'recipient', condition: 'recipient in recipients: staff', value: 'eve@ours.example', result: 'no' },
    /the list of recipients of the domain had the recipient/,
  ],
  [
    'builtin/sender-not-allowed',
    { ...SERVER, sender: 'a@x.example' },
    ANN,
    { fact: 'sender', condition: 'sender in senders of client servers', value: 'a@x.example', result: 'no' },
    /`senders` of the client allowed the sender/,
  ],
  [
    'builtin/sender-not-allowed',
    {
      listener: 'submit',
      ip: '203.0.113.9',
      tls: true,
      auth: 'ann',
      'auth.identities': ['ann@ours.example'],
      sender: 'bob@ours.example',
    },
    ANN,
    { fact: 'auth.identities', value: ['ann@ours.example'], result: 'no' },
    /`senders` of the client allowed the sender/,
  ],
  [
    'builtin/tls-required',
    { listener: 'submit', ip: '203.0.113.9', tls: false, sender: 'bob@ours.example' },
    ANN,
    { fact: 'tls', value: false, result: 'yes' },
    /the session were encrypted/,
  ],
  [
    'builtin/auth-required',
    { listener: 'submit', ip: '203.0.113.9', tls: true, sender: 'bob@ours.example' },
    ANN,
    { fact: 'auth', result: 'yes' },
    /the client had signed in/,
  ],
  [
    'builtin/limit-letters',
    { ...MX, 'limit.letters': 'exceeded', 'limit.letters.count': 5 },
    ANN,
    { fact: 'limit.letters.count', condition: 'at most 5 messages in 1 hour by ip', value: 5 },
    /^limit `letters` were not exceeded: no rule would object/,
  ],
  [
    'builtin/bad-recipient',
    MX,
    { recipient: 'a%b@ours.example' },
    { fact: 'recipient', value: 'a%b@ours.example' },
    /an address that mail can go to/,
  ],
];

describe('a refusal says why', () => {
  test.each(CASES)('%s', (...[by, facts, own, because, otherwise]) => {
    const { decision, steps, recipientSteps, wouldChangeIf, lines } = explain(facts, own);
    expect(decision.recipients[0]?.by).toBe(by);
    const all = [...steps, ...(recipientSteps[0] ?? [])];
    expect(all.flatMap(({ conditions }) => conditions)).toContainEqual(expect.objectContaining(because));
    expect(wouldChangeIf[0]?.[0]).toMatch(otherwise);
    expect(lines.length).toBe(all.length + 1);
  });
});

describe('an accept says why', () => {
  test('the right to relay, the list of recipients, the route, the copy', () => {
    const { decision, recipientSteps, wouldChangeIf } = explain(SERVER, { recipient: 'Ann@old.example' });
    expect(decision.recipients[0]).toMatchObject({ verdict: 'accept', route: 'inside', recipient: 'Ann@ours.example' });
    const conditions = recipientSteps[0]?.flatMap((step) => step.conditions.map((each) => ({ id: step.id, ...each })));
    for (const because of [
      { id: 'rewriting/old', fact: 'recipient', value: 'Ann@old.example', entry: '*@old.example' },
      { id: 'builtin/relay-denied', fact: 'recipient.domain', list: 'ours', entry: 'ours.example', result: 'yes' },
      { id: 'builtin/relay-denied', condition: 'recipient in relay of client servers', result: 'yes' },
      { id: 'builtin/no-such-recipient', value: 'Ann@ours.example', list: 'staff', entry: 'ann@ours.example' },
      { id: 'routing/inside', fact: 'recipient.domain', list: 'ours', entry: 'ours.example', result: 'yes' },
      { id: 'copies/journal', fact: 'sender.domain', list: 'ours', entry: 'ours.example', result: 'yes' },
    ]) {
      expect(conditions).toContainEqual(expect.objectContaining(because));
    }
    expect(wouldChangeIf).toEqual([
      ['`recipient.domain: ours` did not hold (routing/inside): no rule would object: accept, route out'],
    ]);
  });

  test('what the client may send as', () => {
    const own = { 'auth.identities': ['ann@ours.example', '*@sub.ours.example'] };
    const facts = {
      listener: 'submit',
      ip: '203.0.113.9',
      tls: true,
      auth: 'ann',
      ...own,
      sender: 'x@sub.ours.example',
    };
    const { steps } = explain(facts, ANN);
    expect(steps.find(({ stage }) => stage === 'senders')?.conditions).toEqual([
      expect.objectContaining({ fact: 'auth.identities', entry: '*@sub.ours.example', result: 'yes' }),
    ]);
  });
});
