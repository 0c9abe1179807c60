/** IP addresses as bytes: 4 of them or 16. IPv4-mapped IPv6 addresses are IPv4. */
import ipaddr from 'ipaddr.js';

const QUAD = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;
const SIX = /^[0-9a-fA-F:.]{2,45}$/;

export type IpBytes = readonly number[];

export function parseIpv4(text: string): IpBytes | undefined {
  return QUAD.test(text) ? text.split('.').map(Number) : undefined;
}

export function parseIpv6(text: string): IpBytes | undefined {
  return SIX.test(text) && text.includes(':') && ipaddr.IPv6.isValid(text)
    ? ipaddr.IPv6.parse(text).toByteArray()
    : undefined;
}

/** Of a client. */
export function parseIp(text: string): IpBytes | undefined {
  const four = parseIpv4(text);
  if (four !== undefined) return four;
  const six = parseIpv6(text);
  if (six === undefined) return undefined;
  const mapped = six.slice(0, 10).every((byte) => byte === 0) && six[10] === 255 && six[11] === 255;
  return mapped ? six.slice(12) : six;
}

/** Whether the first `bits` of both are the same; false for addresses of different families. */
export function samePrefix(one: IpBytes, two: IpBytes, bits: number): boolean {
  if (one.length !== two.length) return false;
  const whole = bits >> 3;
  for (let index = 0; index < whole; index += 1) if (one[index] !== two[index]) return false;
  const rest = bits & 7;
  if (rest === 0) return true;
  const mask = 256 - (1 << (8 - rest));
  return ((one[whole] ?? 0) & mask) === ((two[whole] ?? 0) & mask);
}

/** `203.0.113.9` → `203.0.113.9`; IPv6 as nibbles with dots between them. RFC 7208 s7.3, macro `i`. */
export function dotted(address: IpBytes): string {
  if (address.length === 4) return address.join('.');
  return address.flatMap((byte) => [(byte >> 4).toString(16), (byte & 15).toString(16)]).join('.');
}

/** Name under which an address has its PTR records. */
export function reverseName(address: IpBytes): string {
  const zone = address.length === 4 ? 'in-addr.arpa' : 'ip6.arpa';
  return `${dotted(address).split('.').toReversed().join('.')}.${zone}`;
}
