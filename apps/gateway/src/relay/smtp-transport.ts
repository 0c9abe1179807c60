/** The relay's way out over SMTP: smtp-net's client, with content read from memory or from the spool. */
import { setMaxListeners } from 'node:events';
import { open } from 'node:fs/promises';
import type {
  AttemptTls,
  ConnectResult,
  ContentSource,
  OutboundConnection,
  OutboundMessage,
  RouteTls,
  SmtpRoute,
  Target,
  Transport,
} from '#delivery';
import { replyText } from '#delivery';
import type { ClientFault, Reply } from '#smtp-core';
import { connectSmtp, SmtpConnectFault } from '#smtp-net';
import type { SendResult, SmtpConnection, SmtpConnectOptions, SmtpTimeouts, SmtpTlsOptions } from '#smtp-net';
import type { Credentials } from './credentials.js';
import { readSpool } from './spool-content.js';
import type { TlsContexts } from './tls-contexts.js';

export interface SmtpTransportOptions {
  readonly heloName: string;
  readonly timeouts?: Partial<SmtpTimeouts>;
}

export interface SmtpTransportPorts {
  readonly contexts: TlsContexts;
  readonly credentials: Credentials;
}

const BROKEN: ClientFault = {
  stage: 'connect',
  reason: 'unreachable',
  progress: 'none',
  enhanced: '4.3.0',
  message: 'connection could not be made',
};
/** A host whose TLS is broken is not asked for it again so soon; only `opportunistic` routes remember. */
const BROKEN_MS = 600_000;
const MAX_BROKEN = 1_000;

type Wishes = Pick<SmtpConnectOptions, 'tls' | 'auth' | 'protocol' | 'chunking'>;

/** Hosts that do not do what they offer, by host, address and port: since when, and why. Bounded. */
class BrokenPromises {
  readonly #hosts = new Map<string, { readonly atMs: number; readonly why: string }>();

  known(target: Target): string | undefined {
    const known = this.#hosts.get(keyOf(target));
    return known !== undefined && Date.now() - known.atMs < BROKEN_MS ? known.why : undefined;
  }

  remember(target: Target, why: string): void {
    this.#hosts.delete(keyOf(target));
    this.#hosts.set(keyOf(target), { atMs: Date.now(), why });
    const [oldest] = this.#hosts.keys();
    if (this.#hosts.size > MAX_BROKEN && oldest !== undefined) this.#hosts.delete(oldest);
  }
}

export class SmtpTransport implements Transport {
  readonly #options: SmtpTransportOptions;
  readonly #ports: SmtpTransportPorts;
  readonly #aborting = new AbortController();
  readonly #brokenTls = new BrokenPromises();
  readonly #brokenChunking = new BrokenPromises();
  #open = 0;
  #allClosed: (() => void) | undefined;

  constructor(options: SmtpTransportOptions, ports: SmtpTransportPorts) {
    this.#options = options;
    this.#ports = ports;
    // One signal for all connections is meant, not a leak.
    setMaxListeners(0, this.#aborting.signal);
  }

  /**
   * As the route wants it. INVARIANT (floor): plaintext after a failed handshake only where the route is
   * `opportunistic`, and on a new connection; octets injected into the handshake end the attempt for every route.
   */
  async connect(target: Target, route: SmtpRoute): Promise<ConnectResult> {
    const prepared = await this.#prepare(target, route);
    if ('fault' in prepared) return { ok: false, fault: prepared.fault };
    const noChunks = this.#brokenChunking.known(target) === undefined ? {} : { chunking: false };
    const wishes = { ...prepared.wishes, ...noChunks };
    const { tls, ...others } = wishes;
    const mayFallBack = tls?.mode === 'starttls' && tls.require === 'opportunistic';
    const known = mayFallBack ? this.#brokenTls.known(target) : undefined;
    if (known !== undefined) return this.#attempt(target, others, { verified: false, why: known });
    const result = await this.#attempt(target, wishes);
    if (result.ok || !mayFallBack || result.fault.reason !== 'tls') return result;
    const why = result.fault.message;
    this.#brokenTls.remember(target, why);
    return this.#attempt(target, others, { verified: false, why });
  }

  async #prepare(target: Target, route: SmtpRoute): Promise<{ wishes: Wishes } | { fault: ClientFault }> {
    const { protocol } = route;
    let wishes: Wishes = protocol === undefined ? {} : { protocol };
    if (route.tls !== undefined) {
      const context = await this.#ports.contexts.get(route.tls);
      if (!context.ok) return { fault: notReady('tls', context.message) };
      wishes = { ...wishes, tls: { ...tlsOptions(target, route.tls), context: context.context } };
    }
    if (route.auth === undefined) return { wishes };
    const found = await this.#ports.credentials.get(route.auth);
    return found.ok ? { wishes: { ...wishes, auth: found.credentials } } : { fault: notReady('auth', found.message) };
  }

