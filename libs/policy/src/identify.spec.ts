import { describe, expect, test } from '@jest/globals';
import {
  compile,
  createSnapshot,
  explainGiven,
  isProxy,
  judgeConnect,
  judgeHelo,
  judgeMail,
  judgeRecipient,
  mayXclient,
  runTests,
  type CompiledPolicy,
  type Facts,
  type Snapshot,
} from './index.js';

const FINGERPRINT = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const POLICY = `
policy: test
listeners:
  mx: { address: 192.0.2.10, port: 25, exposure: internet, tls: { mode: starttls, required: true }, greeting-delay: 3s }
  submit:
    address: 192.0.2.10
    port: 465
    exposure: internet
    tls: { mode: implicit, certificate: submit, client-certificates: request }
    auth: { mode: required, mechanisms: [PLAIN, SCRAM-SHA-256] }
  partners:
    address: 192.0.2.10
    port: 26
    exposure: internet
    tls: { mode: starttls, client-certificates: request }
  balanced:
    address: 10.0.0.25
    port: 2525
    exposure: internal
    proxy-protocol: { from: balancers }
    xclient: { from: 10.0.7.1 }
lists:
  ours: { type: domain, entries: [ours.example] }
  balancers: { type: network, entries: [10.0.1.7, 'fd00::7'] }
  zones: { type: domain, entries: [a.list.example, b.list.example] }
clients:
  - { name: servers, match: { ip: 10.0.1.0/24, listener: balanced }, relay: anywhere, senders: ours }
  - { name: people, match: { auth: any, listener: submit }, relay: anywhere, senders: own-identities }
  - { name: named, match: { cert.name: [Gateway.Partner.example], listener: partners }, relay: { to: .far.example }, senders: partner.example }
  - { name: printed, match: { cert.fingerprint: ['${FINGERPRINT.toUpperCase().replaceAll(/(..)(?!$)/g, '$1:')}'], cert.name: { not: [Gateway.Partner.example] }, listener: partners }, relay: anywhere }
domains:
  - { match: ours, recipients: any, reason: a test }
acl:
  connect:
    - { name: listed, when: { dnsbl: a.list.example }, reject: 554 5.7.1 Listed }
    - { name: slow, when: { rdns: none }, delay: 2s }
    - { name: eager, when: { early-talker: true }, delay: 3s, tag: eager }
  helo:
    - { name: old-tls, when: { tls.version: TLSv1.2 }, delay: 1s }
  mail:
    - { name: no-way-back, when: { sender.has-mx: false }, reject: 550 5.1.8 No way back }
    - { name: other-list, when: { dnsbl: zones }, tag: listed }
    - { name: crowd, when: { connections: { above: 5 } }, defer: 451 4.7.1 Too many }
routing:
  - { name: rest, route: out }
routes:
  out: { hosts: [{ host: out.example }] }
settings:
  facts: [rdns]
`;

function policy(): CompiledPolicy {
  const result = compile(POLICY);
  if (!result.ok) throw new Error(JSON.stringify(result.findings, undefined, 1));
  return result.policy;
}
const compiled = policy();
const snapshot: Snapshot = createSnapshot(compiled);

const SUBMIT: Facts = { listener: 'submit', ip: '203.0.113.9', tls: true, 'tls.version': 'TLSv1.3' };
const ANN: Facts = { ...SUBMIT, auth: 'ann', 'auth.identities': ['ann@ours.example', '*@team.example'] };
const PARTNER: Facts = { listener: 'partners', ip: '203.0.113.9', tls: true };

function clientOf(facts: Facts): string {
  return judgeMail(snapshot, { sender: '', ...facts }).client;
}

describe('what a listener demands', () => {
  test('TLS before MAIL FROM', () => {
    const refused = judgeMail(snapshot, { listener: 'mx', ip: '203.0.113.9', tls: false, sender: 'a@x.example' });
    expect(refused).toMatchObject({ verdict: 'reject', by: 'builtin/tls-required', answer: 'now' });
    expect(refused.reply).toEqual({ code: 530, enhanced: '5.7.0', text: 'Must issue a STARTTLS command first' });
    expect(judgeMail(snapshot, { listener: 'mx', ip: '203.0.113.9', tls: true, sender: 'a@x.example' }).verdict).toBe(
      'accept',
    );
  });

  test('AUTH before MAIL FROM; where nobody knows, not now', () => {
    expect(judgeMail(snapshot, { ...SUBMIT, sender: 'ann@ours.example' })).toMatchObject({
      verdict: 'reject',
      by: 'builtin/auth-required',
      answer: 'now',
    });
    expect(judgeMail(snapshot, { ...SUBMIT, auth: { unknown: 'x' }, sender: '' })).toMatchObject({
      verdict: 'defer',
      by: 'builtin/auth-required',
    });
  });
});

