/**
 * Everything a client can make this server hold, wait for or repeat, with its unit; and what the RFCs demand at least.
 * RFC 5321 s4.5.3.1 (sizes), s4.5.3.2 (time-outs). The pure machine reads sizes and counts, smtp-net also the times.
 */
export interface SmtpLimits {
  /** One command line, CRLF included. RFC 5321 s4.5.3.1.4: at least 512, more with extensions. */
  readonly maxCommandLineBytes: number;
  /** One line of a SASL exchange, CRLF included. RFC 4954 s4: at least 12288. */
  readonly maxAuthLineBytes: number;
  /** Content as received, unstuffed; advertised by SIZE. RFC 5321 s4.5.3.1.7: at least 64 KiB. */
  readonly maxMessageBytes: number;
  /** Octets of refused content read on to its true end, and of refused chunks; beyond, the session is closed. */
  readonly maxSwallowedBytes: number;
  /** Accepted recipients of one transaction. RFC 5321 s4.5.3.1.8: at least 100. */
  readonly maxRecipients: number;
  /** Protocol errors of one session; the next one is answered 421. */
  readonly maxErrors: number;
  /** Commands that move no mail (NOOP, RSET, EHLO, VRFY, …) since the last message; beyond, each counts as an error. */
  readonly maxIdleCommands: number;
  /** Unread octets held while an answer is awaited; a driver that honours back-pressure stays far below. */
  readonly maxHeldBytes: number;

  /** Silence between commands. RFC 5321 s4.5.3.2.7: at least 5 minutes. */
  readonly commandTimeoutMs: number;
  /** From the first octet of a command line to its CRLF, however many reads it takes. */
  readonly lineTimeoutMs: number;
  /** Silence inside content. RFC 5321 s4.5.3.2.5: clients may take 3 minutes for a block. */
  readonly contentTimeoutMs: number;
  /** Mean rate a client must keep inside content, judged after `contentGraceMs`. */
  readonly minContentBytesPerSecond: number;
  readonly contentGraceMs: number;
  /** Age at which a session is ended between transactions; twice this, inside one. */
  readonly sessionTimeoutMs: number;
  /** A client that reads no replies: unsent octets above which nothing more is read from it. */
  readonly maxWriteBufferBytes: number;
  /**
   * Connections: of all listeners of one server together (of the listener, when the limit is its own), of them those
   * from one client (an IPv4 address, an IPv6 /64), and those from one network of as many leading bits.
   */
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxConnectionsPerNetwork: number;
  readonly ipv4NetworkBits: number;
  readonly ipv6NetworkBits: number;
  /** TLS handshakes under way at one time; one more ends the oldest. */
  readonly maxHandshakes: number;
  readonly handshakeTimeoutMs: number;
  /** From the connection to the end of its PROXY header. */
  readonly proxyHeaderTimeoutMs: number;
}

export const DEFAULT_LIMITS: SmtpLimits = {
  maxCommandLineBytes: 4096,
  maxAuthLineBytes: 16_384,
  maxMessageBytes: 52_428_800,
  maxSwallowedBytes: 104_857_600,
  maxRecipients: 1000,
  maxErrors: 20,
  maxIdleCommands: 100,
  maxHeldBytes: 1_048_576,
  commandTimeoutMs: 300_000,
  lineTimeoutMs: 60_000,
  contentTimeoutMs: 300_000,
  minContentBytesPerSecond: 64,
  contentGraceMs: 60_000,
  sessionTimeoutMs: 7_200_000,
  maxWriteBufferBytes: 65_536,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 200,
  maxConnectionsPerNetwork: 1000,
  ipv4NetworkBits: 24,
  ipv6NetworkBits: 56,
  maxHandshakes: 500,
  handshakeTimeoutMs: 30_000,
  proxyHeaderTimeoutMs: 5_000,
};
