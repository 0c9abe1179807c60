/** `hosts` of a route: names and addresses with their ports, or sockets on this machine. */
import type { RouteDocument } from '../document-routes.js';
import { joinPointer } from '../findings.js';
import type { RouteHost, RouteTlsProfile } from '../route-types.js';
import { parseDomain } from '../values/domains.js';
import { parseIp, printIp } from '../values/networks.js';
import type { CompileContext } from './context.js';

type Written = NonNullable<RouteDocument['hosts']>[number];

interface Place {
  readonly pointer: string;
  /** Undefined where there is none: LMTP. */
  readonly usualPort: number | undefined;
}

const PATH = /^(?:\/[A-Za-z0-9._-]+)+$/;

export function compileHost(context: CompileContext, written: Written, place: Place): RouteHost {
  const { host, socket } = written;
  const order = { priority: written.priority ?? 10, weight: written.weight ?? 1 };
  if (socket !== undefined) return { ...order, ...compileSocket(context, written, { ...place, socket }) };
  if (host === undefined) {
    const message = 'neither `host` nor `socket` is there, expected one of them';
    context.findings.blocks('D7', place.pointer, message);
    return { ...order, host: '', port: 0 };
  }
  return { ...order, ...compileName(context, { host, port: written.port }, place) };
}

function compileSocket(
  context: CompileContext,
  { host, port }: Written,
  { pointer, socket }: Place & { readonly socket: string },
): Pick<RouteHost, 'host' | 'port'> {
  if (!PATH.test(socket) || socket.split('/').includes('..')) {
    const message = `\`${socket}\` is not the path of a socket, expected one such as \`/run/dovecot/lmtp\``;
    context.findings.blocks('D3', joinPointer(pointer, 'socket'), message);
  }
  if (host !== undefined || port !== undefined) {
    const message = `\`${host === undefined ? 'port' : 'host'}\` beside \`socket\`, expected \`socket\` alone`;
    context.findings.blocks('D7', pointer, message);
  }
  return { host: socket, port: 0 };
}

function compileName(
  context: CompileContext,
  { host, port }: { readonly host: string; readonly port: number | undefined },
  { pointer, usualPort }: Place,
): Pick<RouteHost, 'host' | 'port'> {
  const ip = parseIp(host);
  const domain = ip === undefined ? parseDomain(host) : undefined;
  if (domain?.ok === false) {
    const message = `\`${host}\` is not a host, expected a name such as \`mail.example.com\` or an IP address`;
    context.findings.blocks('D3', joinPointer(pointer, 'host'), message);
  }
  // RFC 2033 s5: LMTP has no port of its own, and never 25.
  if (usualPort === undefined && (port === undefined || port === 25)) {
    const found = port === undefined ? 'without a port' : 'on port 25';
    const message = `\`${host}\` speaks LMTP ${found}, expected \`port\` with the one it listens on, such as 24`;
    context.findings.blocks('D7', pointer, message);
  }
  const name = ip === undefined ? (domain?.ok === true ? domain.domain : host) : printIp(ip);
  return { host: name, port: port ?? usualPort ?? 24 };
}

/** A socket has no name that a certificate could prove, and its octets never leave the machine. */
export function requireNoTls(
  context: CompileContext,
  { hosts, tls }: { readonly hosts: readonly RouteHost[]; readonly tls: RouteTlsProfile | undefined },
  pointer: string,
): void {
  if (tls === undefined || tls.require === 'none' || !hosts.some(({ host }) => host.startsWith('/'))) return;
  const message = '`tls` on a route with a `socket`, expected a route of its own for the socket, without `tls`';
  context.findings.blocks('D7', joinPointer(pointer, 'tls'), message);
}
