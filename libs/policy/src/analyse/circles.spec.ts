import { expect, test } from '@jest/globals';
import { check } from '../compile.js';

/** Mail for `example.com` goes inside, that for the desk's domain by `desk`; rcpt has one rule that sends mail on. */
function circles(sending: Record<string, unknown>, desk: readonly unknown[]): readonly string[] {
  const { findings } = check({
    policy: 'main',
    listeners: { mx: { port: 25, exposure: 'internet' } },
    domains: [{ match: ['example.com', 'desk.example.com'], recipients: 'any', reason: 'a test' }],
    acl: { rcpt: [{ name: 'sent-on', when: { 'recipient.local': ['help'] }, ...sending }] },
    routing: [...desk, { name: 'rest', route: 'inside' }],
    routes: { inside: { hosts: [{ host: 'mbx.inside.example' }] }, out: { mx: true } },
  });
  return findings.flatMap(({ code, severity, pointer }) => (code === 'T1' ? [`${severity} ${pointer}`] : []));
}

const byDomain = { name: 'desk', when: { recipient: ['tickets@desk.example.com'] }, route: 'out' };

test.each([{ redirect: 'tickets@desk.example.com' }, { 'add-recipient': 'tickets@desk.example.com' }])(
  'mail sent on to a domain of ours by way of its MX comes back: %j',
  (sending) => {
    expect(circles(sending, [byDomain])).toContain('blocks /acl/rcpt/0');
    expect(circles(sending, [])).toEqual([]);
  },
);

test('what other facts decide is a warning', () => {
  const atNight = { ...byDomain, when: { ...byDomain.when, 'sender.domain': ['news.example'] } };
  expect(circles({ redirect: 'tickets@desk.example.com' }, [atNight])).toContain('warns /acl/rcpt/0');
});
