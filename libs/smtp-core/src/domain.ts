/**
 * Domains and address literals as they stand in paths and EHLO: text in, one canonical value out.
 * RFC 5321 s4.1.2 (Domain), s4.1.3 (address literals); RFC 5890, UTS-46 (non-transitional, strict) for A-labels.
 *
 * A domain leaves here as lower-case A-labels, a literal as `[192.0.2.1]` or `[IPv6:2001:db8::1]` in the form of
 * RFC 5952, so that two spellings of one place compare equal everywhere behind the parser.
 *
 * Known gaps: literals with a tag other than `IPv6` are refused; no other tag has ever been registered.
 */
import { toASCII } from 'tr46';

/** Longest domain, in octets of its A-label form. RFC 5321 s4.5.3.1.2. */
const MAX_DOMAIN_OCTETS = 255;

const LDH_DOMAIN =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const HAS_A_LABEL = /(?:^|\.)xn--/i;
const ASCII_ONLY = /^[\x20-\x7e]*$/;

const STRICT_UTS46 = {
  checkBidi: true,
  checkHyphens: true,
  checkJoiners: true,
  transitionalProcessing: false,
  useSTD3ASCIIRules: true,
  verifyDNSLength: true,
} as const;

/** Lower-case A-labels, or undefined when `text` is not a domain. Never throws. */
export function parseDomain(text: string): string | undefined {
  if (text.length > MAX_DOMAIN_OCTETS) return undefined;
  if (ASCII_ONLY.test(text) && !HAS_A_LABEL.test(text)) return LDH_DOMAIN.test(text) ? text.toLowerCase() : undefined;
  // UTS-46 maps fullwidth and ideographic dots to `.`; the separator must be the ASCII one the peer could not miss.
  if (/[\u3002\uff0e\uff61]/.test(text)) return undefined;
  const ascii = toASCII(text, STRICT_UTS46);
  return ascii !== null && LDH_DOMAIN.test(ascii) ? ascii : undefined;
}

/** Canonical `[…]`, or undefined when `text` (brackets included) is not an address literal. */
export function parseAddressLiteral(text: string): string | undefined {
  if (!text.startsWith('[') || !text.endsWith(']')) return undefined;
  const inner = text.slice(1, -1);
  if (/^ipv6:/i.test(inner)) {
    const groups = parseIpv6(inner.slice(5));
    return groups === undefined ? undefined : `[IPv6:${printIpv6(groups)}]`;
  }
  const octets = parseIpv4(inner);
  return octets === undefined ? undefined : `[${octets.join('.')}]`;
}

/** The literal of a socket's address: zone dropped, `::ffff:192.0.2.1` shown as IPv4. Undefined when it is neither. */
export function literalOfAddress(address: string): string | undefined {
  const bare = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  return parseAddressLiteral(bare.includes(':') ? `[IPv6:${bare}]` : `[${bare}]`);
}

function parseIpv4(text: string): readonly number[] | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return undefined;
  const octets = text.split('.').map(Number);
  return octets.every((octet) => octet <= 255) ? octets : undefined;
}

function parseGroups(text: string): readonly number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const last = parts.at(-1) ?? '';
  const tail = last.includes('.') ? parseIpv4(last) : [];
  if (tail === undefined) return undefined;
  const hex = tail.length > 0 ? parts.slice(0, -1) : parts;
  if (!hex.every((part) => /^[0-9A-Fa-f]{1,4}$/.test(part))) return undefined;
  const groups = hex.map((part) => Number.parseInt(part, 16));
  const [a = 0, b = 0, c = 0, d = 0] = tail;
  return tail.length > 0 ? [...groups, a * 256 + b, c * 256 + d] : groups;
}

/** Eight groups. `::` stands for at least two groups of zeros: RFC 5321 s4.1.3. */
function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves;
  if (tail === undefined) {
    const groups = parseGroups(text);
    return groups?.length === 8 ? groups : undefined;
  }
  if (head?.includes('.')) return undefined;
  const before = parseGroups(head ?? '');
  const after = parseGroups(tail);
  if (before === undefined || after === undefined || before.length + after.length > 6) return undefined;
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** RFC 5952: lower-case hex, the first longest run of two or more zero groups as `::`. */
function printIpv6(groups: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.start < 0) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}
