/** Numbers with units, and networks, for the naive evaluator: written for the values of the tests. */
const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** `above`, `at-least`, `below`, `at-most`, with units or without. */
export function isWithin(range: Readonly<Record<string, unknown>>, value: number): boolean {
  return Object.entries(range).every(([word, bound]) => {
    const match = /^(\d+)([A-Za-z]+)$/.exec(String(bound));
    const limit = match === null ? Number(bound) : Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN);
    if (word === 'above') return value > limit;
    if (word === 'below') return value < limit;
    return word === 'at-least' ? value >= limit : value <= limit;
  });
}

/** Networks of the tests only: dotted quads, and IPv6 with one `::`. */
export function isInNetwork(network: string, address: string): boolean {
  const [first = '', length] = network.split('/');
  const [a, b] = [bitsOf(first), bitsOf(address)];
  return a.length === b.length && a.startsWith(b.slice(0, length === undefined ? a.length : Number(length)));
}

function bitsOf(address: string): string {
  if (!address.includes(':')) {
    return address
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  }
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): string[] => text.split(':').filter(Boolean);
  const zeros = new Array<string>(8 - groups(head).length - groups(tail).length).fill('0');
  return [...groups(head), ...zeros, ...groups(tail)]
    .map((part) => parseInt(part, 16).toString(2).padStart(16, '0'))
    .join('');
}
