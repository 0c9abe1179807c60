/** Socket errors in words that may be shown in the audit and in a bounce: no addresses, no stack. */

const MESSAGES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  EACCES: 'the socket may not be used by this process',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by the server',
  EPIPE: 'connection closed by the server',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host is unreachable',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'local address is not available on this machine',
  EADDRINUSE: 'no local port is free',
  EMFILE: 'no file descriptor is free',
  ENFILE: 'no file descriptor is free',
  ABORT_ERR: 'connection was given up by this side',
};

export function describeSocketError(error: NodeJS.ErrnoException): string {
  const code = error.code ?? '';
  return MESSAGES[code] ?? (code === '' ? 'connection failed' : `connection failed with ${code}`);
}
