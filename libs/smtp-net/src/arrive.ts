/**
 * What comes before a session: the PROXY header of a balancer, then implicit TLS. Nothing is answered before the header.
 */
import type { Socket } from 'node:net';
import type { SmtpLimits, TlsFacts } from '#smtp-core';
import type { Endpoint, TurnedAway } from './hooks.js';
import { readProxyHeader } from './proxy-header.js';
import { detach, attach } from './wire.js';

/** A socket whose client is known and which is ready for SMTP. */
export interface Arrival {
  readonly socket: Socket;
  readonly client: Endpoint;
  readonly peer: Endpoint;
  readonly local: Endpoint;
  /** Implicit TLS. */
  readonly tls?: TlsFacts;
}

type ProxyResult =
  /** `client` is left out when the balancer speaks for itself. */
  { readonly ok: true; readonly client?: Endpoint } | { readonly ok: false; readonly why: TurnedAway };

/**
 * Reads the header and not an octet more: what follows it is put back. Never rejects; where there is no header in time
 * the socket is destroyed.
 */
export function takeProxyHeader(socket: Socket, limits: SmtpLimits): Promise<ProxyResult> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    const end = (result: ProxyResult): void => {
      clearTimeout(deadline);
      detach(socket);
      if (!result.ok) socket.destroy();
      resolve(result);
    };
    const fail = (): void => {
      end({ ok: false, why: 'bad-proxy-header' });
    };
    const deadline = setTimeout(fail, limits.proxyHeaderTimeoutMs);
    attach(socket, {
      onBytes: (bytes) => {
        received = Buffer.concat([received, bytes]);
        const header = readProxyHeader(received);
        if (header.kind === 'more') return;
        if (header.kind === 'fault') {
          fail();
          return;
        }
        const { client, headerBytes } = header;
        end({ ok: true, ...(client === undefined ? {} : { client }) });
        if (headerBytes < received.length) socket.unshift(received.subarray(headerBytes));
      },
      onDrain: () => undefined,
      onEnd: fail,
      onGone: fail,
    });
  });
}
