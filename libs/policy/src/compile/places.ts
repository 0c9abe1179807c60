/** `routes`, `retry` and `settings` → definitions that the gateway uses as they are. */
import type { RouteDocument } from '../document.js';
import { joinPointer } from '../findings.js';
import type { AcceptedDomain } from '../program.js';
import type { PolicyLimits, RetryProfile, RouteDefinition, RouteHost } from '../types.js';
import { parseDomain } from '../values/domains.js';
import { parseIp, printIp } from '../values/networks.js';
import { parseDurationMs, parseSizeBytes } from '../values/units.js';
import type { CompileContext } from './context.js';
import { isAccepted } from './parties.js';

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
    profiles.set(name, { name, firstMs, factor: profile.factor ?? DEFAULT_RETRY.factor, longestMs, giveUpMs });
  }
  return profiles;
}

const DEFAULT_CONNECTIONS = 20;
const KINDS = ['hosts', 'mx', 'file'] as const;

export function compileRoutes(
  context: CompileContext,
  retry: ReadonlyMap<string, RetryProfile>,
): ReadonlyMap<string, RouteDefinition> {
  const routes = new Map<string, RouteDefinition>();
  for (const [name, route] of Object.entries(context.document.routes)) {
    const pointer = joinPointer('/routes', name);
    const kinds = KINDS.filter((kind) => route[kind] !== undefined);
    if (kinds.length !== 1) {
      const found = kinds.length === 0 ? 'none' : kinds.map((kind) => `\`${kind}\``).join(' and ');
      context.findings.blocks(
        'D7',
        pointer,
        `route \`${name}\` has ${found}, expected exactly one of \`hosts\`, \`mx\` and \`file\``,
      );
    }
    const profile = route.retry ?? 'default';
    if (profile !== 'default') context.requireName('retry', profile, joinPointer(pointer, 'retry'));
    const base = {
      name,
      retry: retry.get(profile) ?? DEFAULT_RETRY,
      limits: { connections: route.limits?.connections ?? DEFAULT_CONNECTIONS },
    };
    routes.set(name, compileKind(context, base, route, pointer));
  }
  return routes;
}

function compileKind(
  context: CompileContext,
  base: Pick<RouteDefinition, 'name' | 'retry' | 'limits'>,
  route: RouteDocument,
  pointer: string,
): RouteDefinition {
  const nextHostOn = route['next-host-on'];
  const smtp = { ...base, ...(nextHostOn !== undefined && { nextHostOn }) };
  if (route.hosts !== undefined) {
    const hosts = route.hosts.map((host, index) => compileHost(context, host, joinPointer(pointer, 'hosts', index)));
    return { ...smtp, kind: 'hosts', hosts };
  }
  if (route.file === undefined) return { ...smtp, kind: 'mx' };
  if (nextHostOn !== undefined) {
    const message = '`next-host-on` has no meaning for `file`, expected it with `hosts` or `mx` only';
    context.findings.blocks('D3', joinPointer(pointer, 'next-host-on'), message);
  }
  const { directory } = route.file;
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/.test(directory)) {
    const message = `\`${directory}\` is not a directory below the mail directory, expected names of letters, digits, \`.\`, \`_\` and \`-\``;
    context.findings.blocks('D3', joinPointer(pointer, 'file', 'directory'), message);
  }
  return { ...base, kind: 'file', format: route.file.format, directory };
}

function compileHost(
  context: CompileContext,
  host: NonNullable<RouteDocument['hosts']>[number],
  pointer: string,
): RouteHost {
  const ip = parseIp(host.host);
  const domain = ip === undefined ? parseDomain(host.host) : undefined;
  if (domain?.ok === false) {
    context.findings.blocks(
      'D3',
      joinPointer(pointer, 'host'),
      `\`${host.host}\` is not a host, expected a name such as \`mail.example.com\` or an IP address`,
    );
  }
  return {
    host: ip === undefined ? (domain?.ok === true ? domain.domain : host.host) : printIp(ip),
    port: host.port ?? 25,
    priority: host.priority ?? 10,
    weight: host.weight ?? 1,
  };
}

const MIN_MESSAGE_SIZE = 65_536;
const MAX_MESSAGE_SIZE = 2_000_000_000;

export function compileLimits(context: CompileContext): PolicyLimits {
  const settings = context.document.settings ?? {};
  const text = settings['max-message-size'];
  const sizeBytes = text === undefined ? undefined : parseSizeBytes(text);
  if (sizeBytes !== undefined && (sizeBytes < MIN_MESSAGE_SIZE || sizeBytes > MAX_MESSAGE_SIZE)) {
    context.findings.blocks(
      'D3',
      '/settings/max-message-size',
      `\`${text ?? ''}\` is out of range, expected \`64KiB\` to \`2GB\``,
    );
  }
  return {
    maxMessageSizeBytes: sizeBytes ?? 50_000_000,
    maxRecipients: settings['max-recipients'] ?? 1000,
    maxConnections: settings['max-connections'] ?? 1000,
    maxConnectionsPerAddress: settings['max-connections-per-address'] ?? 200,
  };
}

export function compilePostmasterDomain(
  context: CompileContext,
  domains: readonly AcceptedDomain[],
  first: string | undefined,
): string | undefined {
  const text = context.document.settings?.['postmaster-domain'];
  if (text === undefined) return first;
  const pointer = '/settings/postmaster-domain';
  const domain = parseDomain(text);
  if (!domain.ok) {
    context.findings.blocks('D3', pointer, domain.message, domain.fix);
    return undefined;
  }
  if (!isAccepted(context, domains, domain.domain)) {
    context.findings.blocks(
      'D7',
      pointer,
      `\`${domain.domain}\` is not an accepted domain, expected one of \`domains\``,
    );
  }
  return domain.domain;
}
