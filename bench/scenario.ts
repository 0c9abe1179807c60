/**
 * What both peers are told to do: 20 networks that may send, 100 sender rules that all have to be passed, 1000 valid
 * recipients in 50 domains, 3 next hops chosen by domain. Each peer writes it down in its own language.
 */
export interface NextHop {
  readonly route: string;
  readonly host: string;
  readonly port: number;
}

export interface Scenario {
  readonly networks: readonly string[];
  /** Sender domains that are refused. */
  readonly refusedSenders: readonly string[];
  /** Domains our senders use, none of them refused. */
  readonly senderDomains: readonly string[];
  readonly recipients: readonly string[];
  readonly domains: readonly string[];
  readonly nextHops: readonly NextHop[];
}

const NETWORKS = 20;
const SENDER_RULES = 100;
const DOMAINS = 50;
const RECIPIENTS_PER_DOMAIN = 20;

export function buildScenario(nextHops: readonly NextHop[]): Scenario {
  const domains = numbered(DOMAINS, (index) => `dest${index}.test`);
  return {
    networks: ['127.0.0.0/8', ...numbered(NETWORKS - 1, (index) => `10.${index}.0.0/16`)],
    refusedSenders: numbered(SENDER_RULES, (index) => `refused${index}.test`),
    senderDomains: numbered(10, (index) => `sender${index}.test`),
    domains,
    recipients: domains.flatMap((domain) => numbered(RECIPIENTS_PER_DOMAIN, (index) => `user${index}@${domain}`)),
    nextHops,
  };
}

/** Next hop of a domain, the same for every peer. */
export function nextHopOf(scenario: Scenario, domain: string): NextHop {
  const hop = scenario.nextHops[scenario.domains.indexOf(domain) % scenario.nextHops.length];
  if (hop === undefined) throw new Error(`no next hop for ${domain}`);
  return hop;
}

/** Domains by next hop, in the order of the next hops. */
export function domainsOf(scenario: Scenario, hop: NextHop): string[] {
  return scenario.domains.filter((domain) => nextHopOf(scenario, domain) === hop);
}

function numbered(count: number, name: (index: string) => string): string[] {
  return Array.from({ length: count }, (_, index) => name(String(index)));
}
