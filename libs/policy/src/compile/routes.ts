/** `routes`, `tls` and `retry` → definitions that the relay uses as they are. */
import type { RouteDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import type { RetryProfile, RouteAuth, RouteDefinition, RouteTlsProfile } from '../route-types.js';
import { compileHost, requireNoTls } from './route-hosts.js';
import { compileRouteLimits } from './route-limits.js';
import { parseIp, printIp } from '../values/networks.js';
import { parseDurationMs } from '../values/units.js';
import type { CompileContext } from './context.js';

const DEFAULT_RETRY: RetryProfile = {
  name: 'default',
  firstMs: 300_000,
  factor: 2,
  longestMs: 14_400_000,
  giveUpMs: 432_000_000,
};

export function compileRetry(context: CompileContext): ReadonlyMap<string, RetryProfile> {
  const profiles = new Map<string, RetryProfile>([['default', DEFAULT_RETRY]]);
  for (const [name, profile] of Object.entries(context.document.retry ?? {})) {
    const read = (key: 'first' | 'longest' | 'give-up', otherwise: number): number =>
      (profile[key] === undefined ? undefined : parseDurationMs(profile[key])) ?? otherwise;
    const giveUpMs = read('give-up', DEFAULT_RETRY.giveUpMs);
    const firstMs = read('first', Math.min(DEFAULT_RETRY.firstMs, giveUpMs));
    const longestMs = read('longest', Math.max(firstMs, Math.min(DEFAULT_RETRY.longestMs, giveUpMs)));
    if (firstMs === 0 || firstMs > longestMs || longestMs > giveUpMs) {
      const message = `retry profile \`${name}\` is in no order, expected 0 < \`first\` ≤ \`longest\` ≤ \`give-up\``;
      context.findings.blocks('D7', joinPointer('/retry', name), message);
    }
    const notice = profile['delay-notice'];
    const delayNoticeMs = notice === undefined ? undefined : parseDurationMs(notice);
    if (delayNoticeMs !== undefined && delayNoticeMs >= giveUpMs) {
      const message = `\`${notice ?? ''}\` is not before \`give-up\`, expected a notice while there is still hope`;
      context.findings.blocks('D7', joinPointer('/retry', name, 'delay-notice'), message);
    }
    const factor = profile.factor ?? DEFAULT_RETRY.factor;
    const delay = delayNoticeMs === undefined ? {} : { delayNoticeMs };
    profiles.set(name, { name, firstMs, factor, longestMs, giveUpMs, ...delay });
  }
  return profiles;
}

export function compileTlsProfiles(context: CompileContext): ReadonlyMap<string, RouteTlsProfile> {
  return new Map(
    Object.entries(context.document.tls ?? {}).map(([name, { require, mode, authorities, certificate }]) => [
      name,
      {
        name,
        require,
        ...(mode !== undefined && { mode }),
        ...(authorities !== undefined && { authorities }),
        ...(certificate !== undefined && { certificate }),
      },
    ]),
  );
}

const KINDS = ['hosts', 'mx', 'file', 'blackhole'] as const;
/** Keys that only say something about a session with a host. */
const SESSION_KEYS = ['next-host-on', 'protocol', 'tls', 'auth', 'source'] as const;

export interface Profiles {
  readonly retry: ReadonlyMap<string, RetryProfile>;
  readonly tls: ReadonlyMap<string, RouteTlsProfile>;
}

export function compileRoutes(context: CompileContext, profiles: Profiles): ReadonlyMap<string, RouteDefinition> {
  const routes = new Map<string, RouteDefinition>();
  for (const [name, route] of Object.entries(context.document.routes)) {
    const pointer = joinPointer('/routes', name);
    const kinds = KINDS.filter((kind) => route[kind] !== undefined);
    if (kinds.length !== 1) {
      const found = kinds.length === 0 ? 'none' : kinds.map((kind) => `\`${kind}\``).join(' and ');
      const message = `route \`${name}\` has ${found}, expected exactly one of \`hosts\`, \`mx\`, \`file\` and \`blackhole\``;
      context.findings.blocks('D7', pointer, message);
    }
    const profile = route.retry ?? 'default';
    if (profile !== 'default') context.requireName('retry', profile, joinPointer(pointer, 'retry'));
    const base = {
      name,
      retry: profiles.retry.get(profile) ?? DEFAULT_RETRY,
      limits: compileRouteLimits(context, route, pointer),
    };
    routes.set(name, compileKind(context, { base, route, pointer, profiles }));
  }
  return routes;
}

interface Written {
  readonly base: Pick<RouteDefinition, 'name' | 'retry' | 'limits'>;
  readonly route: RouteDocument;
  readonly pointer: string;
  readonly profiles: Profiles;
}

function compileKind(context: CompileContext, written: Written): RouteDefinition {
  const { base, route, pointer } = written;
  if (route.hosts !== undefined) {
    const session = compileSession(context, written);
    const port = session.protocol === 'lmtp' ? undefined : 25;
    const hosts = route.hosts.map((host, at) =>
      compileHost(context, host, { pointer: joinPointer(pointer, 'hosts', at), usualPort: port }),
    );
    requireNoTls(context, { hosts, tls: session.tls }, pointer);
    return { ...base, ...session, kind: 'hosts', hosts };
  }
  if (route.file === undefined && route.blackhole === undefined) {
    refuseKeys(context, written, ['protocol', 'auth'], '`hosts`');
    return { ...base, ...compileSession(context, written), protocol: 'smtp', kind: 'mx' };
  }
  refuseKeys(context, written, SESSION_KEYS, '`hosts` or `mx`');
  if (route.file === undefined) {
    requireTest(context, base.name, pointer);
    return { ...base, kind: 'blackhole' };
  }
  const { directory, format } = route.file;
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/.test(directory)) {
    const message = `\`${directory}\` is not a directory below the mail directory, expected names of letters, digits, \`.\`, \`_\` and \`-\``;
    context.findings.blocks('D3', joinPointer(pointer, 'file', 'directory'), message);
  }
  return { ...base, kind: 'file', format, directory };
}

