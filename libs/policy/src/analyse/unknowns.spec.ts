import { describe, expect, test } from '@jest/globals';
import { check } from '../compile.js';
import type { Finding } from '../types.js';

/** Mail for `example.com` from the internet; `rules` are those of the phase mail. */
function document(rules: readonly unknown[]): Record<string, unknown> {
  return {
    policy: 'main',
    listeners: { mx: { port: 25, exposure: 'internet' } },
    domains: [{ match: 'example.com', recipients: 'any', reason: 'a test' }],
    acl: { mail: rules },
    routing: [{ name: 'all', route: 'out' }],
    routes: { out: { hosts: [{ host: 'mbx.example.com' }] } },
  };
}

function said(rules: readonly unknown[], never: unknown, more: Record<string, unknown> = {}): readonly Finding[] {
  const result = check({ ...document(rules), invariants: [{ name: 'kept', never }], ...more });
  return result.findings.filter(({ code }) => code === 'V1');
}

const fromUs = { 'sender.domain': ['example.com'] };
const reject = '550 5.7.1 No';

test('`none` among the values of a result is the result as much as its absence', () => {
  const rules = [
    { name: 'weak', when: { spf: ['none', 'neutral'] }, reject },
    { name: 'none', when: { spf: ['none'] }, reject },
  ];
  const { findings } = check({
    ...document(rules),
    invariants: [{ name: 'kept', never: { verdict: 'accept', spf: 'none' } }],
  });
  expect(findings.filter(({ severity }) => severity === 'blocks').map(({ code, pointer }) => [code, pointer])).toEqual([
    ['P1', '/acl/mail/1'],
  ]);
});

describe('an invariant where facts can not be known', () => {
  test('is kept by rules that defer', () => {
    const rules = [
      { name: 'pass', when: { ...fromUs, spf: 'pass' }, reject },
      { name: 'other', when: { ...fromUs, spf: { not: 'pass' } }, reject },
    ];
    expect(said(rules, { verdict: 'accept', ...fromUs })).toEqual([]);
  });

  test('is broken by two rules of which each holds for what the other leaves, when both are skipped', () => {
    const rules = [
      { name: 'pass', when: { ...fromUs, spf: 'pass' }, 'on-unknown': 'skip', reject },
      { name: 'other', when: { ...fromUs, spf: { not: 'pass' } }, 'on-unknown': 'skip', reject },
    ];
    const [finding] = said(rules, { verdict: 'accept', ...fromUs });
    expect(finding).toMatchObject({ severity: 'blocks', example: { spf: { unknown: 'assumed' } } });
    expect(finding?.message).toMatch(/^invariant `kept` is broken: .*spf unknown.* gives accept/);
  });

  test('of mail that is not deferred is broken by a look-up that fails', () => {
    const rules = [{ name: 'pass', when: { spf: 'fail' }, reject }];
    const [finding] = said(rules, { verdict: 'defer' });
    expect(finding).toMatchObject({ severity: 'blocks', example: { spf: { unknown: 'assumed' } } });
    expect(said([{ ...rules[0], 'on-unknown': 'skip' }], { verdict: 'defer' })).toEqual([]);
  });

  test('is broken only where several are unknown together', () => {
    const rules = [
      { name: 'a', when: { ...fromUs, spf: 'pass' }, 'on-unknown': 'skip', reject },
      { name: 'b', when: { ...fromUs, spf: { not: 'pass' }, 'sender.has-mx': true }, 'on-unknown': 'skip', reject },
      { name: 'c', when: { ...fromUs, 'sender.has-mx': { not: true } }, 'on-unknown': 'skip', reject },
    ];
    const [finding] = said(rules, { verdict: 'accept', ...fromUs });
    expect(finding?.severity).toBe('blocks');
    expect(finding?.example).toMatchObject({ spf: { unknown: 'assumed' } });
  });

  test('says nothing of a fact that the invariant itself asks for', () => {
    const rules = [{ name: 'pass', when: { spf: 'fail' }, 'on-unknown': 'skip', reject }];
    expect(said(rules, { verdict: 'accept', spf: 'fail' })).toEqual([]);
  });

  test('is judged with the client deferred, not passed over', () => {
    const more = {
      listeners: { inside: { port: 2525, exposure: 'internal' } },
      clients: [
        {
          name: 'known',
          match: { rdns: '.friends.example', ip: '10.0.0.0/8', listener: 'inside' },
          relay: { to: 'example.org' },
          senders: 'example.org',
        },
      ],
    };
    const rules = [{ name: 'stranger', when: { client: 'none', rdns: '.bad.example' }, 'on-unknown': 'skip', reject }];
    expect(
      said(rules, { verdict: 'accept', client: 'none', 'recipient.domain': { not: ['example.com'] } }, more),
    ).toEqual([]);
  });
});
