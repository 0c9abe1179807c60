import { describe, expect, it } from '@jest/globals';
import { Counts, networkOf, ONE_CLIENT, plainAddress } from './client-address.js';

describe('connections per key', () => {
  it('lets in up to the cap, and again when one left', () => {
    const counts = new Counts();
    expect([counts.enter('a', 2), counts.enter('a', 2), counts.enter('a', 2)]).toEqual([true, true, false]);
    expect(counts.enter('b', 2)).toBe(true);
    counts.leave('a');
    expect(counts.enter('a', 2)).toBe(true);
  });
});

describe('networks', () => {
  it.each([
    ['192.0.2.1', '192.0.2.2', ONE_CLIENT, false],
    ['2001:db8::1', '2001:db8::ffff', ONE_CLIENT, true],
    ['2001:db8:0:0:1::', '2001:db8::2', ONE_CLIENT, true],
    ['2001:db8:0:1::1', '2001:db8::1', ONE_CLIENT, false],
    ['fe80::1%eth0', 'fe80::2%eth0', ONE_CLIENT, true],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::', ONE_CLIENT, true],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201', { ipv4: 32, ipv6: 128 }, true],
    ['192.0.2.1', '192.0.2.254', { ipv4: 24, ipv6: 56 }, true],
    ['192.0.2.1', '192.0.3.1', { ipv4: 24, ipv6: 56 }, false],
    ['192.0.2.1', '192.0.3.1', { ipv4: 23, ipv6: 56 }, true],
    ['10.0.0.1', '11.0.0.1', { ipv4: 8, ipv6: 56 }, false],
    ['10.0.0.1', '11.0.0.1', { ipv4: 0, ipv6: 56 }, true],
    ['2001:db8:0:1ff::1', '2001:db8:0:100::1', { ipv4: 24, ipv6: 56 }, true],
    ['2001:db8:0:1ff::1', '2001:db8:0:200::1', { ipv4: 24, ipv6: 56 }, false],
    ['0.0.0.0', '::', { ipv4: 24, ipv6: 56 }, false],
  ])('%s and %s are one in %j: %s', (one, other, bits, same) => {
    expect(networkOf(one, bits) === networkOf(other, bits)).toBe(same);
  });

  it('an IPv4 client on an IPv6 socket keeps its name', () => {
    expect(plainAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(plainAddress('2001:db8::1')).toBe('2001:db8::1');
  });
});
