/** The relay's way out over SMTP: smtp-net's client, with content read from memory or from the spool. */
import { setMaxListeners } from 'node:events';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ConnectResult, ContentSource, OutboundConnection, OutboundMessage, Target, Transport } from '#delivery';
import type { ClientFault } from '#smtp-core';
import { connectSmtp, SmtpConnectFault } from '#smtp-net';
import type { SendResult, SmtpConnection, SmtpTimeouts } from '#smtp-net';

export interface SmtpTransportOptions {
  readonly heloName: string;
  readonly timeouts?: Partial<SmtpTimeouts>;
}

const READ_BYTES = 65_536;
const BROKEN: ClientFault = {
  stage: 'connect',
  reason: 'unreachable',
  progress: 'none',
  enhanced: '4.3.0',
  message: 'connection could not be made',
};

export class SmtpTransport implements Transport {
  readonly #options: SmtpTransportOptions;
  readonly #aborting = new AbortController();
  #open = 0;
  #allClosed: (() => void) | undefined;

  constructor(options: SmtpTransportOptions) {
    this.#options = options;
    // One signal for all connections is meant, not a leak.
    setMaxListeners(0, this.#aborting.signal);
  }

  async connect(target: Target): Promise<ConnectResult> {
    try {
      const connection = await connectSmtp({ ...target, ...this.#options, signal: this.#aborting.signal });
      this.#open += 1;
      connection.onClose(() => this.#connectionClosed());
      return { ok: true, connection: new KeptConnection(connection) };
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

class KeptConnection implements OutboundConnection {
  readonly #connection: SmtpConnection;

  constructor(connection: SmtpConnection) {
    this.#connection = connection;
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

  send(message: OutboundMessage): Promise<SendResult> {
    const { content, ...envelope } = message;
    return this.#connection.send({ ...envelope, content: openContent(content) });
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

function openContent(content: ContentSource): Uint8Array | AsyncIterable<Uint8Array> {
  return content.kind === 'inline' ? content.bytes : readSpool(content.file);
}

/** Opens the file only when the first block is wanted: a transaction may end before its content is asked for. */
async function* readSpool(file: string): AsyncIterable<Uint8Array> {
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES })) yield chunk as Uint8Array;
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
