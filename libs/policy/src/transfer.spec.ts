import { describe, expect, test } from '@jest/globals';
import { check, compile } from './compile.js';
import type { CompileResult } from './compiled.js';
import { decideTransaction } from './index.js';
import { createSnapshot } from './snapshot.js';
import { ParcelReceiver, parcelsOf, type Parcel } from './transfer.js';
import type { Facts } from './types.js';

const RULES = Array.from(
  { length: 600 },
  (_, i) => `
    - name: r${String(i)}
      when: { sender.domain: [d${String(i)}.example, .e${String(i)}.example], size.declared: { above: 1MB } }
      reject: 550 5.7.1 No ${String(i)}`,
).join('');
const ENTRIES = Array.from({ length: 6_000 }, (_, i) => `user${String(i)}@example.com`).join(', ');
const NETWORKS = Array.from({ length: 300 }, (_, i) => `10.${String(i % 250)}.${String(Math.floor(i / 250))}.0/24`);

const POLICY = `
policy: travelling
listeners:
  mx: { address: 192.0.2.10, port: 25, exposure: internet }
  internal: { address: 10.0.0.1, port: 2525, exposure: internal }
lists:
  staff: { type: address, entries: [Ann@example.com, ${ENTRIES}] }
  servers: { type: network, entries: [${NETWORKS.join(', ')}, "2001:db8::/48"] }
  odd: { type: regex, entries: ["^x[0-9]+$"] }
clients:
  - { name: apps, match: { ip: servers, listener: internal }, relay: anywhere, senders: example.com }
domains:
  - { match: example.com, recipients: staff }
acl:
  mail:
    - { name: night, when: { time: { from: "22:00", to: "06:00", zone: Europe/Berlin }, client: none }, tag: late }${RULES}
  rcpt:
    - { name: odd, when: { recipient.local: odd }, reject: 550 5.7.1 Odd }
routing:
  - { name: all, route: out }
routes:
  out: { hosts: [{ host: out.example }] }
`;

function travelled(result: CompileResult): { result: CompileResult | undefined; parcels: readonly Parcel[] } {
  const parcels = [...parcelsOf(result)];
  const receiver = new ParcelReceiver();
  let arrived: CompileResult | undefined;
  for (const parcel of parcels) arrived = receiver.take(structuredClone(parcel));
  return { result: arrived, parcels };
}

describe('a compiled policy sent to another thread', () => {
  const here = compile(POLICY);
  const { result: there, parcels } = travelled(here);

  test('judges as it did', () => {
    if (!here.ok || there?.ok !== true) throw new Error(JSON.stringify(here.findings));
    const [before, after] = [createSnapshot(here.policy), createSnapshot(there.policy)];
    const ips = ['10.7.0.9', '192.0.2.7', '2001:db8::1'];
    const senders = ['ann@example.com', 'x@d7.example', 'x@a.e7.example', 'x@other.example', ''];
    const recipients = ['ANN@example.com', 'user5999@example.com', 'x12@example.com', 'b@far.example'];
    const decided = ips.flatMap((ip) =>
      senders.map((sender) => {
        const facts: Facts = {
          ip,
          sender,
          listener: ip.startsWith('192') ? 'mx' : 'internal',
          time: '2026-06-01T21:00:00Z',
          'size.declared': 2_000_000,
        };
        const own = recipients.map((recipient) => ({ recipient }));
        const decision = decideTransaction(after, facts, own);
        expect(decision).toEqual(decideTransaction(before, facts, own));
        return [decision.mail.by, decision.mail.tags.length, ...decision.recipients.map(({ by }) => by)].join(' ');
      }),
    );
    expect(new Set(decided).size).toBeGreaterThan(3);
  });

  test('comes in many small parcels', () => {
    expect(parcels.length).toBeGreaterThan(10);
    expect(Math.max(...parcels.map(({ items }) => items.length))).toBeLessThanOrEqual(100);
  });

  test('findings of one that is refused come too', () => {
    const refused = check(POLICY.replace('senders: example.com', 'senders: nobody'));
    expect(travelled(refused).result).toEqual(refused);
  });
});
