import { describe, expect, test } from '@jest/globals';
import { compile } from './compile.js';
import { judgeRouting, mayRedirectTo } from './judge-routing.js';
import { buildManagedList } from './sets/managed-list.js';
import { createSnapshot, type Snapshot } from './snapshot.js';

const POLICY = `
policy: main
listeners:
  inside: { address: 127.0.0.1, port: 2525, exposure: internal }
lists:
  ours: { type: domain, entries: [example.com] }
  partners: { type: domain, source: managed, within: { domain: anywhere-else } }
  anywhere-else: { type: domain, entries: [partner.example, .partner.example] }
clients:
  - name: apps
    match: { ip: [10.0.0.0/8], listener: [inside] }
    relay: { to: partners }
    senders: ours
domains:
  - match: ours
    recipients: any
    reason: a test
rewriting:
  - { name: moved, recipient: { from: old@example.com, to: new@elsewhere.example }, external: allowed }
acl:
  rcpt:
    - { name: large, when: { size.declared: { above: 1MB } }, tag: large }
    - { name: leaver, when: { recipient.local: [leaver] }, redirect: home@private.example, external: allowed }
routing:
  - { name: large, when: { tag: large }, route: slow }
  - { name: from-apps, when: { client: [apps] }, route: relay }
  - { name: partner, when: { recipient.domain: partners }, route: partner }
  - { name: rest, route: local }
routes:
  slow: { file: { format: maildir, directory: slow } }
  relay: { file: { format: maildir, directory: relay } }
  partner: { file: { format: maildir, directory: partner } }
  local: { file: { format: maildir, directory: local } }
`;

function snapshot(withLists = true): Snapshot {
  const result = compile(POLICY);
  if (!result.ok) throw new Error(JSON.stringify(result.findings));
  const lists = new Map([['partners', buildManagedList('domain', 'partners', 1, ['partner.example'])]]);
  return createSnapshot(result.policy, withLists ? lists : new Map());
}

function routeOf(
  recipient: string,
  more: { client?: string; tags?: readonly string[] } = {},
  given = snapshot(),
): unknown {
  const { client = 'none', tags = [] } = more;
  const { route, verdict, unknown } = judgeRouting(given, {
    facts: { ip: '10.0.0.1', sender: 'a@example.com', recipient, time: '2026-01-01T00:00:00Z' },
    client,
    tags,
    recipient,
    original: 'somebody@example.com',
  });
  return route ?? { verdict, unknown };
}

describe('mail that was accepted before', () => {
  test('is routed by what was recorded: client, tags, and the address it has now', () => {
    expect(routeOf('ann@example.com')).toBe('local');
    expect(routeOf('ann@example.com', { client: 'apps' })).toBe('relay');
    expect(routeOf('ann@example.com', { client: 'apps', tags: ['large'] })).toBe('slow');
    expect(routeOf('ann@partner.example')).toBe('partner');
  });

  test('has no route where a rule cannot be decided', () => {
    expect(routeOf('ann@partner.example', {}, snapshot(false))).toEqual({
      verdict: 'defer',
      unknown: expect.stringContaining('recipient.domain'),
    });
  });

  test('may be sent to accepted domains, and where the policy itself sends mail', () => {
    const given = snapshot();
    for (const address of ['eve@example.com', 'Home@Private.example', 'new@elsewhere.example']) {
      expect([address, mayRedirectTo(given, address)]).toEqual([address, 'yes']);
    }
    for (const address of ['eve@private.example', 'ann@partner.example', 'nonsense']) {
      expect([address, mayRedirectTo(given, address)]).toEqual([address, 'no']);
    }
  });
});
