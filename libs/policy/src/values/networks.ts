/**
 * IP addresses and networks as numbers. IPv4-mapped IPv6 addresses are IPv4 addresses when they are facts, and an
 * error when they are written in a document.
 */
import ipaddr from 'ipaddr.js';

export type IpAddress = { readonly version: 4; readonly bits: number } | { readonly version: 6; readonly bits: bigint };
export interface Network {
  readonly version: 4 | 6;
  /** First and last address, both inclusive, as numbers of the family. */
  readonly first: bigint;
  readonly last: bigint;
  readonly prefix: number;
}

const MAPPED_PREFIX = 0xffffn;

/** Strict dotted decimal: four numbers, no leading zeros (`010` is octal to some readers, so to us it is nothing). */
export function parseIpv4(text: string): number | undefined {
  let bits = 0;
  let octet = -1;
  let dots = 0;
  let leadingZero = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (octet < 0 || dots === 3) return undefined;
      bits = bits * 256 + octet;
      octet = -1;
      dots += 1;
    } else {
      const digit = code - 48;
      if (digit < 0 || digit > 9 || (octet === 0 && leadingZero)) return undefined;
      leadingZero = octet < 0 && digit === 0;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return undefined;
    }
  }
  return dots === 3 && octet >= 0 ? bits * 256 + octet : undefined;
}

const groups = new DataView(new ArrayBuffer(16));

/** Eight groups of hexadecimal digits, or fewer and one `::`. Undefined for whatever else there is. */
function parseGroups(text: string): bigint | undefined {
  const gap = text.indexOf('::');
  groups.setBigUint64(0, 0n);
  groups.setBigUint64(8, 0n);
  if (gap < 0) {
    if (readGroups(text, 0, text.length) !== 8) return undefined;
  } else {
    // The tail first: where it belongs is known when it was counted.
    const after = gap + 2 === text.length ? 0 : readGroups(text, gap + 2, text.length);
    if (after < 0 || after > 7) return undefined;
    const tail = after === 0 ? 0n : wholeOf() >> BigInt(16 * (8 - after));
    groups.setBigUint64(0, 0n);
    groups.setBigUint64(8, 0n);
    const before = gap === 0 ? 0 : readGroups(text, 0, gap);
    return before < 0 || before + after > 7 ? undefined : wholeOf() | tail;
  }
  return wholeOf();
}

function wholeOf(): bigint {
  return (groups.getBigUint64(0) << 64n) | groups.getBigUint64(8);
}

const COLON = 58;

/** Puts groups with one colon between them into `groups`; how many they are, -1 for anything else. */
function readGroups(text: string, from: number, to: number): number {
  let count = 0;
  let digits = 0;
  let value = 0;
  for (let i = from; i <= to; i += 1) {
    const code = i < to ? text.charCodeAt(i) : COLON;
    if (code !== COLON) {
      const digit = hexDigit(code);
      if (digit < 0 || digits === 4) return -1;
      value = value * 16 + digit;
      digits += 1;
      continue;
    }
    if (digits === 0 || count === 8) return -1;
    groups.setUint16(2 * count, value);
    count += 1;
    digits = 0;
    value = 0;
  }
  return count;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function parseIpv6(text: string): bigint | undefined {
  const plain = parseGroups(text);
  if (plain !== undefined) return plain;
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  let bits = 0n;
  for (const byte of ipaddr.IPv6.parse(text).toByteArray()) bits = (bits << 8n) | BigInt(byte);
  return bits;
}

/** An address as it comes from a socket or a test. Undefined when it is none. */
export function parseIp(text: string): IpAddress | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return { version: 4, bits: v4 };
  if (!text.includes(':')) return undefined;
  const v6 = parseIpv6(text);
  if (v6 === undefined) return undefined;
  return v6 >> 32n === MAPPED_PREFIX ? { version: 4, bits: Number(v6 & 0xffffffffn) } : { version: 6, bits: v6 };
}

