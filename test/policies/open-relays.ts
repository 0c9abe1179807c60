/**
 * Ways in which a sound policy is made an open relay, one edit each. Every one must be refused; where mail would be
 * relayed (`relays`), the finding shows a transaction, and the judge, asked about it, accepts it.
 */
export interface OpenRelay {
  readonly name: string;
  /** `[from, to]`: texts of the sound policy that are replaced. */
  readonly edits: readonly (readonly [string, string])[];
  readonly code: string;
  readonly relays: boolean;
}

export const SOUND = `
policy: main

listeners:
  mx: { address: 192.0.2.10, port: 25, exposure: internet, tls: { mode: starttls } }
  submit: { address: 192.0.2.10, port: 465, exposure: internet, tls: { mode: implicit }, auth: required }
  internal: { address: 10.0.0.25, port: 2525, exposure: internal, tls: { mode: starttls, client-certificates: request } }

lists:
  our-domains: { type: domain, entries: [example.com, .example.org] }
  servers: { type: network, entries: [10.0.1.0/24] }
  staff: { type: address, source: managed, within: { domain: our-domains } }
  blocked: { type: address, source: managed, use: deny }

clients:
  - name: servers
    match: { ip: servers, listener: internal }
    relay: anywhere
    senders: our-domains
  - name: people
    match: { auth: any, listener: submit }
    relay: anywhere
    senders: own-identities

domains:
  - match: our-domains
    recipients: any
    reason: a test

acl:
  mail:
    - name: blocked
      when: { sender: blocked }
      reject: 550 5.7.1 Sender blocked

rewriting: []

routing:
  - name: inside
    when: { recipient.domain: our-domains }
    route: mailboxes
  - name: rest
    route: internet

routes:
  mailboxes: { hosts: [{ host: mbx.inside.example }] }
  internet: { mx: true }
`;

const MATCH = 'match: { ip: servers, listener: internal }';
const known = (by: string, name = by): OpenRelay => ({
  name: `client known by ${name}`,
  edits: [[MATCH, `match: ${by}`]],
  code: 'R1',
  relays: true,
});
const trusted = (network: string, where = 'listener: mx'): OpenRelay => ({
  name: `${network} trusted on ${where === '' ? 'every listener' : where}`,
  edits: [[MATCH, `match: { ip: "${network}"${where === '' ? '' : `, ${where}`} }`]],
  code: 'C1',
  relays: true,
});
const domains = (match: string, name: string, code = 'R1', relays = true): OpenRelay => ({
  name: `domains: ${name}`,
  edits: [['  - match: our-domains\n    recipients', `  - match: ${match}\n    recipients`]],
  code,
  relays,
});
const refused = (name: string, code: string, ...edits: OpenRelay['edits']): OpenRelay => ({
  name,
  edits,
  code,
  relays: false,
});
const list = (line: string): readonly [string, string] => ['lists:\n', `lists:\n  ${line}\n`];
const rule = (phase: string, text: string): readonly [string, string] => [
  'acl:\n',
  `acl:\n  ${phase}:\n    - ${text}\n`,
];
const rewriting = (to: string, name: string): OpenRelay =>
  refused(`rewriting to ${name}`, 'D7', [
    'rewriting: []',
    `rewriting:\n  - { name: odd, recipient: { from: "*@example.com", to: "${to}" } }`,
  ]);