describe('who is talking', () => {
  test('an account sends as its identities and as nobody else', () => {
    const by = (sender: string): string => judgeMail(snapshot, { ...ANN, sender }).by;
    expect(clientOf(ANN)).toBe('people');
    expect(by('ann@ours.example')).toBe('');
    expect(by('Ann@OURS.example')).toBe('');
    expect(by('anybody@team.example')).toBe('');
    expect(by('Anybody@Team.Example')).toBe('');
    expect(by('')).toBe('');
    expect(by('bob@ours.example')).toBe('builtin/sender-not-allowed');
    expect(by('a@sub.team.example')).toBe('builtin/sender-not-allowed');
    expect(judgeMail(snapshot, { ...SUBMIT, auth: 'ann', sender: 'ann@ours.example' }).by).toBe(
      'builtin/sender-not-allowed',
    );
    expect(judgeMail(snapshot, { ...ANN, 'auth.identities': { unknown: 'x' }, sender: 'a@b.example' }).verdict).toBe(
      'defer',
    );
  });

  test('local parts of identities compare exactly where the domain is not ours', () => {
    const facts = { ...ANN, 'auth.identities': ['Ann@far.example'] };
    expect(judgeMail(snapshot, { ...facts, sender: 'Ann@far.example' }).verdict).toBe('accept');
    expect(judgeMail(snapshot, { ...facts, sender: 'ann@far.example' }).verdict).toBe('reject');
  });

  test('a certificate by name, without case, or by fingerprint', () => {
    expect(clientOf({ ...PARTNER, 'cert.name': ['x.example', 'gateway.partner.example'] })).toBe('named');
    expect(clientOf({ ...PARTNER, 'cert.fingerprint': FINGERPRINT })).toBe('printed');
    expect(clientOf({ ...PARTNER, 'cert.fingerprint': FINGERPRINT.replace('9', '8') })).toBe('none');
    expect(clientOf(PARTNER)).toBe('none');
  });

  test('relay follows the client', () => {
    const far = { recipient: 'b@y.far.example' };
    const judge = (facts: Facts): string => judgeRecipient(snapshot, { ...facts, ...far }).by;
    expect(judge({ ...PARTNER, sender: 'a@partner.example' })).toBe('builtin/relay-denied');
    expect(judge({ ...PARTNER, 'cert.name': ['gateway.partner.example'], sender: 'a@partner.example' })).toBe('');
  });

  test('a balancer is nobody, and only balancers speak for others', () => {
    const via = (ip: string): string => clientOf({ listener: 'balanced', ip });
    expect(via('10.0.1.8')).toBe('servers');
    expect(via('10.0.1.7')).toBe('none');
    expect(isProxy(snapshot, 'balanced', '10.0.1.7')).toBe(true);
    expect(isProxy(snapshot, 'balanced', 'fd00:0::7')).toBe(true);
    expect(isProxy(snapshot, 'balanced', '10.0.1.8')).toBe(false);
    expect(isProxy(snapshot, 'mx', '10.0.1.7')).toBe(false);
    expect(mayXclient(snapshot, 'balanced', '10.0.7.1')).toBe(true);
    expect(mayXclient(snapshot, 'balanced', '10.0.1.7')).toBe(false);
  });
});

