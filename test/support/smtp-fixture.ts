/**
 * Servers and raw clients on free ports, all of them gone after each test.
 */
import { afterEach } from '@jest/globals';
import { createSmtpServer } from '#smtp-net';
import type { ListenerSettings, ListenOptions, SmtpListener, SmtpServer, SmtpServerHooks } from '#smtp-net';
import type { ConnectionOptions } from 'node:tls';
import { SmtpPeer, handshake } from './smtp-peer.js';
import type { TlsPeer } from './smtp-peer.js';

export const NO = { effect: 'refuse', reply: { code: 550, enhanced: '5.7.1', lines: ['No'] } } as const;

const servers: SmtpServer[] = [];
const peers: SmtpPeer[] = [];

export type Served = SmtpListener & { readonly server: SmtpServer };

/** Listens on a free port; a bug nobody asked for fails the test. */
export function serve(
  hooks: SmtpServerHooks,
  limits: NonNullable<ListenOptions['limits']> = {},
  onBug?: (error: unknown) => void,
): Promise<Served> {
  return serveWith(hooks, { limits }, onBug);
}

export async function serveWith(
  hooks: SmtpServerHooks,
  settings: ListenerSettings & { readonly host?: string },
  onBug?: (error: unknown) => void,
): Promise<Served> {
  const fail = (error: unknown): void => {
    throw error;
  };
  const server = createSmtpServer({ hostname: 'mx.test', hooks, onBug: onBug ?? fail });
  servers.push(server);
  const listener = await server.listen({ host: '127.0.0.1', port: 0, tickMs: 20, ...settings });
  return Object.assign(listener, { server });
}

export function dial(listener: { readonly port: number }): SmtpPeer {
  return keep(new SmtpPeer(listener.port));
}

/** TLS from the first octet. */
export async function dialTls(listener: { readonly port: number }, options: ConnectionOptions = {}): Promise<TlsPeer> {
  return keep(await handshake({ ...options, port: listener.port }));
}

/** Gone after the test. */
export function keep<T extends SmtpPeer>(peer: T): T {
  peers.push(peer);
  return peer;
}

/** A promise and the hand that settles it. */
export function held<T>(): { readonly promise: Promise<T>; readonly release: (value: T) => void } {
  let release: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.destroy()));
  await Promise.all(servers.splice(0).map((server) => server.close(0)));
});
