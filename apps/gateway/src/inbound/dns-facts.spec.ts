import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DnsServer } from '../../../../test/support/dns-server.js';
import { DnsResolver } from '../relay/dns-resolver.js';
import { DnsFacts, reversedAddress } from './dns-facts.js';

const V6 = '2001:db8::9';
const V6_NIBBLES = '9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2';

let dns: DnsServer;
let facts: DnsFacts;

function factsWith(deadlineMs: number): DnsFacts {
  return new DnsFacts({ servers: new DnsResolver({ servers: [dns.address], timeoutMs: 300, tries: 1 }), deadlineMs });
}

beforeEach(async () => {
  dns = await DnsServer.listen({});
  facts = factsWith(2_000);
});
afterEach(() => dns.close());

describe('reverse names', () => {
  test('count when they lead back to the address, and only then', async () => {
    dns.zones['9.113.0.203.in-addr.arpa'] = { ptr: ['Mail.Partner.Example', 'liar.example', 'nowhere.example'] };
    dns.zones['mail.partner.example'] = { a: ['203.0.113.8', '203.0.113.9'] };
    dns.zones['liar.example'] = { a: ['203.0.113.10'] };
    expect(await facts.reverseNames('203.0.113.9')).toEqual(['mail.partner.example']);
    dns.zones['10.113.0.203.in-addr.arpa'] = { ptr: ['mail.partner.example'] };
    expect(await facts.reverseNames('203.0.113.10')).toBeUndefined();
    expect(await facts.reverseNames('203.0.113.11')).toBeUndefined();
  });

  test('of IPv6 compare as addresses, not as text', async () => {
    dns.zones[`${V6_NIBBLES}.ip6.arpa`] = { ptr: ['six.example'] };
    dns.zones['six.example'] = { aaaa: ['2001:0db8:0:0::0009'] };
    expect(await facts.reverseNames(V6)).toEqual(['six.example']);
  });

  test('are unknown when a name server fails, those confirmed stay known', async () => {
    dns.zones['9.113.0.203.in-addr.arpa'] = { misdeed: 'servfail' };
    expect(await facts.reverseNames('203.0.113.9')).toEqual({ unknown: 'reverse name: name server failed' });
    dns.zones['8.113.0.203.in-addr.arpa'] = { ptr: ['good.example', 'bad.example'] };
    dns.zones['good.example'] = { a: ['203.0.113.8'] };
    dns.zones['bad.example'] = { misdeed: 'servfail' };
    expect(await facts.reverseNames('203.0.113.8')).toEqual({
      unknown: 'forward look-up of bad.example failed',
      values: ['good.example'],
      among: ['bad.example'],
    });
  });

  test('too many are none', async () => {
    const names = Array.from({ length: 11 }, (_, index) => `n${String(index)}.example`);
    for (const name of names) dns.zones[name] = { a: ['203.0.113.9'] };
    dns.zones['9.113.0.203.in-addr.arpa'] = { ptr: names };
    expect(await facts.reverseNames('203.0.113.9')).toBeUndefined();
    expect(dns.questions.some((question) => question.startsWith('A '))).toBe(false);
  });

  test('that hold what no name may hold do not exist', async () => {
    dns.zones['9.113.0.203.in-addr.arpa'] = { ptr: ['evil\r\nX-Injected:.example'] };
    expect(await facts.reverseNames('203.0.113.9')).toBeUndefined();
  });
});

describe('DNS lists', () => {
  test('list, do not list, and fail one by one', async () => {
    dns.zones['9.113.0.203.one.example'] = { a: ['127.0.0.2'] };
    dns.zones['9.113.0.203.three.example'] = { misdeed: 'refused' };
    const listed = await facts.listedIn('203.0.113.9', ['one.example', 'two.example', 'three.example']);
    expect(listed).toEqual({
      unknown: 'three.example: name server refused',
      values: ['one.example'],
      among: ['three.example'],
    });
    expect(await facts.listedIn('203.0.113.9', ['one.example', 'two.example'])).toEqual(['one.example']);
    expect(await facts.listedIn('203.0.113.8', ['one.example', 'two.example'])).toEqual([]);
  });

  test('know IPv6 by nibbles', async () => {
    dns.zones[`${V6_NIBBLES}.one.example`] = { a: ['127.0.0.4'] };
    expect(await facts.listedIn(V6, ['one.example'])).toEqual(['one.example']);
    expect(reversedAddress('::ffff:192.0.2.99')).toBe('99.2.0.192');
    expect(reversedAddress('nothing')).toBeUndefined();
  });

  test('that refuse to answer, or answer like a parked domain, say nothing', async () => {
    dns.zones['9.113.0.203.refusing.example'] = { a: ['127.255.255.254'] };
    dns.zones['9.113.0.203.parked.example'] = { a: ['198.51.100.1'] };
    expect(await facts.listedIn('203.0.113.9', ['refusing.example'])).toMatchObject({
      unknown: 'refusing.example: refused to answer (127.255.255.254)',
    });
    expect(await facts.listedIn('203.0.113.9', ['parked.example'])).toMatchObject({
      unknown: 'parked.example: answered 198.51.100.1, which is no answer of a DNS list',
    });
  });
});

describe('whether mail to a sender has somewhere to go', () => {
  test('by MX, by address, by neither, and not at all by null MX', async () => {
    dns.zones['mx.example'] = { mx: [[10, 'a.mx.example']] };
    dns.zones['address.example'] = { a: ['203.0.113.9'] };
    dns.zones['null.example'] = { mx: [[0, '.']], a: ['203.0.113.9'] };
    dns.zones['empty.example'] = {};
    dns.zones['broken.example'] = { misdeed: 'servfail' };
    expect(await facts.takesMail('mx.example')).toBe(true);
    expect(await facts.takesMail('address.example')).toBe(true);
    expect(await facts.takesMail('null.example')).toBe(false);
    expect(await facts.takesMail('empty.example')).toBe(false);
    expect(await facts.takesMail('nowhere.example')).toBe(false);
    expect(await facts.takesMail('[192.0.2.1]')).toBe(true);
    expect(await facts.takesMail('broken.example')).toEqual({ unknown: 'MX of broken.example: name server failed' });
  });
});

test('who does not answer in time is unknown; the same question is asked once', async () => {
  dns.zones['slow.example'] = { misdeed: 'silent' };
  const hasty = factsWith(50);
  const answers = await Promise.all([hasty.takesMail('slow.example'), hasty.takesMail('slow.example')]);
  expect(answers).toEqual([{ unknown: 'no answer within 50 ms' }, { unknown: 'no answer within 50 ms' }]);
  expect(dns.questions.filter((question) => question === 'MX slow.example')).toHaveLength(1);
});
