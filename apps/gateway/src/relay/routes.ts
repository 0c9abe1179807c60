/** Translates the policy's routes into those of relay: two libraries that do not know each other. */
import { isAbsolute, join } from 'node:path';
import type { RouteDefinition } from '#delivery';
import type { RouteDefinition as PolicyRoute } from '#policy';

/** `mailDir` is where relative directories of file routes lie: `<data directory>/mail`. */
function relayRoute(route: PolicyRoute, mailDir: string): RouteDefinition {
  const { firstMs, factor, longestMs, giveUpMs } = route.retry;
  const nextHostOn = route.kind !== 'file' && route.nextHostOn !== undefined ? { nextHostOn: route.nextHostOn } : {};
  const common = { retry: { firstMs, factor, longestMs, giveUpMs }, maxConnections: route.limits.connections };
  switch (route.kind) {
    case 'hosts':
      return { ...common, ...nextHostOn, kind: 'hosts', hosts: route.hosts };
    case 'mx':
      return { ...common, ...nextHostOn, kind: 'mx' };
    case 'file':
      return {
        ...common,
        kind: 'file',
        format: route.format,
        directory: isAbsolute(route.directory) ? route.directory : join(mailDir, route.directory),
      };
  }
}

/** Every route of a policy, by name. */
export function relayRoutes(
  routes: ReadonlyMap<string, PolicyRoute>,
  mailDir: string,
): ReadonlyMap<string, RouteDefinition> {
  return new Map(Array.from(routes, ([name, route]) => [name, relayRoute(route, mailDir)]));
}
