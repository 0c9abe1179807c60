/** `lists` → slots with canonical entries. */
import type { ListDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import { parseEntry } from '../sets/entries.js';
import { MAX_PATTERNS, patternFault, PatternSet } from '../sets/patterns.js';
import { tableOf } from '../sets/tables.js';
import type { ListSlot } from '../program.js';
import { RESERVED_NAMES } from '../vocabulary.js';
import type { CompileContext } from './context.js';

export function compileLists(context: CompileContext): void {
  for (const [name, list] of Object.entries(context.document.lists ?? {})) {
    const pointer = joinPointer('/lists', name);
    if (RESERVED_NAMES.includes(name)) {
      context.findings.blocks(
        'D5',
        pointer,
        `\`${name}\` has a meaning of its own, expected another name for the list`,
      );
    }
    context.slotByName.set(name, context.slots.length);
    context.slots.push(compileList(context, name, list, pointer));
  }
  for (const slot of context.slots) checkBound(context, slot);
}

function compileList(context: CompileContext, name: string, list: ListDocument, pointer: string): ListSlot {
  const managed = list.source === 'managed';
  const { findings } = context;
  if (managed && list.entries !== undefined) {
    findings.blocks(
      'D7',
      joinPointer(pointer, 'entries'),
      'a managed list has no `entries`, its members are kept by the admin API',
    );
  }
  if (!managed && list.entries === undefined) {
    findings.blocks('D2', pointer, `list \`${name}\` has no members, expected \`entries\` or \`source: managed\``);
  }
  if (!managed && list.within !== undefined) {
    findings.blocks('D7', joinPointer(pointer, 'within'), '`within` bounds managed lists only');
  }
  if (managed && list.type === 'regex') {
    findings.blocks(
      'D7',
      joinPointer(pointer, 'type'),
      'a list of type `regex` can not be managed, expected `entries`',
    );
  }
  const entries = managed ? [] : compileEntries(context, list, pointer);
  const bound = list.within === undefined ? undefined : Object.values(list.within)[0];
  const base = { name, type: list.type, entries, deny: list.use === 'deny', pointer };
  return {
    ...base,
    ...(bound === undefined ? {} : { within: bound }),
    ...(managed ? {} : { inline: list.type === 'regex' ? new PatternSet(entries) : tableOf(list.type, entries) }),
  };
}

function compileEntries(context: CompileContext, list: ListDocument, pointer: string): string[] {
  const canonical = new Map<string, number>();
  for (const [index, text] of (list.entries ?? []).entries()) {
    const at = joinPointer(pointer, 'entries', index);
    const value = compileEntry(context, list, text, at);
    if (value === undefined) continue;
    const first = canonical.get(value);
    if (first === undefined) {
      canonical.set(value, index);
    } else {
      context.findings.warns('L1', at, `\`${text}\` is in the list twice, first as entry ${String(first + 1)}`);
    }
  }
  if (list.type === 'regex' && canonical.size > MAX_PATTERNS) {
    context.findings.blocks(
      'D9',
      pointer,
      `${String(canonical.size)} patterns, expected at most ${String(MAX_PATTERNS)} in a list`,
    );
    return [];
  }
  return [...canonical.keys()];
}

function compileEntry(context: CompileContext, list: ListDocument, text: string, pointer: string): string | undefined {
  if (list.type === 'regex') {
    const fault = patternFault(text);
    if (fault === undefined) return text;
    context.findings.blocks('D3', pointer, fault);
    return undefined;
  }
  const entry = parseEntry(list.type, text);
  if (entry.ok) return entry.value;
  context.findings.blocks('D3', pointer, entry.message, entry.fix);
  return undefined;
}

/** `within` names an inline list whose entries can bound this one's. */
function checkBound(context: CompileContext, slot: ListSlot): void {
  if (slot.within === undefined) return;
  const kind = Object.keys(context.document.lists?.[slot.name]?.within ?? {})[0] ?? 'domain';
  const at = joinPointer(slot.pointer, 'within', kind);
  const fits = kind === 'network' ? slot.type === 'network' : slot.type === 'address' || slot.type === 'domain';
  if (!fits) {
    context.findings.blocks(
      'D7',
      joinPointer(slot.pointer, 'within'),
      `a list of type \`${slot.type}\` can not be bounded by \`${kind}\``,
    );
    return;
  }
  if (!context.requireName('list', slot.within, at)) return;
  const bound = context.slots[context.slotByName.get(slot.within) ?? -1];
  if (bound !== undefined && bound.inline === undefined) {
    context.findings.blocks('D7', at, `list \`${bound.name}\` is managed itself, expected a list with \`entries\``);
  } else if (bound !== undefined && bound.type !== kind) {
    context.findings.blocks(
      'D4',
      at,
      `list \`${bound.name}\` is of type \`${bound.type}\`, expected a list of type \`${kind}\``,
    );
  }
}
