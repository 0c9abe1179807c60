import { describe, expect, test } from '@jest/globals';
import {
  buildManagedList,
  checkListEntry,
  compile,
  createSnapshot,
  decideTransaction,
  explainTransaction,
  judgeConnect,
  judgeHelo,
  judgeMail,
  judgeNotice,
  judgeRecipient,
  type Facts,
  type ManagedList,
  type Snapshot,
} from './index.js';

const POLICY = `
policy: test
listeners:
  mx: { address: 192.0.2.10, port: 25, exposure: internet }
  internal: { address: 10.0.0.25, port: 2525, exposure: internal }
lists:
  ours: { type: domain, entries: [ours.example] }
  staff: { type: address, source: managed, within: { domain: ours } }
  blocked: { type: address, source: managed, use: deny }
  odd: { type: regex, entries: ['^x[0-9]+@'] }
clients:
  - { name: servers, match: { ip: 10.0.1.0/24, listener: internal }, relay: anywhere, senders: ours }
domains:
  - { match: ours, recipients: staff }
acl:
  connect:
    - { name: bad-net, when: { ip: 198.51.100.0/24 }, reject: "554 5.7.1 No {ip}" }
    - { name: tagged, when: { ip: 203.0.113.0/24 }, tag: far }
  helo:
    - { name: liar, when: { helo.kind: our-own-name }, reject: 550 5.7.1 Liar }
    - { name: now, when: { helo: now.example }, answer: now, reject: 550 5.7.1 Now }
  mail:
    - { name: blocked, when: { sender: blocked }, reject: 550 5.7.1 Blocked }
    - { name: old, expires: 2026-01-31, when: { sender: a@old.example }, reject: 550 5.7.1 Old }
    - { name: odd, when: { sender: odd }, reject: 550 5.7.1 Odd }
    - { name: night, when: { sender: night@x.example, time: { from: "22:00", to: "06:00", zone: Europe/Berlin } }, defer: 451 4.7.1 Night }
    - { name: exact, when: { sender: [Ann@far.example, Ann@ours.example] }, reject: 550 5.7.1 Exact }
routing:
  - { name: tagged, when: { tag: far, sender.null: true }, route: slow }
  - { name: rest, route: inside }
routes:
  inside: { hosts: [{ host: mbx.example }] }
  slow: { hosts: [{ host: slow.example }] }
`;

function snapshot(
  lists: readonly ManagedList[] = [
    buildManagedList('address', 'staff', 1, ['ann@ours.example']),
    buildManagedList('address', 'blocked', 1, []),
  ],
): Snapshot {
  const result = compile(POLICY);
  if (!result.ok) throw new Error(result.findings.map(({ message }) => message).join('\n'));
  return createSnapshot(result.policy, new Map(lists.map((list) => [list.name, list])));
}

const stranger: Facts = {
  ip: '192.0.2.99',
  listener: 'mx',
  helo: 'x.example',
  'helo.kind': 'fqdn',
  sender: 'a@x.example',
};
const toAnn = { recipient: 'ann@ours.example' };

function answer(facts: Facts, own: Facts = toAnn, on: Snapshot = snapshot()): string {
  const decided = decideTransaction(on, facts, [own]).recipients[0];
  return `${decided?.verdict ?? ''} ${decided?.by ?? ''} ${decided?.route ?? String(decided?.reply?.code)}`.trim();
}

