import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkSpf, type SpfCheck } from '#mail-auth';
import { DnsServer, type DnsZone } from '../../../../test/support/dns-server.js';
import { DnsResolver } from '../relay/dns-resolver.js';
import { MailAuth } from './mail-auth.js';
import { ContentThreads } from './content-threads.js';

/** RFC 7208, every result and every limit, asked of a name server over UDP and TCP. */
const spf = (...records: readonly string[]): DnsZone => ({ txt: records });

/** A domain that only a chain of `count` includes leads to an end of. */
function chain(prefix: string, count: number, end: string): Record<string, DnsZone> {
  const zones: Record<string, DnsZone> = {};
  for (let index = 1; index <= count; index += 1) {
    const next = index === count ? end : `include:${prefix}${String(index + 1)}.example ?all`;
    zones[`${prefix}${String(index)}.example`] = spf(`v=spf1 ${next}`);
  }
  return zones;
}

const ZONES: Record<string, DnsZone> = {
  'pass.example': spf('v=spf1 ip4:192.0.2.0/24 -all'),
  'six.example': spf('v=spf1 ip6:2001:db8::/32 -all'),
  'soft.example': spf('v=spf1 ip4:198.51.100.1 ~all'),
  'neutral.example': spf('v=spf1 ?all'),
  'silent-end.example': spf('v=spf1 ip4:198.51.100.1'),
  'no-record.example': { txt: ['something else', 'v=spf10 -all', 'v=spf1-all'], a: ['192.0.2.1'] },
  'two.example': spf('v=spf1 -all', 'V=SPF1 +all'),
  'broken.example': spf('v=spf1 ip4:192.0.2.1 -all moo'),
  'bad-network.example': spf('v=spf1 ip4:192.0.2 -all'),
  'bad-length.example': spf('v=spf1 a/33 -all'),
  'bad-macro.example': spf('v=spf1 exists:%(i).example -all'),
  'letters.example': spf('v=spf1 exists:%{c}.example -all'),
  'servfail.example': { misdeed: 'servfail' },
  'refused.example': { misdeed: 'refused' },
  'silent.example': { misdeed: 'silent' },
  'garbage.example': { misdeed: 'garbage' },
  'over-tcp.example': { ...spf('v=spf1 ip4:192.0.2.7 -all'), misdeed: 'truncated' },
  // Strings are joined without anything between them; the record is longer than one of them can be.
  'strings.example': { txt: [['v=spf1 ip4:192.', '0.2.7 -all']] },
  'long.example': spf(`v=spf1 ${'ip4:198.51.100.1 '.repeat(60)}ip4:192.0.2.7 -all`),
  'alias.example': { cname: 'pass.example' },
  'alias-loop.example': { cname: 'alias-loop.example', misdeed: 'servfail' },
  'host.example': { ...spf('v=spf1 a -all'), a: ['192.0.2.7'], aaaa: ['2001:db8::7'] },
  'host-range.example': { ...spf('v=spf1 a/24//64 -all'), a: ['192.0.2.200'], aaaa: ['2001:db8::200'] },
  'alias-host.example': spf('v=spf1 a:www.alias.example -all'),
  'www.alias.example': { cname: 'host.example' },
  'mx.example': {
    ...spf('v=spf1 mx -all'),
    mx: [
      [10, 'one.mx.example'],
      [20, 'host.example'],
    ],
  },
  'one.mx.example': { a: ['198.51.100.9'] },
  'mx-down.example': { ...spf('v=spf1 mx -all'), mx: [[10, 'servfail.example']] },
  'null-mx.example': { ...spf('v=spf1 mx ?all'), mx: [[0, '.']] },
  'ten-mx.example': {
    ...spf('v=spf1 mx -all'),
    mx: Array.from({ length: 10 }, (_, n) => [n, 'one.mx.example'] as const),
  },
  'eleven-mx.example': {
    ...spf('v=spf1 mx -all'),
    mx: Array.from({ length: 11 }, (_, n) => [n, `h${String(n)}.mx.example`] as const),
  },
  ...Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`h${String(n)}.mx.example`, { a: ['198.51.100.9'] }])),
  '7.2.0.192.in-addr.arpa': { ptr: ['host.example', 'liar.example'] },
  'ptr.example': spf('v=spf1 ptr:host.example -all'),
  'ptr-liar.example': spf('v=spf1 ptr:liar.example -all'),
  'liar.example': { a: ['198.51.100.1'] },
  '9.2.0.192.in-addr.arpa': { misdeed: 'servfail' },
  'exists.example': spf('v=spf1 exists:%{ir}.list.example -all'),
  '7.2.0.192.list.example': { a: ['127.0.0.2'] },
  'exists-six.example': spf('v=spf1 exists:host.example -all'),
  'local.example': spf('v=spf1 exists:%{l1r-}.%{d2}.users.example -all'),
  'bob.local.example.users.example': { a: ['127.0.0.2'] },
  'helo-macro.example': spf('v=spf1 a:%{h} -all'),
  'valid-name.example': spf('v=spf1 exists:%{p}.names.example -all'),
  'host.example.names.example': { a: ['127.0.0.2'] },
  'version-macro.example': spf('v=spf1 exists:%{v}.versions.example -all'),
  'in-addr.versions.example': { a: ['127.0.0.2'] },
  'includes.example': spf('v=spf1 include:pass.example ~all'),
  'includes-fail.example': spf('v=spf1 include:soft.example -all'),
  'includes-nothing.example': spf('v=spf1 include:nowhere.example -all'),
  'includes-broken.example': spf('v=spf1 include:broken.example +all'),
  'includes-servfail.example': spf('v=spf1 include:servfail.example +all'),
  'includes-silent.example': spf('v=spf1 include:silent.example +all'),
  'redirects.example': spf('v=spf1 redirect=pass.example'),
  'redirects-nowhere.example': spf('v=spf1 redirect=nowhere.example'),
  'redirects-servfail.example': spf('v=spf1 redirect=servfail.example'),
  'redirect-unused.example': spf('v=spf1 redirect=broken.example -all'),
  'redirect-twice.example': spf('v=spf1 redirect=pass.example redirect=pass.example'),
  'a-servfail.example': spf('v=spf1 a:servfail.example +all'),
  'loop.example': spf('v=spf1 include:loop.example -all'),
  'loop-a.example': spf('v=spf1 redirect=loop-b.example'),
  'loop-b.example': spf('v=spf1 redirect=loop-a.example'),
  ...chain('ten', 11, 'ip4:192.0.2.7 -all'),
  ...chain('eleven', 12, 'ip4:192.0.2.7 -all'),
  'many.example': { ...spf(`v=spf1 ${'a '.repeat(10)}ip4:192.0.2.7 -all`), a: ['198.51.100.1'] },
  'too-many.example': { ...spf(`v=spf1 ${'a '.repeat(11)}ip4:192.0.2.7 -all`), a: ['198.51.100.1'] },
  'two-void.example': spf('v=spf1 a:n1.example a:n2.example ip4:192.0.2.7 -all'),
  'three-void.example': spf('v=spf1 a:n1.example exists:n2.example mx:n3.example ip4:192.0.2.7 -all'),
  'huge.example': { txt: [`v=spf1 ${'ip4:198.51.100.1 '.repeat(3500)}+all`] },
  'unknown-modifier.example': spf('v=spf1 rr=all exp=why.example ip4:192.0.2.7 -all'),
  'eight-bit.example': spf('v=spf1 a:\xefhost.example +all'),
};

