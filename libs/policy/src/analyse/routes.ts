/** T1: routes that lead back to ourselves by address and port. */
import type { CompiledPolicy } from '../compiled.js';
import { joinPointer, type Findings } from '../findings.js';
import type { ListenerDefinition, RouteHost } from '../types.js';
import { isLocalSpace, parseNetwork } from '../values/networks.js';

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const parsed = parseNetwork(host);
  return parsed.ok && isLocalSpace(parsed.network) && (host.startsWith('127.') || host === '::1');
}

function isWildcard(address: string): boolean {
  return address === '::' || address === '0.0.0.0';
}

/** A wildcard bind includes loopback; `localhost` is loopback. */
function reaches(host: RouteHost, listener: ListenerDefinition): boolean {
  if (listener.port !== host.port) return false;
  return listener.addresses.some((address) => {
    if (address === host.host) return true;
    return isLoopback(host.host) ? isWildcard(address) || (host.host === 'localhost' && isLoopback(address)) : false;
  });
}

export function analyseRoutes(policy: CompiledPolicy, findings: Findings): void {
  for (const route of policy.routes.values()) {
    if (route.kind !== 'hosts') continue;
    for (const [index, host] of route.hosts.entries()) {
      const own = policy.listeners.find((listener) => reaches(host, listener));
      if (own === undefined) continue;
      const at = joinPointer('/routes', route.name, 'hosts', index);
      findings.blocks(
        'T1',
        at,
        `\`${host.host}\` port ${String(host.port)} is our own listener \`${own.name}\`, mail would come back for ever`,
      );
    }
  }
}
