/**
 * What a server says of an established TLS connection. RFC 5280 s4.2.1.6 for the names of a client certificate.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { TlsFacts } from '#smtp-core';

/** `isVerified` as OpenSSL has judged the chain of the client's certificate. Undefined below TLS 1.2. */
export function tlsFactsOf(socket: TLSSocket, isVerified: boolean): TlsFacts | undefined {
  const version = socket.getProtocol();
  if (version !== 'TLSv1.2' && version !== 'TLSv1.3') return undefined;
  const serverName = (socket as { servername?: string | false }).servername;
  const certificate = socket.getPeerX509Certificate();
  return {
    version,
    cipher: socket.getCipher().name,
    ...(typeof serverName === 'string' && serverName !== '' ? { serverName: serverName.toLowerCase() } : {}),
    ...(certificate === undefined ? {} : { clientCertificate: certificateFacts(certificate, isVerified) }),
  };
}

function certificateFacts(
  certificate: X509Certificate,
  authorized: boolean,
): NonNullable<TlsFacts['clientCertificate']> {
  const commonName = commonNameOf(certificate.subject);
  return {
    ...(commonName === undefined ? {} : { commonName }),
    names: alternativeNames(certificate.subjectAltName ?? ''),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    authorized,
  };
}

/** A subject with two common names, or one that is not printable, has none. */
function commonNameOf(subject: string): string | undefined {
  // Node escapes line feeds and other control characters inside a value, so a line is an attribute.
  const names = subject.split('\n').filter((line) => line.startsWith('CN='));
  const name = names.length === 1 ? names[0]?.slice(3) : undefined;
  return name !== undefined && /^[^\\+\p{Cc}]+$/u.test(name) ? name : undefined;
}

/** Host names and addresses out of `DNS:a.test, email:b@c.test`; what had to be quoted is no name we could match. */
function alternativeNames(text: string): readonly string[] {
  const names = text.matchAll(/(?:^|, )(DNS|email):([^",]+)(?=, |$)/g);
  return Array.from(names, ([, kind, name = '']) => (kind === 'DNS' ? name.toLowerCase() : name));
}
