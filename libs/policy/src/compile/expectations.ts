/** `tests` and `invariants` → facts, members of lists and expectations. */
import type { Conditions, GivenValue } from '../conditions-schema.js';
import type { InvariantDocument, TestDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import { LIMIT_PREFIX } from '../limit-facts.js';
import { nearest } from '../nearest.js';
import type { CompiledInvariant, CompiledTest } from '../program.js';
import { parseEntry } from '../sets/entries.js';
import type { FactValue, Verdict } from '../types.js';
import { parseAddress } from '../values/addresses.js';
import { parseIp, printIp } from '../values/networks.js';
import { parseInstantMs, parseSizeBytes } from '../values/units.js';
import { factNamed, type FactDefinition } from '../vocabulary.js';
import { compileConditions } from './conditions.js';
import type { CompileContext } from './context.js';
import { checkUnique, oneOrMany } from './rules.js';
import { signatureName, type SigningSection } from './signing.js';
import { spellingOf } from './spelling.js';

/** Decisions that no rule of the document makes. */
export const BUILTINS = [
  'builtin/relay-denied',
  'builtin/sender-not-allowed',
  'builtin/no-such-recipient',
  'builtin/recipient-unverified',
  'builtin/bad-recipient',
  'builtin/bad-sender',
  'builtin/tls-required',
  'builtin/auth-required',
  'builtin/no-route',
  'builtin/other-class',
] as const;

export function compileTests(context: CompileContext): readonly CompiledTest[] {
  const tests = context.document.tests ?? [];
  checkUnique(
    context,
    tests.map((test) => test.name),
    (index) => joinPointer('/tests', index, 'name'),
  );
  const ids = ruleIds(context);
  return tests.map((test, index) => compileTest(context, test, joinPointer('/tests', index), ids));
}

function ruleIds(context: CompileContext): ReadonlySet<string> {
  const ids = new Set<string>(BUILTINS);
  for (const [phase, rules] of Object.entries(context.document.acl ?? {})) {
    for (const rule of rules ?? []) ids.add(`${phase}/${rule.name}`);
  }
  for (const rule of context.document.routing) ids.add(`routing/${rule.name}`);
  for (const name of context.names.client) ids.add(`clients/${name}`);
  for (const entry of context.document.rewriting ?? []) ids.add(`rewriting/${entry.name}`);
  for (const copy of context.document.copies ?? []) ids.add(`copies/${copy.name}`);
  for (const section of ['signing', 'sealing'] as const) {
    for (const entry of context.document[section] ?? []) ids.add(`${section}/${signatureName(entry)}`);
  }
  for (const name of context.names.limit) ids.add(`builtin/limit-${name}`);
  return ids;
}

function compileTest(
  context: CompileContext,
  test: TestDocument,
  pointer: string,
  ids: ReadonlySet<string>,
): CompiledTest {
  const facts: Record<string, FactValue> = {};
  for (const [name, value] of Object.entries(test.given)) {
    const fact = factNamed(name);
    if (fact === undefined || value === undefined) continue;
    if (name.startsWith(LIMIT_PREFIX)) {
      context.requireName('limit', name.slice(LIMIT_PREFIX.length), joinPointer(pointer, 'given', name));
    }
    const compiled = compileFact(context, fact, value, joinPointer(pointer, 'given', name));
    if (compiled !== undefined) facts[fact.name] = compiled;
  }
  const lists = compileGivenLists(context, test, pointer);
  return { name: test.name, facts, lists, expect: compileExpected(context, test.expect, pointer, ids), pointer };
}

function compileExpected(
  context: CompileContext,
  expect: TestDocument['expect'],
  pointer: string,
  ids: ReadonlySet<string>,
): CompiledTest['expect'] {
  const at = joinPointer(pointer, 'expect');
  const { verdict, by, route, client, code, queue } = expect;
  checkExpectedNames(context, expect, at, ids);
  const recipient = compileExpectedRecipient(context, expect.recipient, joinPointer(at, 'recipient'));
  return {
    verdict,
    ...(by === undefined ? {} : { by }),
    ...(route === undefined ? {} : { route }),
    ...(client === undefined ? {} : { client }),
    ...(code === undefined ? {} : { code }),
    ...(queue === undefined ? {} : { queue }),
    ...recipient,
    tags: oneOrMany(expect.tag),
    headers: Object.entries(expect.header ?? {}),
    added: oneOrMany(expect['added-recipient']),
    ...compileSigned(context, expect.signed, joinPointer(at, 'signed')),
    ...compileSealed(context, expect.sealed, joinPointer(at, 'sealed')),
  };
}

function checkExpectedNames(
  context: CompileContext,
  { by, route, client, queue }: TestDocument['expect'],
  at: string,
  ids: ReadonlySet<string>,
): void {
  if (by !== undefined && by !== '' && !ids.has(by) && context.complete) {
    const guess = nearest(by, ids);
    const hint = guess === undefined ? '' : `, did you mean \`${guess}\`?`;
    context.findings.blocks('D4', joinPointer(at, 'by'), `no rule has the id \`${by}\`${hint}`, guess);
  }
  if (queue !== undefined) context.requireName('review-queue', queue, joinPointer(at, 'queue'));
  if (route !== undefined) context.requireName('route', route, joinPointer(at, 'route'));
  if (client !== undefined && client !== 'none') context.requireName('client', client, joinPointer(at, 'client'));
}

function compileSigned(
  context: CompileContext,
  expected: string | string[] | undefined,
  pointer: string,
): { readonly signed?: readonly string[] } {
  if (expected === undefined) return {};
  const names = oneOrMany(expected).filter((name) => name !== 'none');
  for (const name of names) requireKey(context, 'signing', name, pointer);
  return { signed: names };
}

function compileSealed(
  context: CompileContext,
  expected: string | undefined,
  pointer: string,
): { readonly sealed?: string } {
  if (expected === undefined) return {};
  if (expected !== 'none') requireKey(context, 'sealing', expected, pointer);
  return { sealed: expected };
}

function requireKey(context: CompileContext, section: SigningSection, name: string, pointer: string): void {
  const known = new Set((context.document[section] ?? []).map(signatureName));
  if (known.has(name) || !context.complete) return;
  const guess = nearest(name, known);
  const hint = guess === undefined ? '' : `, did you mean \`${guess}\`?`;
  context.findings.blocks('D4', pointer, `no entry of \`${section}\` is \`${name}\`${hint}`, guess);
}

function compileExpectedRecipient(
  context: CompileContext,
  text: string | undefined,
  pointer: string,
): { readonly recipient?: string } {
  if (text === undefined) return {};
  const recipient = parseAddress(text);
  if (recipient.ok) return { recipient: recipient.address };
  context.findings.blocks('D3', pointer, recipient.message, recipient.fix);
  return {};
}

function compileGivenLists(
  context: CompileContext,
  test: TestDocument,
  pointer: string,
): Record<string, readonly string[]> {
  const given = (test.given['lists'] ?? {}) as Record<string, string[]>;
  const lists: Record<string, readonly string[]> = {};
  for (const [name, members] of Object.entries(given)) {
    const at = joinPointer(pointer, 'given', 'lists', name);
    if (!context.requireName('list', name, at)) continue;
    const slot = context.slots[context.slotByName.get(name) ?? -1];
    if (slot === undefined) continue;
    if (slot.inline !== undefined || slot.type === 'regex') {
      context.findings.blocks('D7', at, `list \`${name}\` is not managed, its members are its \`entries\``);
      continue;
    }
    const { type } = slot;
    lists[name] = members.flatMap((member, index) => {
      const entry = parseEntry(type, member);
      if (!entry.ok) context.findings.blocks('D3', joinPointer(at, index), entry.message, entry.fix);
      return entry.ok ? [entry.value] : [];
    });
  }
  return lists;
}

/** A value as the gateway would give it. Malformed senders and recipients pass: refusing them may be what is tested. */
function compileFact(
  context: CompileContext,
  fact: FactDefinition,
  value: GivenValue,
  pointer: string,
): FactValue | undefined {
  if (value === 'unknown') return { unknown: 'given as unknown' };
  if (Array.isArray(value)) {
    const each = value.map((one, index) => compileFact(context, fact, one, joinPointer(pointer, index)));
    const texts = each.filter((one) => typeof one === 'string');
    return texts.length > 0 ? texts : each.filter((one) => typeof one === 'number');
  }
  if (typeof value === 'object') return undefined;
  if (typeof value !== 'string') return value;
  if (fact.names === 'listener' && !context.requireName('listener', value, pointer)) return undefined;
  const parsed = parseGiven(fact, value);
  if (parsed === undefined) {
    context.findings.blocks(
      'D3',
      pointer,
      `\`${value}\` is no value of \`${fact.name}\`, expected ${expectedGiven(fact)}`,
    );
  }
  return parsed;
}

/** The value of a fact from text; undefined when it is none. */
export function parseGiven(fact: FactDefinition, value: string): FactValue | undefined {
  const spelling = spellingOf(fact);
  if (spelling !== undefined) return spelling.read(value);
  switch (fact.type) {
    case 'network': {
      const ip = parseIp(value);
      return ip === undefined ? undefined : printIp(ip);
    }
    case 'address': {
      const address = parseAddress(value, fact.name === 'auth.identities');
      return address.ok ? address.address : value;
    }
    case 'size':
      return parseSizeBytes(value);
    case 'time':
      return parseInstantMs(value) === undefined ? undefined : value;
    default:
      return value;
  }
}

function expectedGiven(fact: FactDefinition): string {
  const spelling = spellingOf(fact);
  if (spelling !== undefined) return spelling.expected;
  if (fact.type === 'network') return 'one IP address such as `203.0.113.9`';
  return fact.type === 'size' ? 'a size with its unit such as `20MB`' : 'a time such as `2026-11-30T22:15:00+01:00`';
}

export function compileInvariants(context: CompileContext): readonly CompiledInvariant[] {
  const invariants = context.document.invariants ?? [];
  checkUnique(
    context,
    invariants.map((invariant) => invariant.name),
    (index) => joinPointer('/invariants', index, 'name'),
  );
  return invariants.map((invariant, index) => compileInvariant(context, invariant, joinPointer('/invariants', index)));
}

function compileInvariant(context: CompileContext, invariant: InvariantDocument, pointer: string): CompiledInvariant {
  const at = joinPointer(pointer, 'never');
  const { verdict, route, ...conditions } = invariant.never as Conditions & {
    verdict?: Verdict;
    route?: string | string[] | { not: string | string[] };
  };
  const routes = route === undefined ? undefined : typeof route === 'object' && 'not' in route ? route.not : route;
  const names = routes === undefined ? [] : typeof routes === 'string' ? [routes] : routes;
  for (const name of names) context.requireName('route', name, joinPointer(at, 'route'));
  const negated = typeof route === 'object' && 'not' in route;
  return {
    name: invariant.name,
    conditions: Object.keys(conditions).length === 0 ? [] : compileConditions(context, conditions, at),
    ...(verdict === undefined ? {} : { verdict }),
    ...(routes === undefined ? {} : { routes: { negated, names: new Set(names) } }),
    pointer,
  };
}
