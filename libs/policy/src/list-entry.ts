/** Entries of managed lists as people type them: canonical form, and whether the list may have them. */
import type { CompiledPolicy } from './compiled.js';
import { parseEntry } from './sets/entries.js';
import { splitAddress } from './values/addresses.js';
import { parseNetwork, printNetwork } from './values/networks.js';
import type { Matcher } from './program.js';
import type { ListType } from './types.js';

export type ListEntryResult =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly message: string; readonly fix?: string };

/** Checks one entry against the list's type and its `within` bound. */
export function checkListEntry(policy: CompiledPolicy, list: string, raw: string): ListEntryResult {
  const slot = policy.program.lists.find((each) => each.name === list);
  if (slot === undefined) return { ok: false, message: `the policy has no list \`${list}\`` };
  if (slot.inline !== undefined || slot.type === 'regex') {
    return { ok: false, message: `list \`${list}\` is not managed, its entries are written in the policy` };
  }
  const entry = parseEntry(slot.type, raw);
  if (!entry.ok || slot.within === undefined) return entry;
  const bound = policy.program.lists.find((each) => each.name === slot.within);
  return bound?.inline !== undefined && isWithin(slot.type, entry.value, bound.inline)
    ? entry
    : { ok: false, message: `\`${entry.value}\` is outside of list \`${slot.within}\`, which bounds list \`${list}\`` };
}

/** Whether everything that the entry covers is covered by the bound. */
export function isWithin(type: string, entry: string, bound: Matcher): boolean {
  if (type === 'address') return bound.match(splitAddress(entry)?.domain ?? '', false) !== undefined;
  // `.a.b` is inside of `.a.b` and of `.b`: what covers a name below it that nobody lists covers all of it.
  if (type === 'domain')
    return bound.match(entry.startsWith('.') ? `x${entry}` : entry, false) !== undefined && !isPartial(entry, bound);
  return isNetworkWithin(entry, bound);
}

/** `x.a.b` may be listed itself, which covers not all of `.a.b`. */
function isPartial(entry: string, bound: Matcher): boolean {
  return entry.startsWith('.') && bound.match(`x${entry}`, false)?.startsWith('.') !== true;
}

function isNetworkWithin(entry: string, bound: Matcher): boolean {
  const inner = parseNetwork(entry);
  const covering = bound.match(entry.split('/')[0] ?? '', false);
  const outer = covering === undefined ? undefined : parseNetwork(covering);
  return (
    inner.ok &&
    outer?.ok === true &&
    outer.network.first <= inner.network.first &&
    inner.network.last <= outer.network.last
  );
}

/**
 * Entries, in canonical form, that would cover a value: an address, a domain, an IP address or a word, as people write it.
 * The narrowest first; a list covers the value when it has one of them. Undefined for what is no such value.
 */
export function coveringEntries(type: ListType, raw: string): readonly string[] | undefined {
  if (type === 'regex') return undefined;
  const entry = parseEntry(type, raw);
  if (!entry.ok) return undefined;
  const { value } = entry;
  if (type === 'address') {
    const domain = splitAddress(value)?.domain ?? '';
    return [...new Set([value, value.toLowerCase(), `*@${domain}`])];
  }
  if (type === 'domain') return [value, ...parentsOf(value)];
  return type === 'network' ? [value, ...networksAround(value)] : [value];
}

/** `.b.c` and `.c` of `a.b.c`. */
function parentsOf(domain: string): readonly string[] {
  const labels = domain.replace(/^\./u, '').split('.');
  return labels.slice(1).map((_label, index) => `.${labels.slice(index + 1).join('.')}`);
}

function networksAround(text: string): readonly string[] {
  const parsed = parseNetwork(text);
  if (!parsed.ok) return [];
  const { version, first, prefix } = parsed.network;
  const width = version === 4 ? 32 : 128;
  return Array.from({ length: prefix }, (_unused, index) => {
    const shorter = prefix - 1 - index;
    const free = BigInt(width - shorter);
    return printNetwork({ version, prefix: shorter, first: (first >> free) << free, last: -1n });
  });
}
