/**
 * Client addresses: the one spelling used everywhere, and how many connections each client has.
 */

/** `::ffff:192.0.2.1` is the IPv4 client it stands for. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** Connections per client. An IPv6 client is its /64: whoever has one address there has all of them. */
export class ClientCounts {
  readonly #counts = new Map<string, number>();

  /** Counts one more, unless `max` are there already. */
  enter(address: string, max: number): boolean {
    const key = keyOf(address);
    const count = this.#counts.get(key) ?? 0;
    if (count >= max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  leave(address: string): void {
    const key = keyOf(address);
    const count = this.#counts.get(key) ?? 0;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

function keyOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const before = head.split(':').filter((group) => group !== '');
  if (tail === undefined) return before.slice(0, 4).join(':');
  const after = tail.split(':').filter((group) => group !== '');
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}
