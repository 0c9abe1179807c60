/**
 * Which clients may have somebody in common: ten thousand clients are fifty million pairs, of which nearly all differ in
 * an account or a network at sight. What is left over is looked at exactly (relate.ts).
 *
 * Two clients have nobody in common when they differ in one fact; so each is looked up by the one of its facts that
 * leaves the fewest: those that name the same value of it, and those that say nothing of it.
 */
import type { CompiledPolicy } from '../compiled.js';
import type { Client, Condition } from '../program.js';
import { parseNetwork, type Network } from '../values/networks.js';
import { textsOfMembers } from './fact-points.js';

/** A client that names more values than this is taken to say nothing: to look each up would cost more. */
const MOST_VALUES = 1_000;

/** Clients by a value of one fact. Positions are those in `clients`. */
class FactIndex {
  private readonly words = new Map<string, number[]>();
  private readonly networks: { readonly network: Network; readonly position: number }[] = [];
  /** Those that say nothing of the fact. */
  readonly free: number[] = [];
  private isSorted = true;

  add(position: number, values: readonly string[] | undefined, isNetwork: boolean): void {
    if (values === undefined) {
      this.free.push(position);
      return;
    }
    for (const value of values) {
      const parsed = isNetwork ? parseNetwork(value) : undefined;
      if (parsed?.ok === true) {
        this.networks.push({ network: parsed.network, position });
        this.isSorted = false;
      } else if (parsed === undefined) {
        const key = value.toLowerCase();
        const known = this.words.get(key);
        if (known === undefined) this.words.set(key, [position]);
        else known.push(position);
      }
    }
  }

  matching(values: readonly string[], isNetwork: boolean): ReadonlySet<number> {
    if (!isNetwork) return new Set(values.flatMap((value) => this.words.get(value.toLowerCase()) ?? []));
    const found = new Set<number>();
    for (const value of values) {
      const parsed = parseNetwork(value);
      if (parsed.ok) this.meeting(parsed.network, found);
    }
    return found;
  }

  /** Networks nest or are apart: those that meet one begin in it, or contain its first address. */
  private meeting(network: Network, found: Set<number>): void {
    this.sort();
    for (let at = this.firstFrom(network, network.first); at < this.networks.length; at += 1) {
      const each = this.networks[at];
      if (each?.network.version !== network.version || each.network.first > network.last) break;
      found.add(each.position);
    }
    const width = network.version === 4 ? 32 : 128;
    for (let prefix = network.prefix - 1; prefix >= 0; prefix -= 1) {
      const free = BigInt(width - prefix);
      const first = (network.first >> free) << free;
      for (let at = this.firstFrom(network, first); at < this.networks.length; at += 1) {
        const each = this.networks[at];
        if (each?.network.version !== network.version || each.network.first !== first) break;
        if (each.network.prefix === prefix) found.add(each.position);
      }
    }
  }

  private sort(): void {
    if (this.isSorted) return;
    this.networks.sort(
      ({ network: a }, { network: b }) =>
        a.version - b.version || (a.first < b.first ? -1 : a.first > b.first ? 1 : b.prefix - a.prefix),
    );
    this.isSorted = true;
  }

  /** Position of the first network of the family that begins there or later. */
  private firstFrom({ version }: Network, first: bigint): number {
    let low = 0;
    for (let high = this.networks.length; low < high;) {
      const middle = (low + high) >>> 1;
      const each = this.networks[middle]?.network;
      const isBefore =
        each !== undefined && (each.version < version || (each.version === version && each.first < first));
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Facts by which clients are told apart at sight. */
const TELLING = ['auth', 'cert.fingerprint', 'cert.name', 'ip'] as const;
type Telling = (typeof TELLING)[number];

interface Seen {
  readonly values: ReadonlyMap<Telling, readonly string[]>;
  /** Listeners where it can be met; undefined = all. */
  readonly listeners: ReadonlySet<string> | undefined;
}

export class Neighbours {
  private readonly seen: readonly Seen[];
  private readonly indexes: ReadonlyMap<Telling, FactIndex>;

  constructor(private readonly policy: CompiledPolicy) {
    this.seen = policy.program.clients.map((client) => this.look(client));
    this.indexes = new Map(
      TELLING.map((fact) => {
        const index = new FactIndex();
        for (const [position, { values }] of this.seen.entries()) index.add(position, values.get(fact), fact === 'ip');
        return [fact, index];
      }),
    );
  }

  /** Positions of earlier clients that may have somebody in common with this one, in their order. */
  before(position: number): readonly number[] {
    const own = this.seen[position];
    if (own === undefined) return [];
    let fewest: readonly number[] | undefined;
    for (const [fact, values] of own.values) {
      const index = this.indexes.get(fact);
      if (index === undefined) continue;
      const found = [...index.matching(values, fact === 'ip'), ...index.free];
      if (fewest === undefined || found.length < fewest.length) fewest = found;
    }
    const candidates = fewest ?? Array.from({ length: position }, (_, index) => index);
    return candidates.filter((each) => each < position && shareListener(own, this.seen[each])).sort((a, b) => a - b);
  }

  private look({ match }: Client): Seen {
    const values = new Map<Telling, readonly string[]>();
    for (const fact of TELLING) {
      const texts = this.textsOf(match.find((condition) => condition.fact.name === fact));
      if (texts !== undefined && texts.length <= MOST_VALUES) values.set(fact, texts);
    }
    const on = match.find(({ fact }) => fact.name === 'listener');
    return { values, listeners: on?.set.kind === 'words' && !on.negated && !on.none ? on.set.words : undefined };
  }

  /** Every value with which the condition can hold; undefined when they can not be told. */
  private textsOf(condition: Condition | undefined): readonly string[] | undefined {
    if (condition?.set.kind !== 'members' || condition.negated || condition.none) return undefined;
    const { members } = condition.set;
    const isOpenEnded = members.slots.some((slot) => {
      const list = this.policy.program.lists[slot];
      return list === undefined || list.type === 'regex' || (list.inline === undefined && list.within === undefined);
    });
    return isOpenEnded ? undefined : textsOfMembers(this.policy, members);
  }
}

function shareListener(a: Seen, b: Seen | undefined): boolean {
  if (a.listeners === undefined || b?.listeners === undefined) return true;
  const { listeners } = b;
  return [...a.listeners].some((name) => listeners.has(name));
}