let server: DnsServer;
let resolver: DnsResolver;

beforeAll(async () => {
  server = await DnsServer.listen(ZONES);
  resolver = new DnsResolver({ servers: [server.address], timeoutMs: 150, tries: 1 });
});

afterAll(async () => {
  await server.close();
});

type Row = [domain: string, result: SpfCheck['result'], ip?: string];

function from(rows: readonly Row[]): [string, SpfCheck['result'], string][] {
  return rows.map(([domain, result, ip = '192.0.2.7']) => [domain, result, ip]);
}

function check(domain: string, more: { ip?: string; helo?: string; sender?: string } = {}): Promise<SpfCheck> {
  const { ip = '192.0.2.7', helo = 'host.example', sender = `bob@${domain}` } = more;
  return checkSpf({ clientAddress: ip, helo, sender }, resolver);
}

describe('results', () => {
  it.each(
    from([
      ['pass.example', 'pass'],
      ['pass.example', 'fail', '198.51.100.1'],
      ['pass.example', 'pass', '::ffff:192.0.2.9'],
      ['pass.example', 'fail', '2001:db8::1'],
      ['six.example', 'pass', '2001:db8::1'],
      ['six.example', 'fail'],
      ['soft.example', 'softfail'],
      ['neutral.example', 'neutral'],
      ['silent-end.example', 'neutral'],
      ['no-record.example', 'none'],
      ['nowhere.example', 'none'],
      ['two.example', 'permerror'],
      ['broken.example', 'permerror'],
      ['bad-network.example', 'permerror'],
      ['bad-length.example', 'permerror'],
      ['bad-macro.example', 'permerror'],
      ['letters.example', 'permerror'],
      ['eight-bit.example', 'permerror'],
      ['servfail.example', 'temperror'],
      ['refused.example', 'temperror'],
      ['silent.example', 'temperror'],
      ['garbage.example', 'temperror'],
      ['over-tcp.example', 'pass'],
      ['strings.example', 'pass'],
      ['long.example', 'pass'],
      ['alias.example', 'pass'],
      ['alias-loop.example', 'temperror'],
      ['unknown-modifier.example', 'pass'],
    ]),
  )('%s: %s %s', async (domain, result, ip) => {
    expect(await check(domain, { ip })).toMatchObject({ result, domain });
  });
});

