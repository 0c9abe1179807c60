import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { parseIp } from './networks.js';

/** As the library reads it; IPv4-mapped addresses are IPv4. */
function expected(text: string): string | undefined {
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const bits = ipaddr.IPv6.parse(text)
    .toByteArray()
    .reduce((all, byte) => (all << 8n) | BigInt(byte), 0n);
  return bits >> 32n === 0xffffn ? `4 ${String(bits & 0xffffffffn)}` : `6 ${String(bits)}`;
}

const nearly = fc
  .array(fc.constantFrom('0', '1', 'ab', 'FFFF', '12345', 'g', ':', ':', ':', ':', '::', '1.2.3.4', '%'), {
    maxLength: 18,
  })
  .map((parts) => parts.join(''));

test('IPv6 addresses, and what only looks like one, are read as the library reads them', () => {
  const read = (text: string): string | undefined => {
    const ip = parseIp(text);
    return ip === undefined ? undefined : `${String(ip.version)} ${String(ip.bits)}`;
  };
  const texts = fc.oneof(fc.ipV6(), nearly).filter((text) => text.includes(':'));
  fc.assert(
    fc.property(texts, (text) => {
      expect([text, read(text)]).toEqual([text, expected(text)]);
    }),
    { numRuns: 5_000 },
  );
  for (const text of [
    '::',
    '::1',
    '1::',
    ':',
    ':::',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1::2::3',
    ':1::',
    '1:2:3:4:5:6:7:8:',
    '1:2:3:4:5:6:7:8:9',
    '2001:db8::9',
    '::ffff:1.2.3.4',
    '1:',
    '::1:',
    ':1',
  ]) {
    expect([text, read(text)]).toEqual([text, expected(text)]);
  }
});
