/**
 * R1: who may name the clients of a listener, by PROXY or XCLIENT, may be any client. So they must be few, known, and
 * nobody that is a client itself.
 */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { Client, Members } from '../program.js';
import { parseNetwork, type Network } from '../values/networks.js';
import { textsOfMembers } from './fact-points.js';

const NARROWEST = { 4: 24, 6: 64 } as const;
const KEYS = { 'proxy-protocol': 'proxies', xclient: 'xclients' } as const;

export function analyseSpokesmen(policy: CompiledPolicy, findings: Findings): void {
  for (const { name, proxyProtocol, xclient } of policy.listeners) {
    if (proxyProtocol) analyseFrom(policy, name, 'proxy-protocol', findings);
    if (xclient) analyseFrom(policy, name, 'xclient', findings);
  }
}

function analyseFrom(policy: CompiledPolicy, listener: string, key: keyof typeof KEYS, findings: Findings): void {
  const members = policy.program.listeners.get(listener)?.[KEYS[key]];
  const pointer = joinPointer('/listeners', listener, key);
  if (members === undefined) {
    const message = `\`${key}\` of listener \`${listener}\` without \`from\` lets anybody say who he is, expected \`from\` with the addresses of those who may`;
    findings.blocks('R1', pointer, message);
    return;
  }
  const networks = networksOf(policy, members);
  const at = joinPointer(pointer, 'from');
  const wide = networks.find(({ version, prefix }) => prefix < NARROWEST[version]);
  if (wide !== undefined) {
    const message = `\`${key}\` of listener \`${listener}\` believes a whole /${String(wide.prefix)}, expected at most a /24 (IPv4) or a /64 (IPv6)`;
    findings.blocks('R1', at, message);
  }
  if (key === 'proxy-protocol') clientsAmong(policy, listener, networks, findings);
}

/** A balancer arrives with its own address where it names nobody: that must not be a client's. */
function clientsAmong(
  policy: CompiledPolicy,
  listener: string,
  balancers: readonly Network[],
  findings: Findings,
): void {
  const at = joinPointer('/listeners', listener, 'proxy-protocol', 'from');
  for (const client of policy.program.clients) {
    for (const network of clientNetworks(policy, client, listener)) {
      const met = balancers.find((balancer) => meets(balancer, network));
      if (met === undefined) continue;
      if (network.first >= met.first && network.last <= met.last) {
        findings.blocks(
          'R1',
          at,
          `client \`${client.name}\` is among the balancers of listener \`${listener}\`, every connection would be that client's, expected the addresses of balancers alone`,
        );
      } else {
        findings.warns(
          'R1',
          at,
          `balancers of listener \`${listener}\` lie in a network of client \`${client.name}\`; with an address of their own they are nobody`,
        );
      }
      break;
    }
  }
}

function clientNetworks(policy: CompiledPolicy, client: Client, listener: string): readonly Network[] {
  const on = client.match.find(({ fact }) => fact.name === 'listener');
  if (on?.set.kind === 'words' && on.set.words.has(listener) === on.negated) return [];
  const ip = client.match.find(({ fact, negated }) => fact.name === 'ip' && !negated);
  return ip?.set.kind === 'members' ? networksOf(policy, ip.set.members) : [];
}

function networksOf(policy: CompiledPolicy, members: Members): readonly Network[] {
  return textsOfMembers(policy, members).flatMap((text) => {
    const parsed = parseNetwork(text);
    return parsed.ok ? [parsed.network] : [];
  });
}

function meets(a: Network, b: Network): boolean {
  return a.version === b.version && a.first <= b.last && b.first <= a.last;
}
