/**
 * One outbound connection: drives `SmtpClientSession` with a socket and one timer. Carries the machine's outputs out in
 * order, envelope and content in one write. Not for use from outside; see `client.ts`.
 *
 * Time-outs: one deadline per awaited reply, kept by one timer that is moved lazily, so that a message costs none.
 */
import type { OnReadOpts, Socket } from 'node:net';
import { SmtpClientSession } from '#smtp-core';
import type { ClientExtensions, ClientFault, ClientOutput, ClientWait, Reply } from '#smtp-core';
import type { SendResult, SmtpConnection, SmtpConnectOptions, SmtpMessage, SmtpTimeouts } from './client.js';
import { OutgoingContent } from './client-content.js';
import { describeSocketError } from './client-faults.js';

const READ_BUFFER_BYTES = 4096;
const NEVER = Number.POSITIVE_INFINITY;

export interface ConnectionOutcome {
  ready(): void;
  failed(fault: ClientFault, reply?: Reply): void;
}

export class ClientConnection implements SmtpConnection {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** Incoming octets land in one buffer of the connection; the machine copies what it keeps. */
  readonly reading: OnReadOpts;
  readonly #timeouts: SmtpTimeouts;
  readonly #session: SmtpClientSession<OutgoingContent>;
  readonly #outcome: ConnectionOutcome;
  readonly #closeListeners: (() => void)[] = [];
  /** Outputs not yet written, in order; grows only while a content is being streamed. */
  readonly #unwritten: (string | OutgoingContent)[] = [];
  #socket: Socket | undefined;
  #connected = false;
  #closed = false;
  #streaming = false;
  #resumeStream: (() => void) | undefined;
  #problem: string | undefined;
  #deadlineMs = NEVER;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = NEVER;
  #idleSinceMs: number | undefined;

  constructor(options: SmtpConnectOptions, timeouts: SmtpTimeouts, outcome: ConnectionOutcome) {
    this.host = options.host;
    this.address = options.address;
    this.port = options.port;
    this.#timeouts = timeouts;
    this.#outcome = outcome;
    this.#session = new SmtpClientSession({ heloName: options.heloName });
    this.reading = {
      buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
      callback: (length, buffer) => {
        this.#run(this.#session.receive({ kind: 'bytes', bytes: buffer.subarray(0, length) }));
        return true;
      },
    };
  }

  get extensions(): ClientExtensions {
    return this.#session.extensions;
  }

  get usable(): boolean {
    return this.#session.usable;
  }

  get depth(): number {
    return this.#session.depth;
  }

  get completed(): number {
    return this.#session.completed;
  }

  get idleSinceMs(): number | undefined {
    return this.#idleSinceMs;
  }