describe('mechanisms', () => {
  it.each(
    from([
      ['host.example', 'pass'],
      ['host.example', 'fail', '192.0.2.8'],
      ['host.example', 'pass', '2001:db8::7'],
      ['host-range.example', 'pass'],
      ['host-range.example', 'pass', '2001:db8::7'],
      ['host-range.example', 'fail', '2001:db8:1::7'],
      ['alias-host.example', 'pass'],
      ['mx.example', 'pass'],
      ['mx.example', 'fail', '192.0.2.99'],
      ['mx-down.example', 'temperror'],
      ['null-mx.example', 'neutral'],
      ['ptr.example', 'pass'],
      ['ptr-liar.example', 'fail'],
      // What fails at the name of the client does not match, RFC 7208 s5.5.
      ['ptr.example', 'fail', '192.0.2.9'],
      ['exists.example', 'pass'],
      ['exists.example', 'fail', '192.0.2.8'],
      ['exists-six.example', 'pass', '2001:db8::1'],
      ['helo-macro.example', 'pass'],
      ['valid-name.example', 'pass'],
      ['version-macro.example', 'pass'],
      ['includes.example', 'pass'],
      ['includes-fail.example', 'fail'],
      ['includes-nothing.example', 'permerror'],
      ['includes-broken.example', 'permerror'],
      ['redirects.example', 'pass'],
      ['redirects-nowhere.example', 'permerror'],
      ['redirect-unused.example', 'fail'],
      ['redirect-twice.example', 'permerror'],
    ]),
  )('%s: %s %s', async (domain, result, ip) => {
    expect(await check(domain, { ip })).toMatchObject({ result });
  });

  it('macros take parts, reverse them and know the local part', async () => {
    expect(await check('', { sender: 'ann-bob@local.example' })).toMatchObject({ result: 'fail' });
    expect(await check('', { sender: 'bob-ann@local.example' })).toMatchObject({ result: 'pass' });
  });
});

