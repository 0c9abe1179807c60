/**
 * The client for next hops: `connectSmtp` gives a greeted connection, `connection.send` carries out transactions.
 * RFC 5321 s3, s4.5.3.2 (time-outs). The grammar and the order of commands are `SmtpClientSession` of smtp-core.
 *
 * A connection is kept as long as its owner wants: `send` may be called again before the last one settled, and then the
 * next envelope leaves in the same write as the content before it, where the server pipelines. `send` never rejects:
 * what went wrong is in the result, per recipient.
 */
import { connect } from 'node:net';
import type { NetConnectOpts } from 'node:net';
import type { ClientExtensions, ClientFault, ClientStage, ClientTransaction, RecipientResult, Reply } from '#smtp-core';
import { ClientConnection } from './client-connection.js';
import type { SmtpCredentials } from './client-sasl.js';
import type { SmtpTlsOptions, TlsEvidence } from './client-tls.js';

/** RFC 5321 s4.5.3.2, all in milliseconds. */
export interface SmtpTimeouts {
  readonly connectMs: number;
  readonly bannerMs: number;
  readonly ehloMs: number;
  /** The reply to STARTTLS, and the handshake. */
  readonly tlsMs: number;
  /** Each reply of AUTH. */
  readonly authMs: number;
  readonly mailMs: number;
  readonly rcptMs: number;
  readonly dataMs: number;
  /** One block of content accepted by the network. */
  readonly blockMs: number;
  /** From the terminator to the reply; RFC 5321 wants ten minutes, because giving up early makes duplicates. */
  readonly contentMs: number;
  readonly quitMs: number;
}

export const SMTP_TIMEOUTS: SmtpTimeouts = {
  connectMs: 30_000,
  bannerMs: 300_000,
  ehloMs: 300_000,
  tlsMs: 60_000,
  authMs: 120_000,
  mailMs: 300_000,
  rcptMs: 300_000,
  dataMs: 120_000,
  blockMs: 180_000,
  contentMs: 600_000,
  quitMs: 5_000,
};

export interface SmtpConnectOptions {
  /** Name of the next hop, for people. */
  readonly host: string;
  /** Textual IP address that is connected to, a name for the system to resolve, or the absolute path of a socket. */
  readonly address: string;
  readonly port: number;
  /** Source address on a machine with several. */
  readonly localAddress?: string;
  readonly heloName: string;
  /** LMTP has a reply to the content for each recipient. RFC 2033. Default `smtp`. */
  readonly protocol?: 'smtp' | 'lmtp';
  /** False: BDAT (RFC 3030) is not used, also where the server offers it. */
  readonly chunking?: boolean;
  /** Absent: plaintext, whatever the server offers. */
  readonly tls?: SmtpTlsOptions;
  /** Signs in before the first transaction; only where TLS is verified, unless the credentials say otherwise. */
  readonly auth?: SmtpCredentials;
  readonly timeouts?: Partial<SmtpTimeouts>;
  readonly signal?: AbortSignal;
}

/** Envelope as in smtp-core: sender and recipients as printed paths, '' the null sender, parameters of MAIL and RCPT. */
export interface SmtpMessage extends ClientTransaction {
  /** Canonical octets (CRLF only), not stuffed. Chunks of an iterable belong to the client once yielded. */
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
}

export interface SendResult {
  /** One per recipient, in the order given. */
  readonly recipients: readonly RecipientResult[];
}

export interface SmtpConnection {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly extensions: ClientExtensions;
  /** What TLS proved; undefined when the connection is not encrypted. */
  readonly tls: TlsEvidence | undefined;
  /** Why `opportunistic` TLS did not come about. */
  readonly plaintextBecause: string | undefined;
  /** False once the connection is closing or closed; what is sent then comes back unsent. */
  readonly usable: boolean;
  /** Transactions sent and not yet answered. */
  readonly depth: number;
  /** Transactions that the server has answered. */
  readonly completed: number;
  /** Milliseconds since the epoch when the last transaction ended; undefined while one is in flight. */
  readonly idleSinceMs: number | undefined;
  send(message: SmtpMessage): Promise<SendResult>;
  /** Lets what is on the wire finish, then QUIT. Resolves when the socket is closed. */
  quit(): Promise<void>;
  /** At once; transactions in flight come back as lost. */
  destroy(): void;
  /** Called once when the socket is closed, by whichever side. */
  onClose(listener: () => void): void;
}

/** No usable connection came about. `reply` is what the server said, when it said something. */
export class SmtpConnectFault extends Error {
  readonly stage: ClientStage;
  readonly fault: ClientFault;
  readonly reply: Reply | undefined;

  constructor(fault: ClientFault, reply?: Reply) {
    super(fault.message);
    this.name = 'SmtpConnectFault';
    this.stage = fault.stage;
    this.fault = fault;
    this.reply = reply;
  }
}

/** Connects, waits for the banner, says EHLO (HELO where that is refused), starts TLS and signs in as asked. Rejects with `SmtpConnectFault`, nothing else. */
export function connectSmtp(options: SmtpConnectOptions): Promise<SmtpConnection> {
  const timeouts = { ...SMTP_TIMEOUTS, ...options.timeouts };
  return new Promise((resolve, reject) => {
    const connection = new ClientConnection(options, timeouts, {
      ready: () => resolve(connection),
      failed: (fault, reply) => reject(new SmtpConnectFault(fault, reply)),
    });
    const { address, localAddress, port } = options;
    const target: NetConnectOpts = {
      ...(address.startsWith('/') ? { path: address } : { host: address, port, noDelay: true }),
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.tls === undefined ? { onread: connection.reading } : {}),
    };
    try {
      connection.attach(connect(target));
    } catch (error) {
      connection.refuse(error);
    }
  });
}