  attach(socket: Socket): void {
    this.#socket = socket;
    this.#expectWithin(this.#timeouts.connectMs);
    socket.once('connect', () => {
      this.#connected = true;
      this.#expectWithin(this.#timeouts.bannerMs);
    });
    socket.on('drain', () => this.#resumeStream?.());
    socket.on('error', (error) => (this.#problem = describeSocketError(error)));
    socket.once('end', () => this.#run(this.#session.receive({ kind: 'eof' })));
    socket.once('close', () => this.#socketClosed());
  }

  /** The socket could not even be made: a bad address or port. */
  refuse(error: unknown): void {
    this.#problem = error instanceof Error ? describeSocketError(error) : String(error);
    this.#socketClosed();
  }

  send(message: SmtpMessage): Promise<SendResult> {
    return new Promise((resolve) => {
      const outgoing = new OutgoingContent(message, resolve);
      this.#idleSinceMs = undefined;
      const fault = outgoing.prepare();
      if (fault === undefined) this.#run(this.#session.submit(outgoing));
      else resolve({ recipients: message.recipients.map((address) => ({ address, stage: fault.stage, fault })) });
    });
  }

  quit(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.onClose(resolve));
    this.#run(this.#session.quit());
    return closed;
  }

  destroy(): void {
    this.#problem ??= 'connection given up by this side';
    this.#socket?.destroy();
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener();
    else this.#closeListeners.push(listener);
  }

  #run(outputs: readonly ClientOutput<OutgoingContent>[]): void {
    for (const output of outputs) {
      switch (output.kind) {
        case 'write':
          this.#unwritten.push(output.text);
          break;
        case 'content':
          this.#unwritten.push(output.transaction);
          break;
        case 'ready':
          this.#idleSinceMs = Date.now();
          this.#outcome.ready();
          break;
        case 'failed':
          this.#failGreeting(output.fault, output.reply);
          break;
        case 'result':
          if (this.#session.depth === 0) this.#idleSinceMs = Date.now();
          output.transaction.settle({ recipients: output.recipients });
          break;
        case 'close':
          if (output.polite) this.#socket?.destroySoon();
          else this.#socket?.destroy();
          break;
      }
    }
    this.#write();
    this.#awaitReply();
  }

  #failGreeting(fault: ClientFault, reply: Reply | undefined): void {
    if (this.#connected) {
      this.#outcome.failed(fault, reply);
      return;
    }
    const message = this.#problem ?? (fault.reason === 'timeout' ? 'connection timed out' : fault.message);
    const reason = fault.reason === 'timeout' ? 'timeout' : 'unreachable';
    this.#outcome.failed({ stage: 'connect', reason, progress: 'none', enhanced: '4.4.1', message });
  }

  /** Everything that can go now, in one write; stops at a content that has to be streamed. */
  #write(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#streaming || this.#unwritten.length === 0) return;
    const parts: (string | Uint8Array)[] = [];
    let streamed: OutgoingContent | undefined;
    let taken = 0;
    for (const item of this.#unwritten) {
      taken += 1;
      if (typeof item === 'string') {
        parts.push(item);
      } else if (item.prepared === undefined) {
        streamed = item;
        break;
      } else {
        parts.push(item.prepared);
        this.#session.contentWritten(item);
      }
    }
    this.#unwritten.splice(0, taken);
    if (parts.length > 0 && socket.writable) socket.write(joined(parts));
    if (streamed !== undefined) void this.#stream(streamed, socket);
  }

  async #stream(content: OutgoingContent, socket: Socket): Promise<void> {
    this.#streaming = true;
    try {
      for await (const block of content.blocks()) {
        if (this.#closed || !socket.writable) return;
        this.#expectWithin(this.#timeouts.blockMs);
        if (!socket.write(block)) await this.#drained();
      }
      if (this.#isClosed()) return;
      this.#session.contentWritten(content);
      this.#expectWithin(this.#timeouts.contentMs);
    } catch (error) {
      this.#run(this.#session.contentFailed(error instanceof Error ? error.message : String(error)));
    } finally {
      this.#streaming = false;
      this.#write();
    }
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#resumeStream = resolve;
      if (this.#closed) resolve();
    });
  }

  #awaitReply(): void {
    if (this.#streaming || this.#closed || !this.#connected) return;
    const wait = this.#session.waitsFor;
    if (wait === 'idle') this.#deadlineMs = NEVER;
    else this.#expectWithin(this.#timeoutMs(wait));
  }

  #timeoutMs(wait: Exclude<ClientWait, 'idle'>): number {
    return this.#timeouts[`${wait}Ms`];
  }

  #expectWithin(timeoutMs: number): void {
    this.#deadlineMs = Date.now() + timeoutMs;
    if (this.#deadlineMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#setTimer(timeoutMs);
  }

  #setTimer(delayMs: number): void {
    this.#timerAtMs = Date.now() + delayMs;
    this.#timer = setTimeout(() => {
      this.#timerAtMs = NEVER;
      const leftMs = this.#deadlineMs - Date.now();
      if (this.#closed || leftMs === NEVER) return;
      if (leftMs > 0) this.#setTimer(leftMs);
      else this.#expired();
    }, delayMs);
  }

  #expired(): void {
    this.#deadlineMs = NEVER;
    this.#run(this.#session.receive({ kind: 'timeout' }));
    this.#socket?.destroy();
  }

  #socketClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    const message = this.#problem;
    this.#run(this.#session.receive(message === undefined ? { kind: 'eof' } : { kind: 'eof', message }));
    this.#resumeStream?.();
    for (const listener of this.#closeListeners.splice(0)) listener();
  }
}

function joined(parts: readonly (string | Uint8Array)[]): string | Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}
