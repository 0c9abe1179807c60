/**
 * The next hops of one destination, as last found out. They are asked for again when they are old or did not help; an old
 * plan serves until the new one is there, and names that nobody can answer for now do not undo an earlier answer.
 */
import { findNextHops } from './next-hop.js';
import type { NextHops, RankedTarget } from './next-hop.js';
import type { RelayEnvironment, Resolver } from './ports.js';
import type { SmtpRoute } from './route.js';

/** Names are asked for again after this long. */
const PLAN_MS = 60_000;

export interface HopPlanPorts {
  readonly environment: RelayEnvironment;
  readonly resolver: Resolver;
  /** There is a plan, or another one. */
  changed(): void;
}

export class HopPlan {
  readonly #key: string;
  readonly #definition: SmtpRoute;
  readonly #domain: string;
  readonly #ports: HopPlanPorts;
  #hops: NextHops | undefined;
  #foundAtMs = 0;
  #asking = false;

  constructor(of: { key: string; definition: SmtpRoute; domain: string }, ports: HopPlanPorts) {
    this.#key = of.key;
    this.#definition = of.definition;
    this.#domain = of.domain;
    this.#ports = ports;
  }

  /** The plan, or undefined while names are being asked for. */
  current(): NextHops | undefined {
    const stale = this.#ports.environment.clock.nowMs() - this.#foundAtMs >= PLAN_MS;
    if ((this.#hops === undefined || stale) && !this.#asking) void this.#ask();
    return this.#hops;
  }

  /** Best first; none while there is no plan. */
  get targets(): readonly RankedTarget[] {
    return this.#hops?.ok === true ? this.#hops.targets : [];
  }

  /** It did not help: whoever comes next asks again. */
  forget(): void {
    this.#hops = undefined;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const { environment, resolver } = this.#ports;
    try {
      const isSelf = (host: string, address: string | undefined, port: number): boolean =>
        environment.isSelf(host, address, port);
      this.#keep(await findNextHops(this.#definition, this.#domain, { resolver, isSelf }));
    } catch (error) {
      environment.warn(`next hops of ${this.#key} cannot be found out`, error);
      const fault = { enhanced: '4.3.0', message: 'next hops cannot be found out', progress: 'none' as const };
      this.#keep({ ok: false, stage: 'dns', fault });
    }
    this.#foundAtMs = environment.clock.nowMs();
    this.#asking = false;
    this.#ports.changed();
  }

  #keep(hops: NextHops): void {
    const isTemporary = !hops.ok && !hops.fault.enhanced.startsWith('5.');
    if (!isTemporary || this.#hops?.ok !== true) this.#hops = hops;
  }
}
