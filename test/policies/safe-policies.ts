/** Sound policies that are not refused, each an edit or two away from an open relay. */
import { SOUND } from './open-relays.js';

export interface SafePolicy {
  readonly name: string;
  readonly edits: readonly (readonly [string, string])[];
}

const MATCH = 'match: { ip: servers, listener: internal }';
const SUBMIT = 'tls: { mode: implicit }, auth: required';
const INTERNAL = 'port: 2525, exposure: internal';
const safe = (name: string, ...edits: SafePolicy['edits']): SafePolicy => ({ name, edits });
const list = (line: string): readonly [string, string] => ['lists:\n', `lists:\n  ${line}\n`];
const rule = (phase: string, text: string): readonly [string, string] => [
  'acl:\n',
  `acl:\n  ${phase}:\n    - ${text}\n`,
];
const mailRule = (text: string): readonly [string, string] => ['  mail:\n', `  mail:\n    - ${text}\n`];

export const SAFE_POLICIES: readonly SafePolicy[] = [
  safe('as it is'),
  safe('a private network on the internal listener', ['entries: [10.0.1.0/24]', 'entries: [192.168.0.0/16]']),
  safe('loopback on the internal listener', ['entries: [10.0.1.0/24]', 'entries: [127.0.0.0/8, "::1"]']),
  safe('all private space on the internal listener', [
    'entries: [10.0.1.0/24]',
    'entries: [10.0.0.0/8, 172.16.0.0/12]',
  ]),
  safe('public addresses on the internal listener', [
    'entries: [10.0.1.0/24]',
    'entries: [198.51.100.0/24, "2001:db8::/48"]',
  ]),
  safe('the container gateway on an internal listener', ['entries: [10.0.1.0/24]', 'entries: [172.17.0.1]']),
  safe('a narrower client before a wider one', [
    'clients:\n',
    'clients:\n  - name: printer\n    match: { ip: 10.0.1.7, listener: internal }\n    relay: { to: our-domains }\n    senders: [scanner@example.com]\n',
  ]),
  safe('two networks side by side', [
    'clients:\n',
    'clients:\n  - name: others\n    match: { ip: 10.0.2.0/24, listener: internal }\n    relay: { to: our-domains }\n    senders: our-domains\n',
  ]),
  safe('a client that may only be recognised', [
    'clients:\n',
    'clients:\n  - name: monitor\n    match: { helo: probe.example.com, listener: mx }\n',
  ]),
  safe('a public address on the public listener, waived by name and date', [
    MATCH,
    'match: { ip: 198.51.100.7, listener: mx }\n    waive: { finding: R2, by: ann, on: 2026-11-01, reason: it has no other way }',
  ]),
  safe('accounts by name', ['auth: any, listener', 'auth: [ann, bob], listener']),
  safe('senders by list', ['senders: own-identities', 'senders: our-domains']),
  safe('a certificate by exact name', [MATCH, 'match: { cert.name: [app.inside.example], listener: internal }']),
  safe('a certificate by fingerprint', [
    MATCH,
    `match: { cert.fingerprint: [${'ab'.repeat(32)}], listener: internal }`,
  ]),
  safe('AUTH offered beside STARTTLS', [SUBMIT, 'tls: { mode: starttls, required: true }, auth: required']),
  safe('balancers by address', [INTERNAL, `${INTERNAL}, proxy-protocol: { from: [10.0.9.1, 10.0.9.2] }`]),
  safe('a managed list within our domains', ['recipients: any\n    reason: a test', 'recipients: staff']),
  safe(
    'managed domains within a bound',
    list('customers: { type: domain, source: managed, within: { domain: customer-space } }'),
    list('customer-space: { type: domain, entries: [.hosting.example] }'),
    ['match: our-domains', 'match: [our-domains, customers]'],
    ['recipient.domain: our-domains }', 'recipient.domain: [our-domains, customers] }'],
  ),
  safe(
    'managed clients within a bound',
    list('pool: { type: network, source: managed, within: { network: plant } }'),
    list('plant: { type: network, entries: [10.0.0.0/16] }'),
    [MATCH, 'match: { ip: pool, listener: internal }'],
  ),
  safe('relay to a partner', list('partners: { type: domain, entries: [partner.example] }'), [
    'relay: anywhere\n    senders: our-domains',
    'relay: { to: partners }\n    senders: our-domains',
  ]),
  safe(
    'a deny list that denies',
    mailRule('{ name: again, when: { sender: blocked, client: none }, defer: 450 4.7.1 Later }'),
  ),
  safe('rewriting from an old brand', [
    'rewriting: []',
    'rewriting:\n  - { name: brand, recipient: { from: "*@old.example", to: "{local}@example.com" } }',
  ]),
  safe('a forwarder that says so', [
    'rewriting: []',
    'rewriting:\n  - { name: ann, recipient: { from: ann@example.com, to: ann@freemail.example }, external: allowed }',
  ]),
  safe(
    'a redirect to ourselves',
    rule('rcpt', '{ name: odd, when: { recipient: ann@example.com }, redirect: bob@example.com }'),
  ),
  safe('an accept rule, which grants nothing', rule('rcpt', '{ name: all, when: { client: none }, accept: true }')),
  safe(
    'a refusal by HELO',
    rule('helo', '{ name: ours, when: { helo.kind: our-own-name, client: none }, reject: 550 5.7.1 No }'),
  ),
  safe(
    'a refusal by a block list that may fail',
    rule(
      'connect',
      '{ name: listed, when: { dnsbl: zen.blocklist.example }, on-unknown: skip, reject: 554 5.7.1 Listed }',
    ),
  ),
  safe(
    'an exception by name',
    mailRule(
      '{ name: no-mx, when: { sender.has-mx: false }, unless: { sender.domain: our-domains }, reject: 550 5.7.1 No }',
    ),
  ),
  safe('a trial', mailRule('{ name: trial, when: { helo.kind: literal }, mode: monitor, reject: 550 5.7.1 No }')),
  safe('an invariant that holds', [
    'routes:\n',
    'invariants:\n  - { name: closed, never: { verdict: accept, client: none, recipient.domain: { not: our-domains } } }\nroutes:\n',
  ]),
];

export function safeText({ edits }: SafePolicy): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`);
    return text.replace(from, to);
  }, SOUND);
}
