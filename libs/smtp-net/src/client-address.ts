/**
 * Client addresses: the one spelling used everywhere, and how many connections each client and each network has.
 */

/** `::ffff:192.0.2.1` is the IPv4 client it stands for. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** How many leading bits of an address make one network. */
export interface NetworkBits {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** One client: an IPv6 client is its /64, for whoever has one address there has all of them. */
export const ONE_CLIENT: NetworkBits = { ipv4: 32, ipv6: 64 };

/** The network an address is in, as a key; an address that cannot be read is a network of its own. */
export function networkOf(address: string, { ipv4, ipv6 }: NetworkBits): string {
  if (!address.includes(':')) {
    return ipv4 >= 32 ? address : masked(address.split('.').map(Number), { unitBits: 8, bits: ipv4 });
  }
  return masked(ipv6Groups(address), { unitBits: 16, bits: ipv6 });
}

/** Connections per key. */
export class Counts {
  readonly #counts = new Map<string, number>();

  /** Counts one more, unless `max` are there already. */
  enter(key: string, max: number): boolean {
    const count = this.#counts.get(key) ?? 0;
    if (count >= max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  leave(key: string): void {
    const count = this.#counts.get(key) ?? 0;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

function masked(units: readonly number[], { unitBits, bits }: { unitBits: number; bits: number }): string {
  const kept = units.flatMap((unit, at) => {
    const drop = Math.min(unitBits, Math.max(0, (at + 1) * unitBits - bits));
    return drop === unitBits ? [] : [((unit >> drop) << drop).toString(16)];
  });
  return `${kept.join(unitBits === 8 ? '.' : ':')}/${String(bits)}`;
}

/** The eight groups of an IPv6 address; a zone is dropped, a dotted tail is two groups. */
function ipv6Groups(address: string): readonly number[] {
  const plain = address
    .replace(/%.*$/, '')
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...octets: readonly string[]) => dottedGroups(octets));
  const [head = '', tail] = plain.split('::');
  const before = groupsOf(head);
  if (tail === undefined) return before;
  const after = groupsOf(tail);
  const zeros = Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0);
  return [...before, ...zeros, ...after];
}

function dottedGroups(octets: readonly string[]): string {
  const [a = 0, b = 0, c = 0, d = 0] = octets.slice(0, 4).map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function groupsOf(text: string): number[] {
  return text
    .split(':')
    .filter((group) => group !== '')
    .map((group) => Number.parseInt(group, 16));
}
