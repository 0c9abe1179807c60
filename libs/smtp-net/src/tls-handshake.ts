/**
 * The server side of TLS over a socket that is in the clear until now: STARTTLS (RFC 3207) and implicit TLS (RFC 8314).
 *
 * TLS 1.2 and newer; renegotiation off. Each handshake has a deadline, and when too many are under way the oldest ends:
 * whoever stalls makes room for those who do not. What was read from the socket and not used goes to TLS, never past it.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { SmtpLimits, TlsFacts } from '#smtp-core';
import type { TlsSettings } from './server-options.js';
import { tlsFactsOf } from './tls-facts.js';

/** A handshake that failed has destroyed its socket. */
export type HandshakeResult =
  { readonly ok: true; readonly socket: TLSSocket; readonly tls: TlsFacts } | { readonly ok: false };

const FAILED: HandshakeResult = { ok: false };

/**
 * What `TlsSettings.secureContext` gives, with the settings of a mail server: TLS 1.2 and newer, no renegotiation, no
 * resumption (a ticket's key would outlive every session, and a client certificate is looked at each time).
 */
export function createServerContext(options: SecureContextOptions): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    honorCipherOrder: true,
    sessionIdContext: 'smtp-net',
    ...options,
    secureOptions: (options.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  });
}

/** All handshakes of one server. */
export class Handshakes {
  readonly #underWay = new Map<Socket, Handshake>();
  readonly #bug: (error: unknown) => void;

  /** `bug` is told what `secureContext` throws. */
  constructor(bug: (error: unknown) => void) {
    this.#bug = bug;
  }

  /** Never rejects. The socket is paused, has no listeners for data, and belongs to the handshake from now on. */
  async begin(socket: Socket, settings: TlsSettings, limits: SmtpLimits): Promise<HandshakeResult> {
    const secureContext = this.#contextFor(settings, undefined);
    if (secureContext === undefined || socket.destroyed) {
      socket.destroy();
      return FAILED;
    }
    const handshake = new Handshake(socket, {
      isServer: true,
      secureContext,
      requestCert: settings.clientCertificates === 'request',
      rejectUnauthorized: false,
      SNICallback: (name, done) => {
        const context = this.#contextFor(settings, name);
        // Without one the handshake ends with an alert.
        done(context === undefined ? new Error('no certificate') : null, context);
      },
    });
    this.#underWay.set(socket, handshake);
    if (this.#underWay.size > limits.maxHandshakes) this.#oldest()?.destroy();
    const result = await handshake.result(limits.handshakeTimeoutMs);
    this.#underWay.delete(socket);
    return result;
  }

  /**
   * Destroys a socket that may be in a handshake. Always by its upper end: Node 20 crashes when a socket and the TLS
   * over it are destroyed in one go.
   */
  destroy(socket: Socket): void {
    (this.#underWay.get(socket) ?? socket).destroy();
  }

  has(socket: Socket): boolean {
    return this.#underWay.has(socket);
  }

  #oldest(): Handshake | undefined {
    return this.#underWay.values().next().value;
  }

  #contextFor(settings: TlsSettings, serverName: string | undefined): SecureContext | undefined {
    try {
      return settings.secureContext(serverName);
    } catch (error) {
      this.#bug(error);
      return undefined;
    }
  }
}

class Handshake {
  readonly #socket: TLSSocket;

  constructor(raw: Socket, options: ConstructorParameters<typeof TLSSocket>[1]) {
    this.#socket = new TLSSocket(raw, options);
    this.#socket.disableRenegotiation();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  result(timeoutMs: number): Promise<HandshakeResult> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const deadline = setTimeout(() => socket.destroy(), timeoutMs);
      const end = (result: HandshakeResult): void => {
        clearTimeout(deadline);
        socket.off('close', onClose);
        socket.off('readable', onReadable);
        resolve(result);
      };
      const onClose = (): void => {
        end(FAILED);
      };
      // Nothing to read here but the end: the client has gone, and would hold its place until the deadline.
      const onReadable = (): void => {
        if (socket.readableLength === 0) socket.destroy();
      };
      // An error destroys the socket by itself; without a listener it would end the process.
      socket.on('error', () => undefined);
      socket.on('close', onClose);
      socket.on('readable', onReadable);
      socket.once('secure', () => {
        const tls = tlsFactsOf(socket, isChainVerified(socket));
        if (tls === undefined) socket.destroy();
        else end({ ok: true, socket, tls });
      });
    });
  }
}

/**
 * Whether OpenSSL found the chain of the client's certificate good. Node tells it of sockets of a `tls.Server` only
 * (`authorized`), so the handle is asked, as that does; a Node that has no such handle trusts nobody.
 */
function isChainVerified(socket: TLSSocket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return false;
  const verifyError: unknown = Reflect.get(handle, 'verifyError');
  if (typeof verifyError !== 'function') return false;
  const fault: unknown = Reflect.apply(verifyError, handle, []);
  return fault === undefined || fault === null;
}