describe('phases', () => {
  test('connect answers at once, helo and mail at RCPT unless the rule says now', () => {
    const s = snapshot();
    expect(judgeConnect(s, { ip: '198.51.100.1', listener: 'mx' })).toMatchObject({
      verdict: 'reject',
      answer: 'now',
      reply: { code: 554, text: 'No 198.51.100.1' },
    });
    expect(judgeHelo(s, { ...stranger, 'helo.kind': 'our-own-name' })).toMatchObject({
      verdict: 'reject',
      answer: 'at-rcpt',
    });
    expect(judgeHelo(s, { ...stranger, helo: 'now.example' })).toMatchObject({ verdict: 'reject', answer: 'now' });
    const mail = judgeMail(s, { ...stranger, 'helo.kind': 'our-own-name' });
    expect(mail).toMatchObject({ verdict: 'reject', answer: 'at-rcpt', by: 'helo/liar' });
    expect(judgeRecipient(s, { ...stranger, ...toAnn }, mail)).toMatchObject({
      verdict: 'reject',
      by: 'helo/liar',
      answer: 'now',
    });
  });

  test('a syntax error comes before what was remembered, relay-denied after it', () => {
    const liar = { ...stranger, 'helo.kind': 'our-own-name' };
    expect(answer(liar, { recipient: 'a%b@ours.example' })).toBe('reject builtin/bad-recipient 553');
    expect(answer(liar, { recipient: 'b@far.example' })).toBe('reject helo/liar 550');
  });

  test('tags of earlier phases reach routing; the null sender is permitted to everybody', () => {
    expect(answer({ ...stranger, ip: '203.0.113.9', sender: '' })).toBe('accept  slow');
    expect(
      answer({ ...stranger, ip: '10.0.1.7', listener: 'internal', sender: '' }, { recipient: 'b@far.example' }),
    ).toBe('accept  inside');
  });

  test('a bad sender is refused at MAIL FROM', () => {
    expect(judgeMail(snapshot(), { ...stranger, sender: 'a b@x.example' })).toMatchObject({
      by: 'builtin/bad-sender',
      answer: 'now',
    });
  });
});

describe('what is not known', () => {
  test('a managed list that is not loaded is unknown, never empty', () => {
    const none = snapshot([]);
    expect(answer(stranger, toAnn, none)).toBe('defer mail/blocked 451');
    const half = snapshot([buildManagedList('address', 'blocked', 1, [])]);
    expect(answer(stranger, toAnn, half)).toBe('defer builtin/recipient-unverified 451');
  });

  test('a list of another type than declared is not loaded', () => {
    expect(answer(stranger, toAnn, snapshot([buildManagedList('domain', 'blocked', 1, ['x.example'])]))).toBe(
      'defer mail/blocked 451',
    );
  });

  test('an unknown client is never passed over, and cannot be given', () => {
    expect(answer({ ...stranger, ip: { unknown: 'proxy' } })).toBe('defer connect/bad-net 421');
    expect(answer({ ...stranger, listener: 'internal', ip: '10.0.1.7', client: { unknown: 'x' } })).toBe(
      'defer clients/servers 451',
    );
    // Whoever the narrower client may be, the wider one behind it would let in.
    const two = compile(`
policy: test
listeners: { inside: { port: 25, exposure: internal, address: 10.0.0.1 } }
clients:
  - { name: narrow, match: { ip: 10.0.1.0/24, rdns: .lab.example, listener: inside }, senders: [robot@lab.example] }
  - { name: wide, match: { ip: 10.0.0.0/8, listener: inside }, relay: anywhere, senders: [far.example] }
routing: [{ name: rest, route: out }]
routes: { out: { hosts: [{ host: out.example }] } }
`);
    if (!two.ok) throw new Error(JSON.stringify(two.findings));
    const inside = { listener: 'inside', ip: '10.0.1.7', sender: 'a@far.example' };
    const away = { unknown: 'name server failed' };
    for (const [rdns, expected] of [
      [{ rdns: ['x.other.example'] }, 'accept  out'],
      [{}, 'accept  out'],
      [{ rdns: ['x.lab.example'] }, 'reject builtin/sender-not-allowed 550'],
      [{ rdns: away }, 'defer clients/narrow 451'],
    ] as const) {
      expect(answer({ ...inside, ...rdns }, { recipient: 'b@y.example' }, createSnapshot(two.policy))).toBe(expected);
    }
    expect(judgeMail(createSnapshot(two.policy), { ...inside, rdns: away })).toMatchObject({
      verdict: 'defer',
      client: 'none',
      unknown: 'rdns: name server failed',
    });
    expect(answer({ ...stranger, client: 'servers' }, { recipient: 'b@far.example' })).toBe(
      'reject builtin/relay-denied 550',
    );
  });

  test('the decision says which fact', () => {
    expect(judgeMail(snapshot([]), stranger).unknown).toContain('sender');
  });
});

