/** Values written after a fact or in a grant: names of lists, and literals. */
import { joinPointer } from '../findings.js';
import type { Grant, Members } from '../program.js';
import { parseEntry, type PlainListType } from '../sets/entries.js';
import { tableOf } from '../sets/tables.js';
import type { ListType } from '../types.js';
import type { CompileContext } from './context.js';
import type { Spelling } from './spelling.js';

/** List names can not contain these, literals of networks, domains and addresses do: the two can't be confused. */
const LITERAL_MARK = /[.@/:]/;

export interface MemberRules {
  /** Types of lists that may be named. */
  readonly lists: readonly ListType[];
  /** Type of literals. */
  readonly literal: PlainListType;
  /** Set when the values give rights; says what right. */
  readonly grant?: string;
  /** Every value is a literal (words in brackets). */
  readonly literalsOnly?: boolean;
  readonly spelling?: Spelling;
}

function isListName(text: string): boolean {
  return !LITERAL_MARK.test(text);
}

/** A list by name, checked for existence and type, with its use noted. */
export function useList(
  context: CompileContext,
  name: string,
  pointer: string,
  rules: MemberRules,
): number | undefined {
  if (!context.names.list.has(name)) {
    const fix = `[${name}]`;
    if (rules.literal === 'word') {
      context.findings.blocks(
        'D4',
        pointer,
        `unknown list \`${name}\`, expected \`${fix}\` where the word itself is meant`,
        fix,
      );
    } else {
      context.unknownName('list', name, pointer);
    }
    return undefined;
  }
  const slot = context.slotByName.get(name);
  const list = context.slots[slot ?? -1];
  if (slot === undefined || list === undefined) return undefined;
  if (!rules.lists.includes(list.type)) {
    const types = rules.lists.map((type) => `\`${type}\``).join(' or ');
    context.findings.blocks(
      'D4',
      pointer,
      `list \`${name}\` is of type \`${list.type}\`, expected a list of type ${types}`,
    );
    return undefined;
  }
  context.uses.push({ list: name, pointer, ...(rules.grant === undefined ? {} : { grant: rules.grant }) });
  return slot;
}

/** Pointers of the single values of `values` (one value, or a list of them). */
export function eachValue<T>(
  values: T | readonly T[],
  pointer: string,
): readonly { readonly value: T; readonly pointer: string }[] {
  return Array.isArray(values)
    ? (values as readonly T[]).map((value, index) => ({ value, pointer: joinPointer(pointer, index) }))
    : [{ value: values as T, pointer }];
}

function neverAValue(context: CompileContext, what: string, pointer: string, spelling: Spelling | undefined): void {
  context.findings.blocks('D3', pointer, `${what} is never a value here, expected ${spelling?.expected ?? ''}`);
}

/** Every entry must be spelt as values of the fact are: another one would never match. */
function checkSpelling(context: CompileContext, slot: number, pointer: string, spelling: Spelling): void {
  const list = context.slots[slot];
  if (list === undefined) return;
  if (list.inline === undefined && spelling.writtenOnly) {
    context.findings.blocks('D7', pointer, `list \`${list.name}\` is managed, expected ${spelling.expected}`);
  }
  const odd = list.entries.find((entry) => spelling.read(entry) !== entry);
  if (odd !== undefined) neverAValue(context, `\`${odd}\` of list \`${list.name}\``, pointer, spelling);
}

export function compileMembers(
  context: CompileContext,
  values: string | readonly string[],
  pointer: string,
  rules: MemberRules,
): Members {
  const slots: number[] = [];
  const literals: string[] = [];
  for (const { value, pointer: at } of eachValue<string>(values, pointer)) {
    if (rules.literalsOnly !== true && (rules.literal === 'word' || isListName(value))) {
      const slot = useList(context, value, at, rules);
      if (slot === undefined) continue;
      slots.push(slot);
      if (rules.spelling !== undefined) checkSpelling(context, slot, at, rules.spelling);
      continue;
    }
    const spelt = rules.spelling === undefined ? value : rules.spelling.read(value);
    const entry = parseEntry(rules.literal, spelt ?? value);
    if (entry.ok && spelt === undefined) neverAValue(context, `\`${value}\``, at, rules.spelling);
    else if (entry.ok) literals.push(entry.value);
    else context.findings.blocks('D3', at, entry.message, entry.fix);
  }
  const literalTexts = [...new Set(literals)];
  return literalTexts.length === 0
    ? { slots, literalTexts }
    : { slots, literalTexts, literals: tableOf(rules.literal, literalTexts) };
}

const OWN_IDENTITIES = 'own-identities';

/** Values that may be domains or addresses, lists or literals; with `identities` also `own-identities`. */
export function compileGrant(
  context: CompileContext,
  values: string | readonly string[],
  pointer: string,
  { right: grant, identities = false }: { readonly right: string; readonly identities?: boolean },
): Grant {
  const domains: string[] = [];
  const addresses: string[] = [];
  const split = { domains: [] as number[], addresses: [] as number[] };
  let ownIdentities = false;
  for (const { value, pointer: at } of eachValue<string>(values, pointer)) {
    if (value === OWN_IDENTITIES && identities) {
      ownIdentities = true;
      continue;
    }
    if (isListName(value)) {
      const slot = useList(context, value, at, { lists: ['domain', 'address'], literal: 'domain', grant });
      if (slot !== undefined) split[context.slots[slot]?.type === 'address' ? 'addresses' : 'domains'].push(slot);
      continue;
    }
    const type = value.includes('@') ? 'address' : 'domain';
    const entry = parseEntry(type, value);
    if (!entry.ok) context.findings.blocks('D3', at, entry.message, entry.fix);
    else (type === 'address' ? addresses : domains).push(entry.value);
  }
  return {
    ownIdentities,
    domains: {
      slots: split.domains,
      literalTexts: domains,
      ...(domains.length === 0 ? {} : { literals: tableOf('domain', domains) }),
    },
    addresses: {
      slots: split.addresses,
      literalTexts: addresses,
      ...(addresses.length === 0 ? {} : { literals: tableOf('address', addresses) }),
    },
  };
}
