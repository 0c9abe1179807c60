import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { check, compileUnproven } from '../compile.js';
import type { CompiledPolicy } from '../compiled.js';
import { Neighbours } from './neighbours.js';
import { relate } from './relate.js';

function policyOf(matches: readonly Record<string, unknown>[]): Record<string, unknown> {
  return {
    policy: 'main',
    listeners: {
      inside: {
        port: 2525,
        exposure: 'internal',
        tls: { mode: 'starttls', certificate: 'default', 'client-certificates': 'request' },
        auth: 'offered',
      },
      partners: {
        port: 2526,
        exposure: 'internal',
        tls: { mode: 'starttls', certificate: 'default', 'client-certificates': 'request' },
        auth: 'offered',
      },
    },
    lists: {
      lab: { type: 'network', entries: ['10.1.0.0/16', '2001:db8:1::/48'] },
      guests: { type: 'network', source: 'managed', within: { network: 'lab' } },
      robots: { type: 'word', entries: ['robot-1', 'robot-2'] },
    },
    clients: matches.map((match, index) => ({ name: `c${String(index)}`, match })),
    domains: [{ match: 'example.com', recipients: 'any', reason: 'a test' }],
    routing: [{ name: 'all', route: 'out' }],
    routes: { out: { mx: true } },
  };
}

function compiled(matches: readonly Record<string, unknown>[]): CompiledPolicy {
  const policy = compileUnproven(policyOf(matches));
  if (policy === undefined) throw new Error('no policy');
  return policy;
}

const match = fc
  .record(
    {
      ip: fc.constantFrom<unknown>(
        '10.0.0.0/8',
        '10.1.0.0/16',
        '10.1.2.0/24',
        '10.1.2.3',
        '192.0.2.0/24',
        '2001:db8::/32',
        '2001:db8:1::7',
        ['10.1.2.3', '2001:db8:2::/48'],
        'lab',
        'guests',
        { not: '10.1.0.0/16' },
      ),
      auth: fc.constantFrom<unknown>('any', ['ann'], ['bob', 'ann'], 'robots', ['robot-2'], 'none', { not: ['ann'] }),
      'cert.name': fc.constantFrom<unknown>(['gw.example.com'], ['GW.example.com', 'gw2.example.com']),
      listener: fc.constantFrom<unknown>('inside', 'partners', ['inside', 'partners'], { not: 'inside' }),
      tls: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  .filter((each) => Object.keys(each).length > 0);

describe('clients that may have somebody in common', () => {
  test('are found, whatever they are known by', () => {
    fc.assert(
      fc.property(fc.array(match, { minLength: 2, maxLength: 8 }), (matches) => {
        const policy = compiled(matches);
        const neighbours = new Neighbours(policy);
        const { clients } = policy.program;
        for (const [position, later] of clients.entries()) {
          const candidates = neighbours.before(position);
          for (const [index, earlier] of clients.slice(0, position).entries()) {
            if (!relate(policy, earlier.match, later.match).disjoint) expect(candidates).toContain(index);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test('of two thousand, each with an account or a network of its own, are few', () => {
    const policy = compiled(
      Array.from({ length: 2_000 }, (_, i) =>
        i % 2 === 0
          ? { auth: [`user${String(i)}`], listener: 'partners' }
          : { ip: `10.${String(i >> 8)}.${String(i & 255)}.0/24`, listener: 'inside' },
      ),
    );
    const neighbours = new Neighbours(policy);
    const pairs = policy.program.clients.reduce((sum, _, position) => sum + neighbours.before(position).length, 0);
    expect(pairs).toBe(0);
  });

  test('of whom each meets all others: a hundred are told', () => {
    const matches = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0 ? { auth: [`user${String(i)}`] } : { ip: `10.1.${String(i)}.0/24` },
    );
    const findings = check(policyOf(matches)).findings.filter(({ code }) => code === 'P3');
    expect(findings).toHaveLength(100);
  });
});