export const OPEN_RELAYS: readonly OpenRelay[] = [
  // Addresses that a container gateway, a proxy or a neighbour gives to the whole world.
  trusted('172.17.0.1'),
  trusted('172.18.0.0/16'),
  trusted('172.16.0.0/12'),
  trusted('10.0.0.0/8'),
  trusted('10.0.1.7'),
  trusted('192.168.0.0/16'),
  trusted('127.0.0.1'),
  trusted('127.0.0.0/8'),
  trusted('169.254.169.254'),
  trusted('100.64.0.0/10'),
  trusted('::1'),
  trusted('fd00::/8'),
  trusted('fe80::/10'),
  trusted('10.0.1.0/24', ''),
  trusted('127.0.0.0/8', ''),
  trusted('172.17.0.0/16', 'listener: [mx, internal]'),
  trusted('10.0.1.0/24', 'listener: { not: internal }'),
  trusted('10.0.1.0/24', 'listener: { not: submit }'),
  trusted('0.0.0.0/0'),
  trusted('::/0'),
  {
    name: 'a private address beside a public one',
    edits: [[MATCH, 'match: { ip: [198.51.100.7, 10.0.1.7], listener: mx }']],
    code: 'C1',
    relays: true,
  },
  {
    name: 'the listener of the servers is opened to the internet',
    edits: [['port: 2525, exposure: internal', 'port: 2525, exposure: internet']],
    code: 'C1',
    relays: true,
  },
  refused('a mapped network', 'D3', ['entries: [10.0.1.0/24]', 'entries: ["::ffff:10.0.1.0/120"]']),
  refused('an octal address', 'D3', ['entries: [10.0.1.0/24]', 'entries: [10.0.01.0/24]']),
  refused('host bits', 'D3', ['entries: [10.0.1.0/24]', 'entries: [10.0.1.7/8]']),
  // Anybody can say, or have, these.
  known('{ helo: gateway.example.com }', 'HELO'),
  known('{ helo: .example.com, listener: internal }', 'HELO on the internal listener'),
  known('{ helo.kind: our-own-name }', 'our own name in HELO'),
  known('{ listener: internal }', 'the internal listener alone'),
  known('{ listener: mx }', 'the public listener alone'),
  known('{ tls: true, listener: mx }', 'TLS alone'),
  known('{ tls.version: TLSv1.3, listener: mx }', 'a version of TLS'),
  known('{ early-talker: false, listener: mx }', 'its patience'),
  known('{ connections: { below: 5 }, listener: mx }', 'how few connections it has'),
  known('{ ip: { not: 198.51.100.0/24 }, listener: internal }', 'the address it does not have'),
  known('{ dnsbl: { not: zen.blocklist.example }, listener: mx }', 'being on no block list'),
  known('{ dnsbl: none, listener: mx }', 'no block list at all'),
  known('{ helo: { not: .spam.example }, listener: mx }', 'a name it does not say'),
  known('{ time: { from: "08:00", to: "18:00", zone: Europe/Berlin }, listener: mx }', 'office hours'),
  known('{ cert.name: none, listener: internal }', 'no certificate'),
  known('{ cert.name: { not: [evil.example] }, listener: internal, helo: .example.com }', 'another certificate'),
  known('{ rdns: none, listener: mx }', 'no reverse name'),
  // An address is too little where the internet comes in.
  ...['198.51.100.7', '198.51.100.0/24', '2001:db8:7::/48'].map((network): OpenRelay => ({
    name: `the public address ${network} on the public listener`,
    edits: [[MATCH, `match: { ip: "${network}", listener: mx }`]],
    code: 'R2',
    relays: true,
  })),
  {
    name: 'a reverse name on the public listener',
    edits: [[MATCH, 'match: { rdns: .partner.example, listener: mx }']],
    code: 'R2',
    relays: true,
  },
  {
    name: 'a cloud provider on the internal listener',
    edits: [['entries: [10.0.1.0/24]', 'entries: [52.0.0.0/11]']],
    code: 'R2',
    relays: true,
  },
  {
    name: 'two halves of the internet on the internal listener',
    edits: [['entries: [10.0.1.0/24]', 'entries: [8.0.0.0/16, 9.0.0.0/16]']],
    code: 'R2',
    relays: true,
  },
  // Passwords that everybody hears.
  {
    name: 'AUTH without TLS',
    edits: [['tls: { mode: implicit }, auth: required', 'auth: { mode: required, without-tls: allowed }']],
    code: 'R1',
    relays: true,
  },
  refused('signing in where nobody can', 'P1', ['tls: { mode: implicit }, auth: required', 'tls: { mode: implicit }']),
  // Domains that nobody can have all of.
  domains('.com', 'a top-level domain'),
  domains('[example.com, .org]', 'a top-level domain among others'),
  domains('.uk', 'a country'),
  {
    ...domains('any-domain', 'a pattern'),
    edits: [...domains('any-domain', '').edits, list('any-domain: { type: regex, entries: [".*"] }')],
  },
  {
    ...domains('look', 'a pattern that looks narrow', 'R1', false),
    edits: [...domains('look', '').edits, list('look: { type: regex, entries: ["example.com"] }')],
  },
  {
    ...domains('customers', 'a managed list'),
    edits: [...domains('customers', '').edits, list('customers: { type: domain, source: managed }')],
  },
  {
    ...domains('customers', 'a managed list within a top-level domain'),
    edits: [
      ...domains('customers', '').edits,
      list('wide: { type: domain, entries: [.com] }'),
      list('customers: { type: domain, source: managed, within: { domain: wide } }'),
    ],
  },
  domains('"*.example.com"', 'a wildcard', 'D3', false),
  domains('"*"', 'everything', 'D4', false),
  domains('"."', 'the root', 'D3', false),
  domains('exаmple.com.', 'a look-alike with a trailing dot', 'D3', false),
  // Lists that somebody else edits.
  refused('a managed list of networks as client', 'R3', list('pool: { type: network, source: managed }'), [
    MATCH,
    'match: { ip: pool, listener: internal }',
  ]),
  refused('a managed list as relay', 'R3', list('partners: { type: domain, source: managed }'), [
    'relay: anywhere\n    senders: our-domains',
    'relay: { to: partners }\n    senders: our-domains',
  ]),
  refused('a managed list as senders', 'R3', list('writers: { type: address, source: managed }'), [
    'senders: our-domains',
    'senders: writers',
  ]),
  refused('a managed list as exception from a refusal', 'R3', list('friends: { type: address, source: managed }'), [
    'when: { sender: blocked }',
    'when: { sender: blocked }\n      unless: { sender: friends }',
  ]),
  refused('a managed list negated in a refusal', 'R3', list('friends: { type: address, source: managed }'), [
    'when: { sender: blocked }',
    'when: { sender: { not: friends } }',
  ]),
  refused('a deny list as senders', 'R3', ['senders: our-domains', 'senders: blocked']),
  refused('a deny list as exception', 'R3', [
    'when: { sender: blocked }',
    'when: { sender.null: true }\n      unless: { sender: blocked }',
  ]),
  refused(
    'a deny list of networks as client',
    'R3',
    list('bad-networks: { type: network, source: managed, use: deny }'),
    [MATCH, 'match: { ip: bad-networks, listener: internal }'],
  ),
  // Who is who.
  refused('clients that overlap', 'P3', [
    'domains:\n',
    '  - name: others\n    match: { ip: [10.0.1.128/25, 10.0.2.0/24], listener: internal }\n    relay: { to: example.com }\n    senders: our-domains\ndomains:\n',
  ]),
  refused('the wider client first', 'P3', [
    'domains:\n',
    '  - name: others\n    match: { ip: 10.0.1.7, listener: internal }\n    relay: { to: example.com }\n    senders: our-domains\ndomains:\n',
  ]),
  refused('PROXY from anybody', 'R1', [
    'port: 2525, exposure: internal',
    'port: 2525, exposure: internal, proxy-protocol: { from: 10.0.0.0/8 }',
  ]),
  refused('PROXY from the network of the clients', 'R1', [
    'port: 2525, exposure: internal',
    'port: 2525, exposure: internal, proxy-protocol: { from: 10.0.1.0/24 }',
  ]),
  refused('PROXY without from', 'R1', [
    'port: 2525, exposure: internal',
    'port: 2525, exposure: internal, proxy-protocol: {}',
  ]),
  refused('XCLIENT from anybody', 'R1', [
    'port: 2525, exposure: internal',
    'port: 2525, exposure: internal, xclient: { from: 0.0.0.0/0 }',
  ]),
  // Other ways out.
  rewriting('{local}@freemail.example', 'outside'),
  rewriting('ann@example.com.evil.example', 'a look-alike'),
  rewriting('{local}@sub.example.com', 'a name below, which is not ours'),
  refused('rewriting with a percent', 'D3', [
    'rewriting: []',
    'rewriting:\n  - { name: odd, recipient: { from: "*@example.com", to: "{local}%freemail.example@" } }',
  ]),
  refused(
    'redirect to outside',
    'D7',
    rule('rcpt', '{ name: odd, when: { recipient: ann@example.com }, redirect: ann@freemail.example }'),
  ),
  refused(
    'a recipient added outside',
    'D7',
    rule('rcpt', '{ name: odd, when: { recipient: ann@example.com }, add-recipient: ann@freemail.example }'),
  ),
  refused(
    'an accept that was meant to relay',
    'V1',
    rule('rcpt', '{ name: odd, when: { client: none, sender.domain: our-domains }, accept: true }'),
    [
      'routes:\n',
      'tests:\n  - name: relays\n    given: { listener: mx, ip: 203.0.113.9, sender: ann@example.com, recipient: b@y.example }\n    expect: { verdict: accept }\nroutes:\n',
    ],
  ),
  refused(
    'an accept of what nobody knows',
    'D7',
    rule('rcpt', '{ name: odd, when: { client: none }, accept: true, on-unknown: match }'),
  ),
  refused('a misspelt condition', 'D1', [MATCH, 'match: { ip: servers, listner: internal }']),
  refused('the client that was not written', 'D2', [`${MATCH}\n`, '\n']),
];
