/** L1: entries that say what another one says already, or the opposite. L2: what nobody uses. */
import type { CompileContext } from '../compile/context.js';
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { ListSlot } from '../program.js';
import { parseEntry } from '../sets/entries.js';
import { tableOf } from '../sets/tables.js';
import { splitAddress } from '../values/addresses.js';
import { parseNetwork, printNetwork, type Network } from '../values/networks.js';

export function analyseLists(context: CompileContext, policy: CompiledPolicy, findings: Findings): void {
  for (const slot of policy.program.lists) {
    reportCovered(context, slot, findings);
    reportContradictions(policy, slot, findings);
  }
  if (!context.complete) return; // what uses it may be what was cut out
  const used = new Set(context.uses.map((use) => use.list));
  for (const slot of policy.program.lists) {
    if (slot.within !== undefined) used.add(slot.within);
  }
  for (const slot of policy.program.lists) {
    if (!used.has(slot.name)) findings.informs('L2', slot.pointer, `list \`${slot.name}\` is never used`);
  }
  reportUnusedRoutes(context, policy, findings);
}

function reportUnusedRoutes(context: CompileContext, policy: CompiledPolicy, findings: Findings): void {
  const named = [...context.document.routing, ...(context.document.copies ?? [])];
  const used = new Set(named.map((rule) => rule.route));
  for (const name of policy.routes.keys()) {
    if (!used.has(name)) findings.informs('L2', joinPointer('/routes', name), `route \`${name}\` is never used`);
  }
}

/** Where entries stand in the document, by their canonical form. */
function writtenAt(context: CompileContext, slot: ListSlot): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  const { type } = slot;
  if (type === 'regex') return places;
  for (const [index, text] of (context.document.lists?.[slot.name]?.entries ?? []).entries()) {
    const entry = parseEntry(type, text);
    if (entry.ok && !places.has(entry.value)) places.set(entry.value, joinPointer(slot.pointer, 'entries', index));
  }
  return places;
}

function reportCovered(context: CompileContext, slot: ListSlot, findings: Findings): void {
  const { type } = slot;
  if (slot.inline === undefined || type === 'regex' || type === 'word') return;
  const table = tableOf(type, slot.entries);
  const places = writtenAt(context, slot);
  const lengths = prefixLengths(type, slot.entries);
  for (const entry of slot.entries) {
    const wider = widerEntries(type, entry, lengths).find((candidate) => table.hasEntry(candidate));
    if (wider === undefined) continue;
    findings.warns('L1', places.get(entry) ?? slot.pointer, `\`${entry}\` is covered by \`${wider}\` in the same list`);
  }
}

/** Every entry that would cover all of this one. */
function widerEntries(
  type: 'address' | 'domain' | 'network',
  entry: string,
  lengths: readonly string[],
): readonly string[] {
  if (type === 'address') return entry.startsWith('*@') ? [] : [`*@${splitAddress(entry)?.domain ?? ''}`];
  if (type === 'network') return widerNetworks(entry, lengths);
  const suffixes: string[] = [];
  for (let dot = entry.indexOf('.', 1); dot > 0; dot = entry.indexOf('.', dot + 1)) suffixes.push(entry.slice(dot));
  return suffixes;
}

/** `4/24` for every prefix length that occurs: only those can cover anything. */
function prefixLengths(type: string, entries: readonly string[]): readonly string[] {
  if (type !== 'network') return [];
  const lengths = entries.flatMap((entry) => {
    const parsed = parseNetwork(entry);
    return parsed.ok ? [`${String(parsed.network.version)}/${String(parsed.network.prefix)}`] : [];
  });
  return [...new Set(lengths)];
}

function widerNetworks(entry: string, lengths: readonly string[]): readonly string[] {
  const parsed = parseNetwork(entry);
  if (!parsed.ok) return [];
  const { version, first, prefix } = parsed.network;
  return lengths.flatMap((text) => {
    const length = Number(text.slice(2));
    if (Number(text[0]) !== version || length >= prefix) return [];
    const free = BigInt((version === 4 ? 32 : 128) - length);
    const start = (first >> free) << free;
    const network: Network = { version, first: start, last: start + (1n << free) - 1n, prefix: length };
    return [printNetwork(network)];
  });
}

function reportContradictions(policy: CompiledPolicy, slot: ListSlot, findings: Findings): void {
  if (!slot.deny || slot.inline === undefined) return;
  for (const other of policy.program.lists) {
    if (other.deny || other.type !== slot.type || other.inline === undefined) continue;
    const allowed = new Set(other.entries);
    const both = slot.entries.find((entry) => allowed.has(entry));
    if (both !== undefined) {
      findings.warns(
        'L1',
        slot.pointer,
        `\`${both}\` is in list \`${slot.name}\` (use: deny) and in list \`${other.name}\``,
      );
    }
  }
}