  async #attempt(target: Target, wishes: Wishes, tls?: AttemptTls): Promise<ConnectResult> {
    try {
      const signal = this.#aborting.signal;
      const connection = await connectSmtp({ ...target, ...this.#options, ...wishes, signal });
      this.#open += 1;
      connection.onClose(() => this.#connectionClosed());
      const chunkingRefused = (why: string): void => {
        this.#brokenChunking.remember(target, why);
      };
      const told = tls ?? evidence(connection, wishes);
      return { ok: true, connection: new KeptConnection(connection, { tls: told, chunkingRefused }) };
    } catch (error) {
      if (!(error instanceof SmtpConnectFault)) return { ok: false, fault: BROKEN };
      return { ok: false, fault: error.fault, ...(error.reply === undefined ? {} : { reply: error.reply }) };
    }
  }

  /** Cuts off every connection, those that are being made included; what was on them comes back as lost. */
  abort(): void {
    this.#aborting.abort();
  }

  /** Lets connections that are saying QUIT finish, then cuts off the rest. */
  async close(graceMs: number): Promise<void> {
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, graceMs);
        this.#allClosed = () => {
          clearTimeout(deadline);
          resolve();
        };
      });
    }
    this.abort();
  }

  #connectionClosed(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#allClosed?.();
  }
}

function keyOf({ host, address, port }: Target): string {
  return `${host} ${address} ${String(port)}`;
}

/** RFC 8314 s3.3: port 465 speaks TLS from the first octet. */
const IMPLICIT_PORT = 465;

function tlsOptions({ host, port }: Target, { mode, require }: RouteTls): SmtpTlsOptions {
  return { mode: mode ?? (port === IMPLICIT_PORT ? 'implicit' : 'starttls'), require, serverName: host };
}

/** Our side is not ready: the operator's to mend, so the mail waits. */
function notReady(stage: 'tls' | 'auth', message: string): ClientFault {
  return { stage, reason: stage, progress: 'none', enhanced: '4.3.5', message };
}

function evidence({ tls, plaintextBecause }: SmtpConnection, wishes: Wishes): AttemptTls | undefined {
  if (wishes.tls === undefined) return undefined;
  return tls ?? { verified: false, why: plaintextBecause ?? 'the connection is not encrypted' };
}

class KeptConnection implements OutboundConnection {
  readonly tls?: AttemptTls;
  readonly #connection: SmtpConnection;

  readonly #chunkingRefused: (why: string) => void;

  constructor(
    connection: SmtpConnection,
    { tls, chunkingRefused }: { readonly tls: AttemptTls | undefined; readonly chunkingRefused: (why: string) => void },
  ) {
    this.#connection = connection;
    this.#chunkingRefused = chunkingRefused;
    if (tls !== undefined) this.tls = tls;
  }

  get dsn(): boolean {
    return this.#connection.extensions.dsn;
  }

  get usable(): boolean {
    return this.#connection.usable;
  }

  get pipelining(): boolean {
    return this.#connection.extensions.pipelining;
  }

  get completed(): number {
    return this.#connection.completed;
  }

  async send(message: OutboundMessage): Promise<SendResult> {
    const result = await this.#connection.send({ ...message, content: openContent(message.content) });
    return this.#connection.extensions.chunking ? this.#withoutRefusedChunks(result) : result;
  }

  /** A server that offers BDAT and does not know it has judged no message: it is asked again, by DATA. */
  #withoutRefusedChunks(result: SendResult): SendResult {
    const refused = result.recipients.find(
      (one) => one.stage === 'content' && 'reply' in one && isUnknownCommand(one.reply),
    );
    if (refused === undefined || !('reply' in refused)) return result;
    const why = `the server refused BDAT, which it offers, with ${replyText(refused.reply)}`;
    this.#chunkingRefused(why);
    this.#connection.destroy();
    const fault = {
      stage: 'content',
      reason: 'protocol',
      progress: 'content',
      enhanced: '4.5.0',
      message: why,
    } as const;
    return {
      recipients: result.recipients.map((one) =>
        one.stage === 'content' ? { address: one.address, stage: 'content', fault } : one,
      ),
    };
  }

  quit(): void {
    void this.#connection.quit();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  onClose(listener: () => void): void {
    this.#connection.onClose(listener);
  }
}

/** RFC 5321 s4.2.4: 500, 502 and 504 are about commands, not about mail. */
function isUnknownCommand({ code }: Reply): boolean {
  return code === 500 || code === 502 || code === 504;
}

function openContent(content: ContentSource): Uint8Array | AsyncIterable<Uint8Array> {
  return content.kind === 'inline' ? content.bytes : readSpool(content);
}

/** The first octets of a content, for the header in a bounce. */
export async function readContentHead(content: ContentSource, maxBytes: number): Promise<Uint8Array> {
  if (content.kind === 'inline') return content.bytes.subarray(0, maxBytes);
  const file = await open(content.file, 'r');
  try {
    const buffer = Buffer.alloc(maxBytes);
    const { bytesRead } = await file.read(buffer, 0, maxBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
