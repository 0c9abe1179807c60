/** Asks the counts on behalf of the answers: which limits are exceeded, as facts for the policy to judge by. */
import {
  LIMIT_SLOW_MS,
  LIMIT_STAGES,
  limitKeys,
  type Decision,
  type Facts,
  type LimitCount,
  type LimitKey,
  type LimitStage,
  type Snapshot,
} from '#policy';
import type { LimitCounts } from './limit-counts.js';

/** Who is counted: everything known of the command, and what was decided of it so far. */
export interface Counted {
  readonly snapshot: Snapshot;
  readonly facts: Facts;
  readonly decision: Decision;
}

/** Octets; one of everything else. */
export type Amounts = Readonly<Partial<Record<LimitCount, number>>>;

export interface LimitAnswer {
  /** `limit.NAME: exceeded` and its count, of those that are exceeded; empty when none is. */
  readonly facts: Facts;
  readonly exceeded: boolean;
  /** How long the answer waits, when it is an accept. */
  readonly delayMs: number;
  /** Counts it. For what is let in only: what is refused uses nothing up. */
  readonly charge: () => void;
}

/** A decision with what limits say. */
export interface Limited<D extends Decision> {
  readonly decision: D;
  readonly exceeded: boolean;
  /** What limits added to the facts; to be recorded. */
  readonly facts: Facts;
  readonly delayMs: number;
  /** Counts it, once it is let in for good. */
  readonly charge: () => void;
}

export interface ToJudge<D extends Decision> {
  readonly snapshot: Snapshot;
  readonly facts: Facts;
  readonly judge: (facts: Facts) => D;
  readonly amounts?: Amounts;
}

/** Of these, other events are counted than those that ask. */
const LOOKED_AT_ONLY: ReadonlySet<LimitCount> = new Set(['rejects', 'auth-failures']);

export class LimitGate {
  constructor(
    private readonly counts: LimitCounts,
    private readonly nowMs: () => number,
  ) {}

  /** Judges; what is accepted is judged again where a limit is exceeded. */
  judge<D extends Decision>(stage: LimitStage, { snapshot, facts, judge, amounts }: ToJudge<D>): Limited<D> {
    const decision = judge(facts);
    const without = { decision, exceeded: false, facts: NO_FACTS, delayMs: 0, charge: nothing };
    if (decision.verdict !== 'accept' || snapshot.policy.limitProfiles.length === 0) return without;
    const answer = this.ask(stage, { snapshot, facts, decision }, amounts);
    if (answer === undefined) return without;
    const { delayMs, charge } = answer;
    if (!answer.exceeded) return { ...without, charge };
    return { decision: judge({ ...facts, ...answer.facts }), exceeded: true, facts: answer.facts, delayMs, charge };
  }

  /** Undefined where no limit applies: nothing is to be done then. */
  ask(stage: LimitStage, counted: Counted, amounts: Amounts = {}): LimitAnswer | undefined {
    const keys = keysOf(LIMIT_STAGES[stage], counted);
    if (keys.length === 0) return undefined;
    const facts: Record<string, Facts[string]> = {};
    let delayMs = 0;
    for (const one of keys) {
      const { name, count, max, onExceed } = one.limit;
      const total = this.counts.total(one, this.nowMs());
      if (total + (LOOKED_AT_ONLY.has(count) ? 1 : (amounts[count] ?? 1)) <= max) continue;
      facts[`limit.${name}`] = 'exceeded';
      facts[`limit.${name}.count`] = total;
      if (onExceed === 'slow') delayMs += LIMIT_SLOW_MS;
    }
    const charge = (): void => {
      for (const one of keys) if (!LOOKED_AT_ONLY.has(one.limit.count)) this.#add(one, amounts[one.limit.count] ?? 1);
    };
    return { facts, exceeded: Object.keys(facts).length > 0, delayMs, charge };
  }

  /** Something happened that is counted whatever was said to it. */
  count(what: LimitCount, counted: Counted, amount = 1): void {
    for (const one of keysOf([what], counted)) this.#add(one, amount);
  }

  /** A refusal for good, unless a limit made it: whoever is limited would stay so for ever. */
  refused({ verdict, by }: Pick<Decision, 'verdict' | 'by'>, counted: Counted): void {
    if (verdict === 'reject' && !by.startsWith('builtin/limit-')) this.count('rejects', counted);
  }

  #add(one: LimitKey, amount: number): void {
    if (amount > 0) this.counts.add(one, amount, this.nowMs());
  }
}

const NO_FACTS: Facts = {};
const nothing = (): void => undefined;

function keysOf(counts: readonly LimitCount[], { snapshot, facts, decision }: Counted): readonly LimitKey[] {
  return snapshot.policy.limitProfiles.length === 0 ? [] : limitKeys(snapshot, counts, facts, decision);
}
