/** Facts that the session itself tells: TLS, the certificate of the client, the account that has signed in. */
import type { Facts } from '#policy';
import type { ServerSession } from '#smtp-net';
import type { InboundSession } from './inbound-session.js';

/** As they are now: STARTTLS and AUTH change them. */
export function sessionFacts(session: ServerSession, inbound: InboundSession): Facts {
  if (session.tls === undefined && session.auth === undefined) return PLAIN;
  return { ...tlsFacts(session), ...authFacts(session, inbound) };
}

const PLAIN: Facts = { tls: false };

function tlsFacts({ tls }: ServerSession): Facts {
  if (tls === undefined) return { tls: false };
  const { version, clientCertificate } = tls;
  const facts = { tls: true, 'tls.version': version };
  if (clientCertificate === undefined) return facts;
  const { commonName, names, fingerprint, authorized } = clientCertificate;
  const all = [...new Set([...(commonName === undefined ? [] : [commonName]), ...names])];
  // A name is worth what the authority behind it is worth; the fingerprint proves itself by the handshake.
  return { ...facts, 'cert.fingerprint': fingerprint, ...(authorized && all.length > 0 && { 'cert.name': all }) };
}

function authFacts({ auth }: ServerSession, { granted }: InboundSession): Facts {
  if (auth === undefined) return {};
  const identities =
    granted?.account === auth.identity ? granted.identities : { unknown: 'the account was signed in elsewhere' };
  return { auth: auth.identity, 'auth.method': auth.mechanism, 'auth.identities': identities };
}

/** How many connections each address has open to this gateway. */
export class OpenConnections {
  readonly #byAddress = new Map<string, number>();

  /** The new one included. */
  opened(address: string): number {
    const count = (this.#byAddress.get(address) ?? 0) + 1;
    this.#byAddress.set(address, count);
    return count;
  }

  closed(address: string): void {
    const count = (this.#byAddress.get(address) ?? 1) - 1;
    if (count > 0) this.#byAddress.set(address, count);
    else this.#byAddress.delete(address);
  }
}
