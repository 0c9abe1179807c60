/**
 * The parts of a document that people change one by one, and what changed between two documents in their terms.
 * A section is a list of entries with names, whose order counts, or a mapping, whose order does not.
 */
import { ACL_PHASES } from './vocabulary.js';

export interface PolicySection {
  /** As in the ids of rules: `rcpt`, `clients`, `routes`. */
  readonly name: string;
  /** Keys that lead to it. */
  readonly path: readonly string[];
  readonly kind: 'sequence' | 'mapping';
}

export interface SectionEntry {
  readonly name: string;
  readonly value: unknown;
  /** RFC 6901, into the document. */
  readonly pointer: string;
}

export interface PolicyChange {
  /** Empty for what belongs to no section. */
  readonly section: string;
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed' | 'moved';
  readonly before?: unknown;
  readonly after?: unknown;
}

const SEQUENCES = [
  'clients',
  'domains',
  'rewriting',
  'routing',
  'copies',
  'signing',
  'sealing',
  'limits',
  'tests',
  'invariants',
];
const MAPPINGS = ['listeners', 'lists', 'routes', 'tls', 'retry', 'notices', 'review-queues'];

export const POLICY_SECTIONS: readonly PolicySection[] = [
  ...ACL_PHASES.map((phase) => ({ name: phase, path: ['acl', phase], kind: 'sequence' as const })),
  ...SEQUENCES.map((name) => ({ name, path: [name], kind: 'sequence' as const })),
  ...MAPPINGS.map((name) => ({ name, path: [name], kind: 'mapping' as const })),
];

/** Throws RangeError for a name that is none of `POLICY_SECTIONS`. */
export function policySection(name: string): PolicySection {
  const section = POLICY_SECTIONS.find((each) => each.name === name);
  if (section === undefined) throw new RangeError(`a policy has no section \`${name}\``);
  return section;
}

/** Entries in the order of the document; none where the section is not there, or is no section at all. */
export function sectionEntries(document: unknown, section: PolicySection): readonly SectionEntry[] {
  const found = section.path.reduce<unknown>(
    (value, key) => (isMapping(value) ? own(value, key) : undefined),
    document,
  );
  const base = section.path.map((key) => `/${key}`).join('');
  if (section.kind === 'mapping') {
    if (!isMapping(found)) return [];
    return Object.entries(found).map(([name, value]) => ({ name, value, pointer: `${base}/${escaped(name)}` }));
  }
  if (!Array.isArray(found)) return [];
  return found.map((value: unknown, index) => ({ name: entryName(value), value, pointer: `${base}/${String(index)}` }));
}

/** Entries of `domains` have no name: they are called as the list they match; those of `signing` as their key in the DNS. */
export function entryName(value: unknown): string {
  if (!isMapping(value)) return '';
  const { name, match, domain, selector } = value;
  if (typeof name === 'string') return name;
  if (typeof domain === 'string' && typeof selector === 'string') return `${domain}/${selector}`;
  if (Array.isArray(match)) return match.map(String).join(',');
  return typeof match === 'string' ? match : '';
}

/** What makes `after` of `before`, section by section; none when both say the same. */
export function policyChanges(before: unknown, after: unknown): readonly PolicyChange[] {
  return [...POLICY_SECTIONS.flatMap((section) => changesOf(section, before, after)), ...looseChanges(before, after)];
}

function changesOf(section: PolicySection, before: unknown, after: unknown): readonly PolicyChange[] {
  const old = byName(sectionEntries(before, section));
  const now = byName(sectionEntries(after, section));
  const moved = section.kind === 'sequence' ? movedNames([...old.keys()], [...now.keys()]) : new Set<string>();
  const changes: PolicyChange[] = [];
  for (const [name, value] of old) {
    if (!now.has(name)) changes.push({ section: section.name, name, change: 'removed', before: value });
  }
  for (const [name, value] of now) {
    if (!old.has(name)) changes.push({ section: section.name, name, change: 'added', after: value });
    else if (!sameValue(old.get(name), value)) {
      changes.push({ section: section.name, name, change: 'changed', before: old.get(name), after: value });
    } else if (moved.has(name)) changes.push({ section: section.name, name, change: 'moved' });
  }
  return changes;
}

/** A name that stands twice (only a broken document has it) gets a number. */
function byName(entries: readonly SectionEntry[]): ReadonlyMap<string, unknown> {
  const map = new Map<string, unknown>();
  for (const { name, value, pointer } of entries) map.set(map.has(name) ? `${name} (${pointer})` : name, value);
  return map;
}

function looseChanges(before: unknown, after: unknown): readonly PolicyChange[] {
  const old = isMapping(before) ? before : {};
  const now = isMapping(after) ? after : {};
  const sections = new Set(POLICY_SECTIONS.map(({ path }) => path[0]));
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((name) => !sections.has(name));
  return names.flatMap((name): readonly PolicyChange[] => {
    const [was, is] = [own(old, name), own(now, name)];
    if (sameValue(was, is)) return [];
    const change = was === undefined ? 'added' : is === undefined ? 'removed' : 'changed';
    return [
      { section: '', name, change, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) },
    ];
  });
}

/** Of the names in both, the fewest that must move to bring the old order into the new one. */
function movedNames(old: readonly string[], now: readonly string[]): ReadonlySet<string> {
  const place = new Map(old.map((name, index) => [name, index]));
  const common = now.filter((name) => place.has(name));
  const staying = longestIncreasing(common.map((name) => place.get(name) ?? 0));
  return new Set(common.filter((_name, index) => !staying.has(index)));
}

/** Indexes of a longest increasing subsequence. */
function longestIncreasing(values: readonly number[]): ReadonlySet<number> {
  const tails: number[] = [];
  const previous: number[] = [];
  for (const [index, value] of values.entries()) {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((values[tails[middle] ?? 0] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    previous[index] = low === 0 ? -1 : (tails[low - 1] ?? -1);
    tails[low] = index;
  }
  const found = new Set<number>();
  for (let index = tails.at(-1) ?? -1; index >= 0; index = previous[index] ?? -1) found.add(index);
  return found;
}

/** Equal as JSON: the order of keys does not count. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, index) => sameValue(value, b[index]));
  }
  if (!isMapping(a) || !isMapping(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]))
  );
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(value: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function escaped(segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1');
}