describe('facts that are looked up', () => {
  test('a DNS list that fails matters only to rules that name it', () => {
    const base = { listener: 'mx', ip: '203.0.113.9' };
    const failed = (zone: string, ...values: string[]): Facts => ({
      ...base,
      dnsbl: { unknown: 'name server failed', values, among: [zone] },
    });
    expect(judgeConnect(snapshot, failed('b.list.example')).verdict).toBe('accept');
    expect(judgeConnect(snapshot, failed('a.list.example'))).toMatchObject({ verdict: 'defer', by: 'connect/listed' });
    expect(judgeConnect(snapshot, failed('b.list.example', 'a.list.example')).verdict).toBe('reject');
    expect(judgeConnect(snapshot, { ...base, dnsbl: ['b.list.example'] }).verdict).toBe('accept');
    expect(judgeConnect(snapshot, { ...base, dnsbl: [] }).verdict).toBe('accept');
    expect(judgeConnect(snapshot, { ...base, dnsbl: { unknown: 'all' } }).verdict).toBe('defer');
  });

  test('no way back to the sender, an unknown way, and the null sender', () => {
    const judge = (facts: Facts): string => judgeMail(snapshot, { listener: 'mx', tls: true, ...facts }).verdict;
    expect(judge({ sender: 'a@x.example', 'sender.has-mx': false })).toBe('reject');
    expect(judge({ sender: 'a@x.example', 'sender.has-mx': { unknown: 'x' } })).toBe('defer');
    expect(judge({ sender: 'a@x.example', 'sender.has-mx': true })).toBe('accept');
    expect(judge({ sender: '' })).toBe('accept');
  });

  test('are needed by phase', () => {
    const { connect, helo, mail, dnsLists } = compiled.neededFacts;
    expect([...connect].toSorted()).toEqual(['dnsbl', 'early-talker', 'rdns']);
    expect([...helo].toSorted()).toEqual(['auth', 'cert.fingerprint', 'cert.name', 'ip', 'listener', 'tls.version']);
    expect([...mail].toSorted()).toEqual(['connections', 'dnsbl', 'rdns', 'sender.has-mx']);
    expect([...dnsLists].toSorted()).toEqual(['a.list.example', 'b.list.example']);
  });
});

test('delays add up over the phases', () => {
  const facts: Facts = { listener: 'partners', ip: '203.0.113.9', 'early-talker': true };
  expect(judgeConnect(snapshot, facts).delayMs).toBe(5000);
  expect(judgeConnect(snapshot, { ...facts, rdns: ['mail.example'] })).toMatchObject({
    delayMs: 3000,
    tags: ['eager'],
  });
  expect(judgeHelo(snapshot, { ...facts, tls: true, 'tls.version': 'TLSv1.2' }).delayMs).toBe(6000);
  expect(judgeConnect(snapshot, { listener: 'mx', rdns: ['a.example'] })).not.toHaveProperty('delayMs');
});

test('listeners are ready to use', () => {
  const [mx, submit, , balanced] = compiled.listeners;
  expect(mx).toMatchObject({
    greetingDelayMs: 3000,
    tls: { certificate: 'default', required: true },
    proxyProtocol: false,
  });
  expect(submit).toMatchObject({
    tls: { mode: 'implicit', certificate: 'submit', clientCertificates: 'request' },
    auth: { required: true, mechanisms: ['SCRAM-SHA-256', 'PLAIN'], withoutTls: false },
  });
  expect(balanced).toMatchObject({ proxyProtocol: true, xclient: true, greetingDelayMs: 0 });
  expect(balanced).not.toHaveProperty('tls');
});

test('tests in the document name accounts, certificates and several values', () => {
  const given = `{ listener: submit, ip: 203.0.113.9, tls: true, auth: ann, auth.identities: ['*@ours.example'], rdns: [a.example, b.example], sender: x@ours.example, recipient: b@y.example }`;
  const result = compile(
    `${POLICY}\ntests:\n  - { name: one, given: ${given}, expect: { verdict: accept, client: people, route: out } }\n`,
  );
  if (!result.ok) throw new Error(JSON.stringify(result.findings));
  expect(runTests(result.policy)).toMatchObject([{ passed: true }]);
});

test('explain takes several values, separated by commas, and says which one matched', () => {
  const explained = explainGiven(compiled, {
    facts: [
      ['listener', 'partners'],
      ['ip', '203.0.113.9'],
      ['cert.name', 'other.example, gateway.partner.example'],
      ['sender', 'a@partner.example'],
      ['recipient', 'b@y.far.example'],
    ],
    members: [],
  });
  if (!explained.ok) throw new Error(explained.messages.join('; '));
  expect(explained.explanation.lines.join('\n')).toContain('covered by gateway.partner.example');
});