describe('values', () => {
  test('local parts compare without case for our own domains only', () => {
    expect(answer(stranger, { recipient: 'ANN@ours.example' })).toBe('accept  inside');
    expect(answer({ ...stranger, sender: 'ann@far.example' })).toBe('accept  inside');
    expect(answer({ ...stranger, sender: 'Ann@far.example' })).toBe('reject mail/exact 550');
    expect(answer({ ...stranger, sender: 'aNN@ours.example' })).toBe('reject mail/exact 550');
  });

  test('patterns, times of day in their zone, and expiry', () => {
    expect(answer({ ...stranger, sender: 'x17@x.example' })).toBe('reject mail/odd 550');
    const at = (time: string, sender: string): string => answer({ ...stranger, sender, time });
    expect(at('2026-07-01T20:30:00Z', 'night@x.example')).toBe('defer mail/night 451'); // 22:30 in summer
    expect(at('2026-01-01T20:30:00Z', 'night@x.example')).toBe('accept  inside'); // 21:30 in winter
    expect(at('2026-01-31T23:59:59Z', 'a@old.example')).toBe('reject mail/old 550');
    expect(at('2026-02-01T00:00:00Z', 'a@old.example')).toBe('accept  inside');
  });
});

describe('around judging', () => {
  test('our own notices need no right, only a route', () => {
    expect(judgeNotice(snapshot([]), { sender: '', recipient: 'b@far.example' })).toMatchObject({
      verdict: 'accept',
      route: 'inside',
    });
    expect(judgeNotice(snapshot([]), { sender: '', recipient: 'nobody' })).toMatchObject({ verdict: 'reject' });
  });

  test('a changed list counts at once, in a new snapshot', () => {
    const s = snapshot();
    const staff = s.lists.get('staff')?.withChanges(['bob@ours.example'], ['ann@ours.example'], 2);
    if (staff === undefined) throw new Error('no list');
    const later = createSnapshot(s.policy, new Map([...s.lists, ['staff', staff]]));
    expect(answer(stranger, { recipient: 'bob@ours.example' }, later)).toBe('accept  inside');
    expect(answer(stranger, toAnn, later)).toBe('reject builtin/no-such-recipient 550');
    expect(answer(stranger, toAnn, s)).toBe('accept  inside');
  });

  test('entries are put into canonical form, and kept within their bound', () => {
    const { policy } = snapshot();
    expect(checkListEntry(policy, 'staff', '"Ann"@OURS.example')).toEqual({ ok: true, value: 'Ann@ours.example' });
    expect(checkListEntry(policy, 'staff', '*@ours.example')).toMatchObject({ ok: true });
    expect(checkListEntry(policy, 'staff', 'ann@sub.ours.example')).toMatchObject({ ok: false });
    expect(checkListEntry(policy, 'blocked', 'x@any.example')).toMatchObject({ ok: true });
    expect(checkListEntry(policy, 'ours', 'x.example')).toMatchObject({ ok: false });
    expect(checkListEntry(policy, 'nothing', 'x')).toMatchObject({ ok: false });
  });

  test('an explanation names rule, fact and list entry', () => {
    const s = snapshot([
      buildManagedList('address', 'staff', 1, []),
      buildManagedList('address', 'blocked', 3, ['*@x.example']),
    ]);
    const { lines } = explainTransaction(s, stranger, [toAnn]);
    expect(lines.join('\n')).toContain(
      'mail/blocked: holds, reject; when sender: blocked: yes (it is a@x.example, covered by *@x.example of list blocked)',
    );
    expect(lines.at(-1)).toBe('ann@ours.example: reject, by mail/blocked: 550 5.7.1 Blocked');
  });
});
