/** Translates the policy's routes into those of relay: two libraries that do not know each other. */
import { isAbsolute, join } from 'node:path';
import type { RetryProfile, RouteAuth, RouteDefinition, RouteTls, SmtpRoute } from '#delivery';
import type { RouteDefinition as PolicyRoute } from '#policy';

type PolicySmtpRoute = Extract<PolicyRoute, { kind: 'hosts' | 'mx' }>;

/** `mailDir` is where relative directories of file routes lie: `<data directory>/mail`. */
function relayRoute(route: PolicyRoute, mailDir: string): RouteDefinition {
  const common = { retry: relayRetry(route.retry), maxConnections: route.limits.connections };
  switch (route.kind) {
    case 'hosts':
      return { ...common, ...relaySession(route), kind: 'hosts', hosts: route.hosts };
    case 'mx':
      return { ...common, ...relaySession(route), kind: 'mx' };
    case 'file': {
      const { directory, format } = route;
      return {
        ...common,
        kind: 'file',
        format,
        directory: isAbsolute(directory) ? directory : join(mailDir, directory),
      };
    }
    case 'blackhole':
      return { ...common, kind: 'blackhole' };
  }
}

function relayRetry({ firstMs, factor, longestMs, giveUpMs, delayNoticeMs }: PolicyRoute['retry']): RetryProfile {
  return { firstMs, factor, longestMs, giveUpMs, ...(delayNoticeMs === undefined ? {} : { delayNoticeMs }) };
}

function relaySession(
  route: PolicySmtpRoute,
): Pick<SmtpRoute, 'protocol' | 'nextHostOn' | 'localAddresses' | 'tls' | 'auth' | 'flow' | 'together'> {
  const { nextHostOn, source, protocol } = route;
  const tls = route.tls === undefined ? undefined : relayTls(route.tls);
  return {
    ...(protocol === 'lmtp' ? { protocol } : {}),
    ...(nextHostOn === undefined ? {} : { nextHostOn }),
    ...(source === undefined ? {} : { localAddresses: source }),
    ...(tls === undefined ? {} : { tls }),
    ...(route.auth === undefined ? {} : { auth: relayAuth(route.auth) }),
    ...relayFlow(route.limits),
  };
}

function relayFlow({ messages, recipients, together }: PolicyRoute['limits']): Pick<SmtpRoute, 'flow' | 'together'> {
  const flow = { ...(messages === undefined ? {} : { messages }), ...(recipients === undefined ? {} : { recipients }) };
  const { connections, ...rates } = together ?? {};
  const shared = { ...rates, ...(connections === undefined ? {} : { maxConnections: connections }) };
  return {
    ...(Object.keys(flow).length === 0 ? {} : { flow }),
    ...(together === undefined ? {} : { together: shared }),
  };
}

/** `none` is what a route without TLS does. */
function relayTls({
  require,
  mode,
  authorities,
  certificate,
}: NonNullable<PolicySmtpRoute['tls']>): RouteTls | undefined {
  if (require === 'none') return undefined;
  return {
    require,
    ...(mode === undefined ? {} : { mode }),
    ...(authorities === undefined ? {} : { authorities }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

function relayAuth({ secret, username, unverifiedTls }: NonNullable<PolicySmtpRoute['auth']>): RouteAuth {
  return { secret, withoutVerifiedTls: unverifiedTls, ...(username === undefined ? {} : { username }) };
}

/** Every route of a policy, by name. */
export function relayRoutes(
  routes: ReadonlyMap<string, PolicyRoute>,
  mailDir: string,
): ReadonlyMap<string, RouteDefinition> {
  return new Map(Array.from(routes, ([name, route]) => [name, relayRoute(route, mailDir)]));
}
