import { describe, expect, it } from '@jest/globals';
import { compile } from '#policy';
import { relayRoutes } from './routes.js';

const POLICY = `
policy: main
listeners: { inside: { address: 127.0.0.1, port: 2525, exposure: internal } }
routing:
  - { name: hosts, when: { recipient.domain: [hosts.test] }, route: hosts }
  - { name: world, when: { recipient.domain: [world.test] }, route: world }
  - { name: staff, when: { recipient.domain: [staff.test] }, route: mailboxes }
  - { name: provider, when: { recipient.domain: [provider.test] }, route: provider }
  - { name: local, when: { recipient.domain: [local.test] }, route: local }
  - { name: rest, route: files }
routes:
  hosts:
    hosts: [{ host: a.test, priority: 10, weight: 3 }, { host: 192.0.2.1, port: 2525, priority: 20 }]
    next-host-on: [554]
    limits: { connections: 7 }
    retry: impatient
  world:
    mx: true
    limits:
      messages: { max: 600, per: 1h }
      together: { connections: 40, recipients: { max: 5, per: 1s } }
  mailboxes: { hosts: [{ host: 192.0.2.9, port: 24 }], protocol: lmtp, source: [192.0.2.1, "2001:db8::1"] }
  provider:
    hosts: [{ host: smtp.provider.test, port: 465 }]
    tls: verified
    auth: { username: us, password: secret/provider }
  local: { hosts: [{ socket: /run/dovecot/lmtp }], protocol: lmtp }
  files: { file: { format: maildir, directory: kept } }
notices: { delayed: { text: "Patience until {retry-until}." } }
tls:
  verified: { require: verified, authorities: inside, certificate: ours }
retry:
  impatient: { first: 1s, factor: 3, longest: 1m, give-up: 1h, delay-notice: 10m }
`;

describe('routes of a policy', () => {
  it('reach relay whole', () => {
    const compiled = compile(POLICY);
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.findings));
    const routes = relayRoutes(compiled.policy.routes, '/data/mail');
    expect(routes.get('hosts')).toEqual({
      kind: 'hosts',
      hosts: [
        { host: 'a.test', port: 25, priority: 10, weight: 3 },
        { host: '192.0.2.1', port: 2525, priority: 20, weight: 1 },
      ],
      nextHostOn: [554],
      maxConnections: 7,
      retry: { firstMs: 1000, factor: 3, longestMs: 60_000, giveUpMs: 3_600_000, delayNoticeMs: 600_000 },
    });
    expect(routes.get('world')).toMatchObject({
      kind: 'mx',
      maxConnections: 20,
      flow: { messages: { max: 600, perMs: 3_600_000 } },
      together: { maxConnections: 40, recipients: { max: 5, perMs: 1000 } },
    });
    expect(routes.get('local')).toMatchObject({
      protocol: 'lmtp',
      hosts: [{ host: '/run/dovecot/lmtp', port: 0, priority: 10, weight: 1 }],
    });
    expect(compiled.policy.notices).toEqual({
      form: 'multipart',
      limit: { max: 1000, perMs: 3_600_000 },
      words: { delayed: { text: 'Patience until {retry-until}.' } },
    });
    expect(routes.get('mailboxes')).toMatchObject({
      protocol: 'lmtp',
      localAddresses: ['192.0.2.1', '2001:db8::1'],
      hosts: [{ host: '192.0.2.9', port: 24 }],
    });
    expect(routes.get('provider')).toMatchObject({
      tls: { require: 'verified', authorities: 'inside', certificate: 'ours' },
      auth: { secret: 'provider', username: 'us', withoutVerifiedTls: false },
    });
    expect(routes.get('files')).toMatchObject({ kind: 'file', format: 'maildir', directory: '/data/mail/kept' });
  });
});
