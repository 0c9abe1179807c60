/** Which facts a policy asks for, and when: the others need not be found out. */
import type { NeededFacts } from '../compiled.js';
import { countPhase } from './limits.js';
import type { Condition, Program } from '../program.js';

interface Conditional {
  readonly when: readonly Condition[];
  readonly unless: readonly Condition[];
}

function conditionsOf(rules: readonly Conditional[]): readonly Condition[] {
  return rules.flatMap(({ when, unless }) => [...when, ...unless]);
}

function factsOf(conditions: readonly Condition[]): readonly string[] {
  return conditions.map(({ fact }) => fact.name);
}

/** Conditions by the phase in which they are first asked. */
function byPhase({
  acl,
  clients,
  copies,
  routing,
  sealing,
  signing,
}: Program): Readonly<Record<'connect' | 'helo' | 'mail', readonly Condition[]>> {
  const { connect, helo, ...later } = acl;
  return {
    connect: conditionsOf(connect),
    helo: [...conditionsOf(helo), ...clients.flatMap((client) => client.match)],
    mail: conditionsOf([...Object.values(later).flat(), ...routing, ...copies, ...signing, ...sealing]),
  };
}

/** Facts that somebody asks for. */
export function usedFacts(program: Program): ReadonlySet<string> {
  return new Set([...factsOf(Object.values(byPhase(program)).flat()), ...keysOf(program, ['connect', 'mail', 'rcpt'])]);
}

/** Facts in keys of limits that are looked at in these phases. */
function keysOf({ limits }: Program, phases: readonly ReturnType<typeof countPhase>[]): readonly string[] {
  const all = [...(limits?.values() ?? [])].flat();
  return all.flatMap(({ count, key }) => (phases.includes(countPhase(count)) ? key : []));
}

export function neededFacts(program: Program, recorded: readonly string[]): NeededFacts {
  const conditions = byPhase(program);
  const zones = Object.values(conditions)
    .flat()
    .flatMap(({ fact, set }) => {
      if (fact.name !== 'dnsbl' || set.kind !== 'members') return [];
      return [...set.members.literalTexts, ...set.members.slots.flatMap((slot) => program.lists[slot]?.entries ?? [])];
    });
  return {
    connect: new Set([...factsOf(conditions.connect), ...keysOf(program, ['connect'])]),
    helo: new Set(factsOf(conditions.helo)),
    mail: new Set([...factsOf(conditions.mail), ...keysOf(program, ['mail', 'rcpt']), ...recorded]),
    dnsLists: [...new Set(zones)],
  };
}
