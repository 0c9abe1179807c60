/** A point → the facts of one transaction, and lists that fit it: what the judge itself can be asked about. */
import type { CompiledPolicy } from '../compiled.js';
import type { Matcher } from '../program.js';
import { createSnapshot, type Snapshot } from '../snapshot.js';
import { decideTransaction } from '../transaction.js';
import type { Facts, FactValue, RecipientDecision } from '../types.js';
import { splitAddress } from '../values/addresses.js';
import { FACTS } from '../vocabulary.js';
import { textOf } from './dimension.js';
import type { Flow } from './flow.js';
import type { Aspect } from './groups.js';
import type { TransactionPoint } from './search.js';

export interface Example {
  readonly facts: Facts;
  readonly snapshot: Snapshot;
}

const BEFORE_ALL_MS = Date.parse('2026-06-15T12:00:00Z');

export function exampleOf(policy: CompiledPolicy, flow: Flow, point: TransactionPoint): Example {
  const facts: Record<string, FactValue> = { sender: 'somebody@elsewhere.invalid', recipients: 1 };
  for (const [name, { group, dimensions }] of flow.space.groups) {
    const { values } = group.raw.dimension;
    if (group.multiple) {
      const there = values.filter((_, cell) => point.get(dimensions[cell] ?? -1) === 1).map(String);
      if (there.length > 0) facts[name] = there;
      continue;
    }
    const value = values[point.get(dimensions[0] ?? -1) ?? 0];
    if (value !== undefined) facts[name] = value;
  }
  // Without content, no rule about it is asked.
  if (policy.program.acl.message.length > 0) facts['size'] ??= 1;
  addTime(facts, flow, point);
  addDemands(policy, flow, facts, point);
  const snapshot = { ...createSnapshot(policy), slots: slotsFor(policy, flow, point, facts) };
  return { facts: inOrder(facts), snapshot };
}

function addTime(facts: Record<string, FactValue>, flow: Flow, point: TransactionPoint): void {
  const passed = point.get(flow.epoch) ?? 0;
  const atMs = passed === 0 ? Math.min(BEFORE_ALL_MS, (flow.instants[0] ?? Infinity) - 1) : flow.instants[passed - 1];
  if (passed === 0 && !('time' in facts)) return;
  const clock = typeof facts['time'] === 'string' ? facts['time'].slice(10) : undefined;
  const date = new Date(atMs ?? BEFORE_ALL_MS).toISOString();
  facts['time'] = clock === undefined ? date : date.slice(0, 10) + clock;
}

/** What the listener demands and no rule asks about. */
function addDemands(
  policy: CompiledPolicy,
  flow: Flow,
  facts: Record<string, FactValue>,
  point: TransactionPoint,
): void {
  const listener = policy.program.listeners.get(textOf(facts['listener']));
  if (listener?.tlsRequired === true && !flow.space.groups.has('tls')) facts['tls'] = true;
  if (listener?.authRequired === true && !flow.space.groups.has('auth')) facts['auth'] = 'somebody';
  const own = flow.space.ownIdentityDimension;
  if (own !== undefined && point.get(own) === 1) facts['auth.identities'] = [textOf(facts['sender'])];
}

export function inOrder(facts: Readonly<Record<string, FactValue>>): Facts {
  const names = [...FACTS.map(({ name }) => name), ...Object.keys(facts)];
  return Object.fromEntries(names.flatMap((name) => (facts[name] === undefined ? [] : [[name, facts[name]]])));
}

/** Open lists as the point has them; the others as they are. */
function slotsFor(
  policy: CompiledPolicy,
  flow: Flow,
  point: TransactionPoint,
  facts: Facts,
): readonly (Matcher | undefined)[] {
  const members = new Map<number, Set<string>>();
  for (const [dimension, { slot, group, aspect }] of flow.space.memberships) {
    if (point.get(dimension) !== 1) continue;
    const value = partOf(flow, group, aspect, facts);
    if (value !== undefined) members.set(slot, (members.get(slot) ?? new Set()).add(value));
  }
  return policy.program.lists.map((list, slot): Matcher => {
    if (list.inline !== undefined && list.type !== 'regex') return list.inline;
    const values = members.get(slot) ?? new Set<string>();
    return { match: (value) => (values.has(value) ? value : undefined) };
  });
}

function partOf(flow: Flow, group: string, aspect: Aspect, facts: Facts): string | undefined {
  const value = facts[group];
  if (typeof value !== 'string') return undefined;
  if (group !== 'sender' && group !== 'recipient') return value;
  const address = group === 'recipient' && aspect !== 'original' ? flow.space.rewritten(value).address : value;
  const parts = splitAddress(address);
  if (aspect === 'domain') return parts?.domain;
  return aspect === 'local' ? parts?.local : address;
}

/** What the judge says to it. */
export function judgeExample({ facts, snapshot }: Example): RecipientDecision | undefined {
  const { recipient = '', recipients = 1, ...shared } = facts;
  return decideTransaction(snapshot, shared, [{ recipient, recipients }]).recipients[0];
}

export function printFacts(facts: Facts): string {
  return Object.entries(facts)
    .filter(([name]) => name !== 'recipients')
    .map(([name, value]) => `${name} ${printValue(value)}`)
    .join(', ');
}

function printValue(value: FactValue): string {
  if (typeof value === 'string') return value === '' ? '<>' : value;
  return typeof value === 'object' && 'unknown' in value ? 'unknown' : JSON.stringify(value);
}
