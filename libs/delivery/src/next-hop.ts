/**
 * Which addresses a message is offered to, best first. RFC 5321 s5.1 (MX order, equals at random, fall-back to the
 * domain's own address, loops to ourselves), RFC 7505 (null MX), RFC 5321 s4.1.3 (address literals).
 *
 * DNS that answers "nobody knows" is a temporary fault, never "no such domain". Known gaps: no DANE, no MTA-STS.
 */
import type { AttemptFault } from './attempt-outcome.js';
import type { DnsAnswer, MxRecord, Resolver, Target } from './ports.js';
import type { SmtpRoute } from './route.js';

export interface RankedTarget extends Target {
  readonly key: string;
  /** Lower is preferred; equals share by weight. */
  readonly rank: number;
  readonly weight: number;
}

export type NextHops =
  | { readonly ok: true; readonly targets: readonly RankedTarget[] }
  | { readonly ok: false; readonly stage: 'dns' | 'policy'; readonly fault: AttemptFault };

export interface NextHopPorts {
  readonly resolver: Resolver;
  isSelf(host: string, address: string | undefined, port: number): boolean;
}

interface Candidate {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Hostile or mistaken zones may list hundreds; RFC 5321 s5.1 wants at least two tried. */
const MAX_HOSTS = 20;
const MAX_ADDRESSES_PER_HOST = 8;
const SMTP_PORT = 25;

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const LITERAL = /^\[(?:ipv6:)?([0-9a-f.:]+)\]$/i;

/** Targets of a route; `domain` is the recipient's (lower case), used by `mx` routes only. */
export async function findNextHops(route: SmtpRoute, domain: string, ports: NextHopPorts): Promise<NextHops> {
  const candidates =
    route.kind === 'hosts' ? fromHosts(route) : await fromDomain(domain, route.port ?? SMTP_PORT, ports);
  if (!candidates.ok) return candidates;
  return resolveCandidates(candidates.hosts, route, ports);
}

type Candidates = { readonly ok: true; readonly hosts: readonly Candidate[] } | (NextHops & { readonly ok: false });

function fromHosts(route: SmtpRoute & { kind: 'hosts' }): Candidates {
  if (route.hosts.length === 0) return noHops('policy', '4.3.5', 'route has no hosts');
  return { ok: true, hosts: route.hosts };
}

async function fromDomain(domain: string, port: number, ports: NextHopPorts): Promise<Candidates> {
  const literal = literalAddress(domain);
  if (literal !== undefined) return { ok: true, hosts: [{ host: literal, port, priority: 0, weight: 1 }] };
  return planMx(domain, await ports.resolver.mx(domain), (host) => ports.isSelf(host, undefined, port), port);
}

/** MX records → hosts in order of preference, those at or behind ourselves cut off. */
function planMx(
  domain: string,
  answer: DnsAnswer<MxRecord>,
  isSelf: (host: string) => boolean,
  port: number,
): Candidates {
  switch (answer.kind) {
    case 'failed':
      return noHops('dns', '4.4.3', `mail exchangers of ${domain} cannot be found out: ${answer.message}`);
    case 'no-domain':
      return noHops('dns', '5.1.2', `domain ${domain} does not exist`);
    case 'none':
      if (isSelf(domain)) return loop(domain);
      return { ok: true, hosts: [{ host: domain, port, priority: 0, weight: 1 }] };
    case 'found':
      return planRecords(domain, answer.values, isSelf, port);
  }
}

function planRecords(
  domain: string,
  records: readonly MxRecord[],
  isSelf: (host: string) => boolean,
  port: number,
): Candidates {
  const [only] = records;
  if (records.length === 1 && only?.exchange === '') {
    return noHops('dns', '5.1.10', `domain ${domain} accepts no mail (null MX)`);
  }
  const named = records.filter((record) => record.exchange !== '');
  const ownPriority = Math.min(...named.filter((record) => isSelf(record.exchange)).map((record) => record.priority));
  const usable = named.filter((record) => record.priority < ownPriority);
  if (usable.length === 0) {
    return Number.isFinite(ownPriority)
      ? loop(domain)
      : noHops('dns', '5.4.4', `domain ${domain} names no mail exchanger`);
  }
  const hosts = usable
    .toSorted((a, b) => a.priority - b.priority)
    .slice(0, MAX_HOSTS)
    .map((record) => ({ host: record.exchange, port, priority: record.priority, weight: 1 }));
  return { ok: true, hosts };
}

function loop(domain: string): NextHops & { ok: false } {
  return noHops('dns', '5.4.6', `mail for ${domain} loops back to this gateway`);
}

function noHops(stage: 'dns' | 'policy', enhanced: string, message: string): NextHops & { ok: false } {
  return { ok: false, stage, fault: { enhanced, message, progress: 'none' } };
}

async function resolveCandidates(
  hosts: readonly Candidate[],
  route: SmtpRoute,
  ports: NextHopPorts,
): Promise<NextHops> {
  const answers = await Promise.all(hosts.map(async ({ host }) => addressesOf(host, ports.resolver)));
  const targets: RankedTarget[] = [];
  let ownPriority = Number.POSITIVE_INFINITY;
  hosts.forEach((candidate, place) => {
    const answer = answers[place];
    if (answer?.kind !== 'found') return;
    const addresses = answer.values.slice(0, MAX_ADDRESSES_PER_HOST);
    // INVARIANT (no loop): an exchanger that resolves to ourselves cuts itself and everything less preferred off.
    if (addresses.some((address) => !isSocket(address) && ports.isSelf(candidate.host, address, candidate.port))) {
      ownPriority = Math.min(ownPriority, candidate.priority);
    }
    for (const address of addresses) targets.push(toTarget(candidate, address, addresses.length, route));
  });
  const usable = route.kind === 'mx' ? targets.filter((target) => target.rank < ownPriority) : targets;
  if (usable.length > 0) return { ok: true, targets: usable };
  const names = hosts.map(({ host }) => host).join(', ');
  if (targets.length > 0) return noHops('dns', '5.4.6', `mail for ${names} loops back to this gateway`);
  return withoutAddress(route, names, answers);
}

function withoutAddress(route: SmtpRoute, names: string, answers: readonly DnsAnswer<string>[]): NextHops {
  const failed = answers.find((answer) => answer.kind === 'failed');
  if (failed !== undefined)
    return noHops('dns', '4.4.3', `addresses of ${names} cannot be found out: ${failed.message}`);
  // A host that the policy names is the operator's mistake and may be mended; a domain's own answer is final.
  if (route.kind === 'hosts') return noHops('dns', '4.3.5', `${names}: no address is known for any host of the route`);
  return noHops('dns', '5.4.4', `${names}: no address is known for any mail exchanger`);
}

function toTarget(candidate: Candidate, address: string, addresses: number, route: SmtpRoute): RankedTarget {
  const { host, port, priority, weight } = candidate;
  const isV6 = address.includes(':');
  const localAddress = isSocket(address)
    ? undefined
    : route.localAddresses?.find((local) => local.includes(':') === isV6);
  return {
    host,
    address,
    port,
    key: `${host} ${address} ${port}${sessionKey(route)}`,
    rank: priority,
    weight: weight / addresses,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
}

/** What can make one host work for one route and fail for another: such routes do not share what is known of it. */
function sessionKey({ protocol, localAddresses, tls, auth }: SmtpRoute): string {
  if ((protocol ?? localAddresses ?? tls ?? auth) === undefined) return '';
  return ` ${JSON.stringify([protocol, localAddresses, tls, auth])}`;
}

async function addressesOf(host: string, resolver: Resolver): Promise<DnsAnswer<string>> {
  const isLiteral = isSocket(host) || IPV4.test(host) || host.includes(':');
  const literal = literalAddress(host) ?? (isLiteral ? host : undefined);
  return literal === undefined ? resolver.addresses(host) : { kind: 'found', values: [literal] };
}

/** A socket on this machine instead of a host. */
export function isSocket(host: string): boolean {
  return host.startsWith('/');
}

function literalAddress(host: string): string | undefined {
  return LITERAL.exec(host)?.[1];
}

/** One of the best-ranked targets, by weight; `excluded` ones are resting or were tried. */
export function pickTarget(
  targets: readonly RankedTarget[],
  excluded: (target: RankedTarget) => boolean,
  random: () => number,
): RankedTarget | undefined {
  const open = targets.filter((target) => !excluded(target));
  const rank = Math.min(...open.map((target) => target.rank));
  const equals = open.filter((target) => target.rank === rank);
  const total = equals.reduce((sum, target) => sum + target.weight, 0);
  if (total <= 0) return equals[Math.floor(random() * equals.length)];
  let place = random() * total;
  for (const target of equals) {
    place -= target.weight;
    if (place < 0) return target;
  }
  return equals.at(-1);
}
