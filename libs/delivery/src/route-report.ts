/**
 * What mail of one route to one domain would meet now: names as the DNS answers them, hosts in their order, which of them
 * rest and why, and what is under way. For people: nothing is decided here, nothing is connected to.
 */
import { outcomeOf } from './attempt-outcome.js';
import type { Destination } from './destination.js';
import type { HostHealth } from './host-health.js';
import { findNextHops } from './next-hop.js';
import type { DnsAnswer, MxRecord, RelayEnvironment, Resolver, Target } from './ports.js';
import type { RouteDefinition } from './route.js';

export interface HostReport extends Target {
  /** Lower is preferred. */
  readonly priority: number;
  readonly weight: number;
  /** Open from this gateway. */
  readonly connections: number;
  /** `suspect`: it failed last time, its rest is over, one connection will probe it. */
  readonly health: 'ready' | 'resting' | 'suspect';
  readonly failures: number;
  readonly restsUntilMs?: number;
  /** What it failed with. */
  readonly lastReply?: string;
}

export interface RouteReport {
  readonly route: string;
  /** Policy revision that defines it. */
  readonly revision: number;
  readonly definition: RouteDefinition;
  /** Of the domain, where the route asks for it. */
  readonly mx?: DnsAnswer<MxRecord>;
  readonly hosts: readonly HostReport[];
  /** Why there is no host to ask. */
  readonly fault?: { readonly enhanced: string; readonly message: string };
  /** Transactions that wait or run at this gateway. */
  readonly jobs: number;
}

export interface ReportedRoute {
  readonly name: string;
  readonly revision: number;
  readonly definition: RouteDefinition;
  /** Lower case. */
  readonly domain: string;
}

export interface ReportUses {
  readonly environment: RelayEnvironment;
  readonly resolver: Resolver;
  readonly health: HostHealth;
  /** Absent while nothing goes there. */
  readonly destination: Destination | undefined;
}

export async function reportRoute(route: ReportedRoute, use: ReportUses): Promise<RouteReport> {
  const { name, revision, definition, domain } = route;
  const report = { route: name, revision, definition, hosts: [], jobs: use.destination?.jobs ?? 0 };
  if (definition.kind !== 'hosts' && definition.kind !== 'mx') return report;
  const isSelf = (host: string, address: string | undefined, port: number): boolean =>
    use.environment.isSelf(host, address, port);
  const mx = definition.kind === 'mx' ? { mx: await use.resolver.mx(domain) } : {};
  const hops = await findNextHops(definition, domain, { resolver: use.resolver, isSelf });
  if (!hops.ok) {
    const { enhanced, message } = hops.fault;
    return { ...report, ...mx, fault: { enhanced, message } };
  }
  const hosts = hops.targets.map(({ key, rank, weight, ...target }) => ({
    ...target,
    priority: rank,
    weight,
    connections: use.destination?.connectionsTo(key) ?? 0,
    ...healthOf(key, use),
  }));
  return { ...report, ...mx, hosts: hosts.toSorted((one, other) => one.priority - other.priority) };
}

function healthOf(
  key: string,
  { health, environment }: ReportUses,
): Pick<HostReport, 'health' | 'failures' | 'restsUntilMs' | 'lastReply'> {
  const state = health.stateOf(key);
  if (state === undefined) return { health: 'ready', failures: 0 };
  const { failures, restUntilMs, answer } = state;
  const lastReply = outcomeOf(answer).text;
  if (restUntilMs <= environment.clock.nowMs()) return { health: 'suspect', failures, lastReply };
  return { health: 'resting', failures, restsUntilMs: restUntilMs, lastReply };
}
