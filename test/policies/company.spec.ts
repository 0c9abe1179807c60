/** The policy of a whole company: loads, its own tests hold, and over all values it mentions no stranger relays. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  buildManagedList,
  check,
  createSnapshot,
  decideTransaction,
  runInvariants,
  runTests,
  type Facts,
  type ManagedList,
} from '#policy';

const TEXT = readFileSync(join(import.meta.dirname, 'company/policy.yaml'), 'utf8');
const result = check(TEXT);
if (!result.ok) throw new Error(JSON.stringify(result.findings, undefined, 2));
const { policy, findings } = result;

const OURS = ['example.com', 'example.org', 'sub.example.org', 'news.example.org'];
const DOMAINS = [...OURS, 'old-brand.example', 'x.example', 'paypal.example'];
const LOCALS = ['ann', 'bob', 'scanner', 'noreply', 'postmaster'];
const ADDRESSES = DOMAINS.flatMap((domain) => LOCALS.map((local) => `${local}@${domain}`));
const SENDERS = ['', 'scanner@example.com', ...DOMAINS.map((domain) => `noreply@${domain}`)];
const IPS = [
  '203.0.113.9',
  '10.1.2.3',
  '10.30.4.7',
  '10.0.9.1',
  '127.0.0.1',
  '172.17.0.1',
  '192.0.2.10',
  '2001:db8::9',
  '::1',
];

const lists = new Map<string, ManagedList>(
  policy.managedLists.map(({ name, type }) => [
    name,
    buildManagedList(type, name, 1, name === 'staff' ? OURS.map((domain) => `*@${domain}`) : []),
  ]),
);

const CONTENTS: readonly Facts[] = [
  {},
  { 'attachment.extension': ['exe'] },
  { 'attachment.extension': { unknown: 'mime.limit' } },
].flatMap((content): Facts[] => [
  { ...content, spf: 'pass' },
  { ...content, spf: 'fail' },
  { ...content, spf: { unknown: 'dns.timeout' } },
]);

function transactions(): readonly Facts[] {
  const sessions = ['mx', 'submit', 'internal'].flatMap((listener) => IPS.map((ip) => ({ listener, ip })));
  const mails = sessions.flatMap((session) => SENDERS.map((sender) => ({ ...session, sender })));
  const common = { helo: 'a.stranger.example', size: 100, tls: true };
  return mails.flatMap((mail) => CONTENTS.map((content) => ({ ...common, ...mail, ...content })));
}

describe('the policy of a company', () => {
  test('loads; all that is said is that its balancers lie in a network of its clients', () => {
    const said = findings
      .filter(({ severity }) => severity !== 'info')
      .map(({ code, severity }) => `${severity} ${code}`);
    expect(said).toEqual(['warns R1']);
  });

  test.each(runTests(policy).map((each) => [each.name, each] as const))(
    'its own test: %s',
    (_name, { passed, message }) => {
      expect({ passed, message }).toEqual({ passed: true, message: '' });
    },
  );

  test('has twelve tests, and its invariant is proven', () => {
    expect(runTests(policy)).toHaveLength(12);
    expect(runInvariants(policy)).toEqual([expect.objectContaining({ result: 'holds' })]);
  });

  test('no combination of what it mentions lets a stranger relay', () => {
    const snapshot = createSnapshot(policy, lists);
    const recipients: readonly Facts[] = ADDRESSES.map((recipient, index) => ({ recipient, recipients: index + 1 }));
    const decided = transactions().flatMap((facts) => decideTransaction(snapshot, facts, recipients).recipients);
    const passed = decided.filter(({ verdict }) => verdict === 'accept' || verdict === 'hold');
    const relayed = passed.filter(({ recipient }) => !OURS.includes(recipient.slice(recipient.indexOf('@') + 1)));
    expect(relayed.filter(({ client }) => client === 'none')).toEqual([]);
    // Otherwise the loop would have proven nothing.
    expect(relayed.length).toBeGreaterThan(100);
  });
});