function refuseKeys(
  context: CompileContext,
  { route, pointer }: Written,
  keys: readonly (typeof SESSION_KEYS)[number][],
  where: string,
): void {
  const kind = KINDS.find((name) => route[name] !== undefined) ?? 'mx';
  for (const key of keys) {
    if (route[key] === undefined) continue;
    const message = `\`${key}\` has no meaning for \`${kind}\`, expected it with ${where} only`;
    context.findings.blocks('D3', joinPointer(pointer, key), message);
  }
}

/** What nobody tests nobody means: mail that vanishes is for tests only. */
function requireTest(context: CompileContext, name: string, pointer: string): void {
  if ((context.document.tests ?? []).some(({ expect }) => expect.route === name)) return;
  const message = `\`blackhole\` without a test of the document that expects \`route: ${name}\`, expected one: its mail vanishes`;
  context.findings.blocks('D7', joinPointer(pointer, 'blackhole'), message);
}

interface Session {
  readonly protocol: 'smtp' | 'lmtp';
  readonly nextHostOn?: readonly number[];
  readonly source?: readonly string[];
  readonly tls?: RouteTlsProfile;
  readonly auth?: RouteAuth;
}

function compileSession(context: CompileContext, { route, pointer, profiles }: Written): Session {
  const nextHostOn = route['next-host-on'];
  const source = route.source === undefined ? undefined : compileSource(context, route.source, pointer);
  if (route.tls !== undefined) context.requireName('tls', route.tls, joinPointer(pointer, 'tls'));
  const tls = profiles.tls.get(route.tls ?? '');
  return {
    protocol: route.protocol ?? 'smtp',
    ...(nextHostOn !== undefined && { nextHostOn }),
    ...(source !== undefined && { source }),
    ...(tls !== undefined && { tls }),
    ...(route.auth !== undefined && { auth: compileAuth(route.auth) }),
  };
}

function compileAuth(auth: NonNullable<RouteDocument['auth']>): RouteAuth {
  const nameOf = (secret: string): string => secret.slice('secret/'.length);
  if (typeof auth === 'string') return { secret: nameOf(auth), unverifiedTls: false };
  const { username, password } = auth;
  return {
    secret: nameOf(password),
    ...(username !== undefined && { username }),
    unverifiedTls: auth['unverified-tls'] === 'allowed',
  };
}

function compileSource(
  context: CompileContext,
  source: NonNullable<RouteDocument['source']>,
  pointer: string,
): readonly string[] {
  const addresses: string[] = [];
  const at = joinPointer(pointer, 'source');
  for (const text of typeof source === 'string' ? [source] : source) {
    const ip = parseIp(text);
    if (ip === undefined) {
      context.findings.blocks('D3', at, `\`${text}\` is not an IP address, expected one such as \`192.0.2.10\``);
      continue;
    }
    const printed = printIp(ip);
    if (addresses.some((other) => other.includes(':') === printed.includes(':'))) {
      context.findings.blocks('D7', at, `\`${printed}\` is a second address of its family, expected one of each`);
    }
    addresses.push(printed);
  }
  return addresses;
}