export type NetworkResult =
  | { readonly ok: true; readonly network: Network }
  | { readonly ok: false; readonly message: string; readonly fix?: string };

function range(version: 4 | 6, bits: bigint, prefix: number): Network {
  const free = BigInt((version === 4 ? 32 : 128) - prefix);
  const first = (bits >> free) << free;
  return { version, first, last: first + (1n << free) - 1n, prefix };
}

/** A network as a person writes it: `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export function parseNetwork(text: string): NetworkResult {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const v4 = parseIpv4(address);
  const bits = v4 === undefined ? parseIpv6(address) : BigInt(v4);
  if (bits === undefined) {
    return {
      ok: false,
      message: `\`${text}\` is not a network, expected an address such as \`192.0.2.7\` or \`192.0.2.0/24\``,
    };
  }
  const version = v4 === undefined ? 6 : 4;
  if (version === 6 && bits >> 32n === MAPPED_PREFIX) {
    const inner = printIp({ version: 4, bits: Number(bits & 0xffffffffn) });
    return {
      ok: false,
      message: `\`${text}\` is an IPv4-mapped address, expected the IPv4 address itself`,
      fix: inner,
    };
  }
  const width = version === 4 ? 32 : 128;
  const suffix = slash < 0 ? String(width) : text.slice(slash + 1);
  const prefix = /^\d{1,3}$/.test(suffix) ? Number(suffix) : width + 1;
  if (prefix > width) {
    return {
      ok: false,
      message: `\`${text}\` has no valid prefix length, expected 0 to ${String(width)} after the slash`,
    };
  }
  const network = range(version, bits, prefix);
  if (network.first !== bits) {
    const fix = printNetwork(network);
    return {
      ok: false,
      message: `\`${text}\` has host bits set, expected the first address of the network, \`${fix}\``,
      fix,
    };
  }
  return { ok: true, network };
}

export function printIp(ip: IpAddress): string {
  if (ip.version === 4) {
    const n = ip.bits;
    return `${String(n >>> 24)}.${String((n >>> 16) & 255)}.${String((n >>> 8) & 255)}.${String(n & 255)}`;
  }
  const bytes: number[] = [];
  for (let shift = 120n; shift >= 0n; shift -= 8n) bytes.push(Number((ip.bits >> shift) & 255n));
  return new ipaddr.IPv6(bytes).toRFC5952String();
}

export function addressAt(version: 4 | 6, bits: bigint): string {
  return printIp(version === 4 ? { version, bits: Number(bits) } : { version, bits });
}

/** Canonical text; one address is written without a prefix length. */
export function printNetwork(network: Network): string {
  const address = addressAt(network.version, network.first);
  return network.first === network.last ? address : `${address}/${String(network.prefix)}`;
}

function inside(network: Network, outer: string): boolean {
  const parsed = parseNetwork(outer);
  return (
    parsed.ok &&
    parsed.network.version === network.version &&
    network.last >= parsed.network.first &&
    network.first <= parsed.network.last
  );
}

/**
 * Addresses that say nothing about who is there: private, loopback, link-local, shared (carrier) address space, and
 * their IPv6 kin. A container gateway or a proxy makes the whole world arrive from one of these.
 */
const LOCAL_NETWORKS = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '100.64.0.0/10',
  '0.0.0.0/8',
  '::1',
  '::',
  'fc00::/7',
  'fe80::/10',
] as const;

/** Whether any part of the network is local address space. */
export function touchesLocalSpace(network: Network): boolean {
  return LOCAL_NETWORKS.some((outer) => inside(network, outer));
}

/** Whether all of the network is inside one piece of local address space. */
export function isLocalSpace(network: Network): boolean {
  return LOCAL_NETWORKS.some((outer) => {
    const parsed = parseNetwork(outer);
    return (
      parsed.ok &&
      parsed.network.version === network.version &&
      network.first >= parsed.network.first &&
      network.last <= parsed.network.last
    );
  });
}
