/** `tests` and `invariants` → facts, members of lists and expectations. */
import type { Conditions, GivenValue } from '../conditions-schema.js';
import type { InvariantDocument, TestDocument } from '../document.js';
import { joinPointer } from '../findings.js';
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
import { checkUnique } from './rules.js';

/** Decisions that no rule of the document makes. */
export const BUILTINS = [
  'builtin/relay-denied',
  'builtin/sender-not-allowed',
  'builtin/no-such-recipient',
  'builtin/recipient-unverified',
  'builtin/bad-recipient',
  'builtin/bad-sender',
  'builtin/no-route',
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
    const compiled = compileFact(context, fact, value, joinPointer(pointer, 'given', name));
    if (compiled !== undefined) facts[name] = compiled;
  }
  const { expect } = test;
  const at = joinPointer(pointer, 'expect');
  if (expect.by !== undefined && expect.by !== '' && !ids.has(expect.by) && context.complete) {
    const guess = nearest(expect.by, ids);
    context.findings.blocks(
      'D4',
      joinPointer(at, 'by'),
      `no rule has the id \`${expect.by}\`${guess === undefined ? '' : `, did you mean \`${guess}\`?`}`,
      guess,
    );
  }
  if (expect.route !== undefined) context.requireName('route', expect.route, joinPointer(at, 'route'));
  if (expect.client !== undefined && expect.client !== 'none')
    context.requireName('client', expect.client, joinPointer(at, 'client'));
  const recipient = expect.recipient === undefined ? undefined : parseAddress(expect.recipient);
  if (recipient?.ok === false)
    context.findings.blocks('D3', joinPointer(at, 'recipient'), recipient.message, recipient.fix);
  return {
    name: test.name,
    facts,
    lists: compileGivenLists(context, test, pointer),
    expect: {
      verdict: expect.verdict,
      ...(expect.by === undefined ? {} : { by: expect.by }),
      ...(expect.route === undefined ? {} : { route: expect.route }),
      ...(expect.client === undefined ? {} : { client: expect.client }),
      ...(recipient?.ok === true ? { recipient: recipient.address } : {}),
      ...(expect.code === undefined ? {} : { code: expect.code }),
      tags: expect.tag === undefined ? [] : typeof expect.tag === 'string' ? [expect.tag] : expect.tag,
    },
    pointer,
  };
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
  if (typeof value === 'object') return undefined;
  if (typeof value !== 'string') return value;
  const wrong = (message: string): undefined => {
    context.findings.blocks('D3', pointer, message);
    return undefined;
  };
  switch (fact.type) {
    case 'network': {
      const ip = parseIp(value);
      return ip === undefined
        ? wrong(`\`${value}\` is not an IP address, expected one address such as \`203.0.113.9\``)
        : printIp(ip);
    }
    case 'address': {
      const address = parseAddress(value);
      return address.ok ? address.address : value;
    }
    case 'size': {
      const bytes = parseSizeBytes(value);
      return bytes ?? wrong(`\`${value}\` is not a size, expected a number with its unit such as \`20MB\``);
    }
    case 'time':
      return parseInstantMs(value) === undefined
        ? wrong(`\`${value}\` is not a time, expected such as \`2026-11-30T22:15:00+01:00\``)
        : value;
    case 'name':
      return fact.names === 'listener' && !context.requireName('listener', value, pointer) ? undefined : value;
    case 'domain':
    case 'word':
    case 'enum':
    case 'number':
    case 'boolean':
      return value;
  }
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
    conditions: compileConditions(context, conditions as Conditions, at),
    ...(verdict === undefined ? {} : { verdict }),
    ...(routes === undefined ? {} : { routes: { negated, names: new Set(names) } }),
    pointer,
  };
}
