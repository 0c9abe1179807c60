/** What all destinations of a route share: its connections and its rate limits. Kept while the numbers stay the same. */
import { ConnectionBudget } from './connection-budget.js';
import { FlowMeter } from './flow-meter.js';
import type { SmtpRoute } from './route.js';

export interface DestinationLimits {
  readonly budget: ConnectionBudget;
  readonly flows: readonly FlowMeter[];
}

interface Shared {
  readonly numbers: string;
  readonly budget: ConnectionBudget;
  readonly flow: FlowMeter;
}

export class RouteLimits {
  readonly #budget: ConnectionBudget;
  readonly #gateways: () => number;
  readonly #shared = new Map<string, Shared>();

  /** `gateways`: how many share the rates. */
  constructor(budget: ConnectionBudget, gateways: () => number) {
    this.#budget = budget;
    this.#gateways = gateways;
  }

  /** For a new destination of the route. */
  of(routeName: string, { flow, together }: SmtpRoute): DestinationLimits {
    const flows = flow === undefined ? [] : [new FlowMeter(flow, this.#gateways)];
    if (together === undefined) return { budget: this.#budget, flows };
    const numbers = JSON.stringify(together);
    let shared = this.#shared.get(routeName);
    if (shared?.numbers !== numbers) {
      const { maxConnections } = together;
      const budget = maxConnections === undefined ? this.#budget : new ConnectionBudget(maxConnections, this.#budget);
      shared = { numbers, budget, flow: new FlowMeter(together, this.#gateways) };
      this.#shared.set(routeName, shared);
    }
    return { budget: shared.budget, flows: [...flows, shared.flow] };
  }
}
