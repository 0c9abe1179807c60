/**
 * Servers and raw clients on free ports, all of them gone after each test.
 */
import { afterEach } from '@jest/globals';
import { createSmtpServer } from '#smtp-net';
import type { ListenOptions, SmtpListener, SmtpServer, SmtpServerHooks } from '#smtp-net';
import { SmtpPeer } from './smtp-peer.js';

export const NO = { effect: 'refuse', reply: { code: 550, enhanced: '5.7.1', lines: ['No'] } } as const;

const servers: SmtpServer[] = [];
const peers: SmtpPeer[] = [];

/** Listens on a free port; a bug nobody asked for fails the test. */
export async function serve(
  hooks: SmtpServerHooks,
  limits: NonNullable<ListenOptions['limits']> = {},
  onBug?: (error: unknown) => void,
): Promise<Pick<SmtpListener, 'address' | 'port' | 'stop'> & { readonly server: SmtpServer }> {
  const fail = (error: unknown): void => {
    throw error;
  };
  const server = createSmtpServer({ hostname: 'mx.test', hooks, onBug: onBug ?? fail });
  servers.push(server);
  const listener = await server.listen({ host: '127.0.0.1', port: 0, limits, tickMs: 20 });
  return { address: listener.address, port: listener.port, server, stop: (graceMs) => listener.stop(graceMs) };
}

export function dial(listener: { readonly port: number }): SmtpPeer {
  const peer = new SmtpPeer(listener.port);
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
