import { describe, expect, it } from '@jest/globals';
import { ClientCounts, plainAddress } from './client-address.js';

describe('connections per client', () => {
  it('lets in up to the cap, and again when one left', () => {
    const counts = new ClientCounts();
    expect([counts.enter('192.0.2.1', 2), counts.enter('192.0.2.1', 2), counts.enter('192.0.2.1', 2)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(counts.enter('192.0.2.2', 2)).toBe(true);
    counts.leave('192.0.2.1');
    expect(counts.enter('192.0.2.1', 2)).toBe(true);
  });

  it.each([
    ['2001:db8::1', '2001:db8::ffff', true],
    ['2001:db8:0:0:1::', '2001:db8::2', true],
    ['2001:db8:0:1::1', '2001:db8::1', false],
    ['fe80::1%eth0', 'fe80::2%eth0', true],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::', true],
  ])('%s and %s are one client: %s', (one, other, same) => {
    const counts = new ClientCounts();
    counts.enter(one, 1);
    expect(counts.enter(other, 1)).toBe(!same);
  });

  it('an IPv4 client on an IPv6 socket keeps its name', () => {
    expect(plainAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(plainAddress('2001:db8::1')).toBe('2001:db8::1');
  });
});
