import { describe, expect, test } from '@jest/globals';
import { addressFault, isRelayingForm, parseAddress } from './addresses.js';
import { parseDomain, parseDomainEntry } from './domains.js';
import { isLocalSpace, parseIp, parseNetwork, printIp, printNetwork, touchesLocalSpace } from './networks.js';
import { fillReply, parseReply } from './replies.js';
import { parseDateEndMs, parseDurationMs, parseInstantMs, parseSizeBytes, parseTimeOfDay } from './units.js';

const ipText = (text: string): string | undefined => {
  const ip = parseIp(text);
  return ip === undefined ? undefined : printIp(ip);
};
const networkText = (text: string): string => {
  const result = parseNetwork(text);
  return result.ok ? printNetwork(result.network) : (result.fix ?? 'refused');
};

describe('IP addresses and networks', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['255.255.255.255', '255.255.255.255'],
    ['0.0.0.0', '0.0.0.0'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['192.0.2', undefined],
    ['192.0.2.256', undefined],
    ['192.0.02.1', undefined],
    ['192.0.2.1.', undefined],
    ['1..2.3', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
    ['::1::', undefined],
  ])('address %s is %s', (text, expected) => {
    expect(ipText(text)).toBe(expected);
  });

  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.0.0.1/32', '10.0.0.1'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['10.0.0.1/8', '10.0.0.0/8'],
    ['2001:db8::1/32', '2001:db8::/32'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['10.0.0.0/33', 'refused'],
    ['10.0.0.0/', 'refused'],
    ['10.0.0.0/8/8', 'refused'],
    ['example.com', 'refused'],
  ])('network %s is %s', (text, expected) => {
    expect(networkText(text)).toBe(expected);
  });

  test('local address space', () => {
    const network = (text: string): Parameters<typeof isLocalSpace>[0] => {
      const result = parseNetwork(text);
      if (!result.ok) throw new Error(text);
      return result.network;
    };
    expect(
      ['172.17.0.0/16', '127.0.0.1', '::1', 'fd00::/8', '100.64.0.1'].every((text) => isLocalSpace(network(text))),
    ).toBe(true);
    expect(
      ['0.0.0.0/0', '172.0.0.0/8', '::/0'].every(
        (text) => touchesLocalSpace(network(text)) && !isLocalSpace(network(text)),
      ),
    ).toBe(true);
    expect(['192.0.2.0/24', '2001:db8::/32', '172.32.0.0/16'].some((text) => touchesLocalSpace(network(text)))).toBe(
      false,
    );
  });
});

describe('domains', () => {
  test.each([
    ['Example.COM', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['localhost', 'localhost'],
    ['example.com.', undefined],
    ['a..example', undefined],
    ['-a.example', undefined],
    ['a_b.example', undefined],
    ['192.0.2.1', undefined],
    [`${'a'.repeat(64)}.example`, undefined],
    ['', undefined],
    ['.', undefined],
  ])('%s is %s', (text, expected) => {
    const result = parseDomain(text);
    expect(result.ok ? result.domain : undefined).toBe(expected);
  });

  test('entries begin with a dot for everything below', () => {
    expect(parseDomainEntry('.Example.com')).toEqual({ ok: true, domain: '.example.com' });
    expect(parseDomainEntry('*.example.com')).toMatchObject({ ok: false, fix: '.example.com' });
    expect(parseDomainEntry('..example.com').ok).toBe(false);
  });
});

describe('addresses', () => {
  test.each([
    ['Ann@Example.com', 'Ann@example.com'],
    ['"ann"@example.com', 'ann@example.com'],
    ['"a b"@example.com', '"a b"@example.com'],
    ['ann@bücher.example', 'ann@xn--bcher-kva.example'],
    ['ann', undefined],
    ['@example.com', undefined],
    ['ann@', undefined],
    ['a..b@example.com', undefined],
    ['*@example.com', undefined],
    ['ann@[192.0.2.1]', undefined],
    [`${'a'.repeat(65)}@example.com`, undefined],
  ])('%s is %s', (text, expected) => {
    const result = parseAddress(text);
    expect(result.ok ? result.address : undefined).toBe(expected);
  });

  test('what the judge refuses, whatever the parser let through', () => {
    expect(['ann@example.com', '"a b"@example.com', 'x@[192.0.2.1]', 'jörg@example.com'].map(addressFault)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    for (const bad of [
      'ann',
      'a b@example.com',
      'ann@exa mple',
      'ann@example.com.',
      'ann@a..b',
      'ann@',
      '@b',
      'a\r\n@b.example',
      'ann@b\n.example',
    ]) {
      expect(addressFault(bad)).toBeDefined();
    }
    expect(['a%b', 'a!b', '"a@b"'].every(isRelayingForm)).toBe(true);
    expect(isRelayingForm('a+b=c')).toBe(false);
  });
});

describe('units', () => {
  test('durations, sizes, times', () => {
    expect(['90s', '5m', '4h', '14d', '2w', '5', '5 m', '1.5h'].map(parseDurationMs)).toEqual([
      90_000,
      300_000,
      14_400_000,
      1_209_600_000,
      1_209_600_000,
      undefined,
      undefined,
      undefined,
    ]);
    expect(['1kB', '1KiB', '35MB', '1GiB', '35', '35mb'].map(parseSizeBytes)).toEqual([
      1000,
      1024,
      35_000_000,
      1_073_741_824,
      undefined,
      undefined,
    ]);
    expect(['00:00', '23:59', '24:00', '7:00'].map(parseTimeOfDay)).toEqual([0, 1439, undefined, undefined]);
    expect(parseDateEndMs('2026-12-31')).toBe(Date.parse('2027-01-01T00:00:00Z'));
    expect(['2026-02-30', '2026-13-01', '26-01-01'].map(parseDateEndMs)).toEqual([undefined, undefined, undefined]);
    expect(parseInstantMs('2026-11-30T22:15:00+01:00')).toBe(Date.parse('2026-11-30T21:15:00Z'));
    expect(['2026-11-30', '2026-11-30T22:15:00', 'yesterday'].map(parseInstantMs)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('replies', () => {
  const rules = { verb: 'reject', placeholders: ['sender'] } as const;
  test('code, enhanced code and text', () => {
    expect(parseReply('550 5.7.1 Go away', rules)).toEqual({
      ok: true,
      reply: { code: 550, enhanced: '5.7.1', text: 'Go away' },
    });
    for (const bad of [
      '450 4.7.1 x',
      '550 4.7.1 x',
      '550 x',
      '599 5.7.1 x',
      '550 5.7.1 größer',
      '550 5.7.1 {ip}',
      '550 5.7.1 ',
    ]) {
      expect(parseReply(bad, rules).ok).toBe(false);
    }
  });

  test('facts can not break the line', () => {
    const filled = fillReply(
      { code: 550, enhanced: '5.7.1', text: 'Not {sender} of {ip}' },
      { sender: `"a\r\n250 ok"@${'x'.repeat(500)}` },
    );
    expect(filled.text).toMatch(/^[ -~]+$/);
    expect(filled.text.length).toBeLessThan(450);
    expect(filled.text).toContain('{ip}');
  });
});
