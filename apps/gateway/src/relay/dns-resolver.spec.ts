import { afterEach, describe, expect, it } from '@jest/globals';
import { DnsServer } from '../../../../test/support/dns-server.js';
import type { DnsZone } from '../../../../test/support/dns-server.js';
import { findNextHops } from '#delivery';
import type { NextHops, RetryProfile, SmtpRoute } from '#delivery';
import { DnsResolver } from './dns-resolver.js';

const retry: RetryProfile = { firstMs: 1, factor: 1, longestMs: 1, giveUpMs: 1 };
const MX_ROUTE: SmtpRoute = { kind: 'mx', port: 2525, retry, maxConnections: 1 };

let server: DnsServer | undefined;
let nowMs = 1_000_000;

async function resolverFor(zones: Record<string, DnsZone>): Promise<DnsResolver> {
  server = await DnsServer.listen(zones);
  return new DnsResolver({ servers: [server.address], timeoutMs: 300, tries: 1, nowMs: () => nowMs });
}

afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe('answers', () => {
  it('are told apart: found, none, no domain, nobody knows', async () => {
    const resolver = await resolverFor({
      'two.test': {
        mx: [
          [20, 'B.two.test'],
          [10, 'a.two.test'],
        ],
      },
      'null.test': { mx: [[0, '.']] },
      'empty.test': { a: ['192.0.2.1'] },
      'servfail.test': { misdeed: 'servfail' },
      'refused.test': { misdeed: 'refused' },
      'silent.test': { misdeed: 'silent' },
      'garbage.test': { misdeed: 'garbage' },
      'truncated.test': { misdeed: 'truncated', mx: [[5, 'mx.truncated.test']] },
      'alias.test': { cname: 'two.test' },
      'hostile.test': {
        mx: [
          [1, 'bad name\r\n.test'],
          [2, 'good.test'],
        ],
      },
    });
    expect(await resolver.mx('two.test')).toEqual({
      kind: 'found',
      values: [
        { exchange: 'a.two.test', priority: 10 },
        { exchange: 'b.two.test', priority: 20 },
      ],
    });
    expect(await resolver.mx('null.test')).toEqual({ kind: 'found', values: [{ exchange: '', priority: 0 }] });
    expect(await resolver.mx('empty.test')).toEqual({ kind: 'none' });
    expect(await resolver.mx('missing.test')).toEqual({ kind: 'no-domain' });
    expect(await resolver.mx('not a domain')).toEqual({ kind: 'no-domain' });
    expect(await resolver.mx('truncated.test')).toMatchObject({
      kind: 'found',
      values: [{ exchange: 'mx.truncated.test' }],
    });
    expect(await resolver.mx('alias.test')).toMatchObject({ kind: 'found' });
    expect(await resolver.mx('hostile.test')).toEqual({
      kind: 'found',
      values: [{ exchange: 'good.test', priority: 2 }],
    });
    for (const name of ['servfail.test', 'refused.test', 'silent.test', 'garbage.test']) {
      expect(await resolver.mx(name)).toMatchObject({ kind: 'failed' });
    }
  });

  it('of both address families are joined, IPv4 first; a failure counts only when nothing was found', async () => {
    const resolver = await resolverFor({
      'both.test': { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'] },
      'six.test': { aaaa: ['2001:db8::2'] },
      'none.test': { mx: [[1, 'x.test']] },
      'fail.test': { misdeed: 'servfail' },
    });
    expect(await resolver.addresses('both.test')).toEqual({
      kind: 'found',
      values: ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
    });
    expect(await resolver.addresses('SIX.test.')).toEqual({ kind: 'found', values: ['2001:db8::2'] });
    expect(await resolver.addresses('none.test')).toEqual({ kind: 'none' });
    expect(await resolver.addresses('missing.test')).toEqual({ kind: 'no-domain' });
    expect(await resolver.addresses('fail.test')).toMatchObject({ kind: 'failed' });
  });

  it('are kept for a bounded time, and equal questions in flight are asked once', async () => {
    const resolver = await resolverFor({
      'a.test': { a: ['192.0.2.1'], ttlSeconds: 100_000 },
      'f.test': { misdeed: 'servfail' },
    });
    await Promise.all([resolver.addresses('a.test'), resolver.addresses('a.test')]);
    const asked = server!.questions.filter((question) => question.endsWith('a.test')).length;
    nowMs += 299_000;
    await resolver.addresses('a.test');
    expect(server!.questions.filter((question) => question.endsWith('a.test')).length).toBe(asked);
    nowMs += 2_000;
    server!.zones['a.test'] = { a: ['192.0.2.9'] };
    expect(await resolver.addresses('a.test')).toEqual({ kind: 'found', values: ['192.0.2.9'] });
    await resolver.mx('f.test');
    server!.zones['f.test'] = { mx: [[1, 'now.test']] };
    nowMs += 4_000;
    expect(await resolver.mx('f.test')).toMatchObject({ kind: 'found' });
  });

  it('of this machine are used when no servers are configured', async () => {
    const answer = await new DnsResolver({ timeoutMs: 300, tries: 1 }).addresses('localhost');
    expect(answer.kind === 'found' ? answer.values : answer).toContain('127.0.0.1');
  });
});

describe('next hops of a domain', () => {
  const hops = async (domain: string, zones: Record<string, DnsZone>, own = ''): Promise<NextHops> => {
    const resolver = await resolverFor(zones);
    return findNextHops(MX_ROUTE, domain, { resolver, isSelf: (host, address) => host === own || address === own });
  };
  const seen = (found: NextHops): unknown =>
    found.ok
      ? found.targets.map(({ host, address, rank, port }) => `${String(rank)} ${host} ${address}:${String(port)}`)
      : `${found.stage} ${found.fault.enhanced}`;
  const farm = {
    'farm.test': {
      mx: [
        [20, 'b.farm.test'],
        [10, 'a.farm.test'],
        [30, 'c.farm.test'],
      ] as const,
    },
    'a.farm.test': { a: ['192.0.2.1'], aaaa: ['2001:db8::1'] },
    'b.farm.test': { a: ['192.0.2.2'] },
    'c.farm.test': { a: ['192.0.2.3'] },
  };

  it('come in order of preference', async () => {
    expect(seen(await hops('farm.test', farm))).toEqual([
      '10 a.farm.test 192.0.2.1:2525',
      '10 a.farm.test 2001:db8::1:2525',
      '20 b.farm.test 192.0.2.2:2525',
      '30 c.farm.test 192.0.2.3:2525',
    ]);
  });

  it.each([
    [
      'the domain itself without MX',
      'plain.test',
      { 'plain.test': { a: ['192.0.2.7'] } },
      '',
      ['0 plain.test 192.0.2.7:2525'],
    ],
    ['an IPv4 literal', '[192.0.2.9]', {}, '', ['0 192.0.2.9 192.0.2.9:2525']],
    ['an IPv6 literal', '[ipv6:2001:db8::9]', {}, '', ['0 2001:db8::9 2001:db8::9:2525']],
    ['null MX', 'null.test', { 'null.test': { mx: [[0, '.']] } }, '', 'dns 5.1.10'],
    ['no such domain', 'gone.test', {}, '', 'dns 5.1.2'],
    ['nobody knows', 'fail.test', { 'fail.test': { misdeed: 'servfail' } }, '', 'dns 4.4.3'],
    ['an exchanger without address', 'x.test', { 'x.test': { mx: [[1, 'y.test']] } }, '', 'dns 5.4.4'],
    [
      'an exchanger nobody knows',
      'x.test',
      { 'x.test': { mx: [[1, 'y.test']] }, 'y.test': { misdeed: 'servfail' } },
      '',
      'dns 4.4.3',
    ],
    ['ourselves by name, most preferred', 'farm.test', farm, 'a.farm.test', 'dns 5.4.6'],
    [
      'ourselves by name, as a backup: only better ones',
      'farm.test',
      farm,
      'b.farm.test',
      ['10 a.farm.test 192.0.2.1:2525', '10 a.farm.test 2001:db8::1:2525'],
    ],
    [
      'ourselves by address',
      'farm.test',
      farm,
      '192.0.2.2',
      ['10 a.farm.test 192.0.2.1:2525', '10 a.farm.test 2001:db8::1:2525'],
    ],
    [
      'ourselves as the domain without MX',
      'plain.test',
      { 'plain.test': { a: ['192.0.2.7'] } },
      '192.0.2.7',
      'dns 5.4.6',
    ],
  ] as [string, string, Record<string, DnsZone>, string, unknown][])(
    '%s',
    async (...[, domain, zones, own, expected]) => {
      expect(seen(await hops(domain, zones, own))).toEqual(expected);
    },
  );

  it('of a loop of CNAMEs are none, of an exchanger that is one what it leads to, of half a farm the other half', async () => {
    const zones: Record<string, DnsZone> = {
      'round.test': { cname: 'about.test' },
      'about.test': { cname: 'round.test' },
      'mx-round.test': { mx: [[5, 'round.test']] },
      'mx-alias.test': { mx: [[5, 'alias.test']] },
      'alias.test': { cname: 'a.farm.test' },
      'half.test': {
        mx: [
          [5, 'sick.test'],
          [9, 'a.farm.test'],
        ],
      },
      'sick.test': { misdeed: 'servfail' },
      'mx-sick.test': { mx: [[5, 'sick.test']] },
      ...farm,
    };
    const resolver = await resolverFor(zones);
    const told = async (domain: string): Promise<unknown> =>
      seen(await findNextHops(MX_ROUTE, domain, { resolver, isSelf: () => false }));
    expect(await told('round.test')).toBe('dns 5.4.4');
    expect(await told('mx-round.test')).toBe('dns 5.4.4');
    expect(await told('mx-alias.test')).toEqual(['5 alias.test 192.0.2.1:2525', '5 alias.test 2001:db8::1:2525']);
    // Nobody knows one of them: the other serves, and where there is no other the mail waits.
    expect(await told('half.test')).toEqual(['9 a.farm.test 192.0.2.1:2525', '9 a.farm.test 2001:db8::1:2525']);
    expect(await told('mx-sick.test')).toBe('dns 4.4.3');
  });

  it('are bounded however large the answer is', async () => {
    const many = Array.from({ length: 1500 }, (_, at) => [at, `h${String(at)}.huge.test`] as const);
    const zones: Record<string, DnsZone> = { 'huge.test': { mx: many, misdeed: 'truncated' } };
    for (const [, host] of many.slice(0, 30)) zones[host] = { a: ['192.0.2.1'] };
    const found = await hops('huge.test', zones);
    expect(found.ok && found.targets.map(({ host }) => host)).toEqual(many.slice(0, 20).map(([, host]) => host));
  });

  it('are bounded however many a zone names', async () => {
    const many = Array.from({ length: 60 }, (_, at) => [at, `h${String(at)}.big.test`] as const);
    const zones: Record<string, DnsZone> = { 'big.test': { mx: many, misdeed: 'truncated' } };
    for (const [, host] of many)
      zones[host] = { a: Array.from({ length: 20 }, (_, at) => `192.0.2.${String(at + 1)}`) };
    const found = await hops('big.test', zones);
    expect(found.ok && found.targets.length).toBe(20 * 8);
  });
});
