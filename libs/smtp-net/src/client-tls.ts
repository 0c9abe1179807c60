/**
 * TLS of an outbound connection: the handshake over a socket that is there already, and what it proved. RFC 3207 s4,
 * RFC 8314 s3 (implicit TLS), RFC 6125 (names; checked by node:tls), RFC 8996 (nothing below TLS 1.2).
 *
 * The certificate is always examined and never decides here: `evidence` says whether it is valid for the name and why
 * not, the connection compares that with what was asked for. Sessions are not resumed: a resumed one proves no name.
 */
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect, createSecureContext } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';

export interface SmtpTlsOptions {
  /** `starttls` after EHLO, or from the first octet. */
  readonly mode: 'starttls' | 'implicit';
  /**
   * `opportunistic` goes on in plaintext when STARTTLS is not offered or refused, and takes any certificate;
   * `encrypted` takes any certificate; `verified` wants one that is valid for `serverName`.
   */
  readonly require: 'opportunistic' | 'encrypted' | 'verified';
  /** Name or address that the certificate must hold; a name is also sent as SNI. */
  readonly serverName: string;
  /** Trusted authorities, client certificate, lowest version: `tlsContext()`. Default: TLS 1.2, Node's authorities. */
  readonly context?: SecureContext;
}

export interface TlsContextOptions {
  /** PEM, one or several. Absent: the authorities Node was built with. */
  readonly authorities?: string | readonly string[];
  /** PEM: our own certificate with its chain, and its key. */
  readonly certificate?: { readonly chain: string; readonly key: string };
}

/** What TLS proved, for the record. */
export interface TlsEvidence {
  readonly version: string;
  /** Name of the cipher suite, as IANA spells it. */
  readonly cipher: string;
  /** The certificate is valid, for the name that was asked for. */
  readonly verified: boolean;
  /** Why it is not. */
  readonly why?: string;
  /** SHA-256 of the server's certificate, lower-case hex. */
  readonly fingerprint?: string;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet',
  CERT_REVOKED: 'was revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'is signed by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'is signed by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'is signed by an authority that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'is signed by an authority that is not trusted',
  INVALID_PURPOSE: 'is not one for servers',
};

/** Made once for many connections: reading the authorities costs more than a handshake. Throws on what is no PEM. */
export function tlsContext(options: TlsContextOptions = {}): SecureContext {
  const { authorities, certificate } = options;
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(authorities === undefined ? {} : { ca: typeof authorities === 'string' ? authorities : [...authorities] }),
    ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key }),
  });
}

let plainContext: SecureContext | undefined;

/** Begins the handshake. `secureConnect` or `error` follows on the socket returned. */
export function secure(socket: Socket, options: SmtpTlsOptions): TLSSocket {
  const { serverName } = options;
  return connect({
    socket,
    host: serverName,
    // RFC 6066 s3: an address is no server name.
    servername: isIP(serverName) === 0 ? serverName : '',
    rejectUnauthorized: false,
    secureContext: options.context ?? (plainContext ??= tlsContext()),
  });
}

/** Only after `secureConnect`. */
export function evidenceOf(socket: TLSSocket, serverName: string): TlsEvidence {
  const { authorized } = socket;
  const { standardName } = socket.getCipher();
  const fingerprint = socket.getPeerCertificate().fingerprint256 as string | undefined;
  return {
    version: socket.getProtocol() ?? '',
    cipher: standardName,
    verified: authorized,
    ...(authorized ? {} : { why: explain(socket.authorizationError, serverName) }),
    ...(fingerprint === undefined ? {} : { fingerprint: fingerprint.replaceAll(':', '').toLowerCase() }),
  };
}

/** `authorizationError` is a code, whatever its type says. */
function explain(error: unknown, serverName: string): string {
  const code = typeof error === 'string' ? error : error instanceof Error ? error.message : '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the certificate is not for ${serverName}`;
  return `the certificate ${PROBLEMS[code] ?? `is not valid${/^[A-Z_]+$/.test(code) ? `: ${code}` : ''}`}`;
}

/** A handshake that failed, in words: OpenSSL's reason, never its stack. */
export function describeTlsError(error: NodeJS.ErrnoException & { readonly reason?: string }): string {
  const { reason, code } = error;
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'TLS handshake failed: connection closed by the server';
  const why = reason ?? code ?? 'unknown reason';
  return `TLS handshake failed: ${why.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)}`;
}