describe('what is not known is never a pass', () => {
  it.each(['includes-servfail', 'includes-silent', 'redirects-servfail', 'a-servfail'])('%s', async (name) => {
    const { result, why } = await check(`${name}.example`);
    expect(result).toBe('temperror');
    expect(why).toMatch(/name server/);
  });

  it('when all of it takes too long', async () => {
    const log = { error: () => undefined, warn: () => undefined };
    const budget = { take: () => undefined, giveBack: () => undefined };
    const slow = new DnsResolver({ servers: [server.address], timeoutMs: 1_000, tries: 1 });
    const threads = new ContentThreads({ names: slow, budget, log });
    const mailAuth = new MailAuth({ dns: slow, threads, log, deadlineMs: 100 });
    const begunAt = Date.now();
    const question = { clientAddress: '192.0.2.7', helo: 'x.example', sender: 'a@includes-silent.example' };
    expect(await mailAuth.spf(question)).toMatchObject({ result: 'temperror', why: expect.stringMatching(/100 ms/) });
    expect(Date.now() - begunAt).toBeLessThan(2_000);
  });
});

describe('limits of RFC 7208 s4.6.4', () => {
  it.each<[string, SpfCheck['result']]>([
    ['many.example', 'pass'],
    ['too-many.example', 'permerror'],
    ['ten1.example', 'pass'],
    ['eleven1.example', 'permerror'],
    ['loop.example', 'permerror'],
    ['loop-a.example', 'permerror'],
    ['ten-mx.example', 'fail'],
    ['eleven-mx.example', 'permerror'],
    ['two-void.example', 'pass'],
    ['three-void.example', 'permerror'],
  ])('%s: %s', async (domain, result) => {
    expect(await check(domain)).toMatchObject({ result });
  });

  it('says how many look-ups it took', async () => {
    expect(await check('many.example')).toMatchObject({ lookUps: 10 });
    expect(await check('pass.example')).toMatchObject({ lookUps: 0 });
  });

  it('an answer of 64 KB is nobody’s record', async () => {
    expect(await check('huge.example')).toMatchObject({ result: 'temperror', why: expect.stringMatching(/16384/) });
  });

  it('no more than eleven names are asked for, whatever a record says', async () => {
    const before = server.questions.length;
    await checkSpf(
      { clientAddress: '192.0.2.7', helo: 'x.example', sender: 'a@loop-a.example' },
      new DnsResolver({ servers: [server.address], timeoutMs: 150, tries: 1 }),
    );
    expect(server.questions.length - before).toBeLessThanOrEqual(11);
  });
});

describe('identities and evidence', () => {
  it('the null sender is checked by its HELO', async () => {
    const checked = await check('', { sender: '', helo: 'pass.example' });
    expect(checked).toEqual({
      result: 'pass',
      identity: 'helo',
      domain: 'pass.example',
      sender: 'postmaster@pass.example',
      clientAddress: '192.0.2.7',
      record: 'v=spf1 ip4:192.0.2.0/24 -all',
      mechanism: 'ip4:192.0.2.0/24',
      lookUps: 0,
    });
  });

  it.each(['[192.0.2.7]', 'localhost', 'a..example', `${'a'.repeat(64)}.example`, '', '\u0000'])(
    'a HELO of %j has no record',
    async (helo) => {
      expect(await check('', { sender: '', helo })).toMatchObject({ result: 'none', identity: 'helo' });
    },
  );

  it('tells which record had the term that matched', async () => {
    expect(await check('includes.example')).toMatchObject({
      mechanism: 'include:pass.example',
      record: 'v=spf1 include:pass.example ~all',
    });
    expect(await check('redirects.example')).toMatchObject({ mechanism: 'ip4:192.0.2.0/24 of pass.example' });
  });

  it('the same question is asked once', async () => {
    const fresh = new DnsResolver({ servers: [server.address], timeoutMs: 150, tries: 1 });
    const before = server.questions.length;
    const question = { clientAddress: '192.0.2.7', helo: 'x.example', sender: 'a@pass.example' };
    await Promise.all(Array.from({ length: 20 }, () => checkSpf(question, fresh)));
    expect(server.questions.slice(before)).toEqual(['TXT pass.example']);
  });
});
