/** Which of a destination's hosts may be asked now: those that do not rest, best rank first, equals by weight. */
import type { HostHealth } from './host-health.js';
import { pickTarget } from './next-hop.js';
import type { RankedTarget } from './next-hop.js';
import type { RelayEnvironment } from './ports.js';

export class HostChoice {
  readonly #health: HostHealth;
  readonly #environment: RelayEnvironment;

  constructor(health: HostHealth, environment: RelayEnvironment) {
    this.#health = health;
    this.#environment = environment;
  }

  rests(target: RankedTarget): boolean {
    return this.#health.isResting(target.key, this.#environment.clock.nowMs());
  }

  allRest(targets: readonly RankedTarget[]): boolean {
    return targets.every((target) => this.rests(target));
  }

  /** Rank of the best host that may be asked now; one host alone is always good enough. */
  bestRank(targets: readonly RankedTarget[]): number {
    if (targets.length === 1) return Number.POSITIVE_INFINITY;
    let best = Number.POSITIVE_INFINITY;
    for (const target of targets) if (target.rank < best && !this.rests(target)) best = target.rank;
    return best;
  }

  pick(targets: readonly RankedTarget[], tried?: ReadonlySet<string>): RankedTarget | undefined {
    const excluded = (target: RankedTarget): boolean => tried?.has(target.key) === true || this.rests(target);
    return pickTarget(targets, excluded, () => this.#environment.random());
  }
}
