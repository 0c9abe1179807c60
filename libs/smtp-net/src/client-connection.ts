/**
 * One outbound connection: drives `SmtpClientSession` with a socket and one timer. Carries the machine's outputs out in
 * order, envelope and content in one write; shakes hands and signs in when the machine asks. See `client.ts`.
 *
 * INVARIANT (TLS stays): once the handshake began, the socket below it is never read or written again.
 * Time-outs: one deadline per awaited reply, kept by one timer that is moved lazily, so that a message costs none.
 */
import type { OnReadOpts, Socket } from 'node:net';
import { SmtpClientSession } from '#smtp-core';
import type { ClientExtensions, ClientFault, ClientOutput, ClientSessionOptions, ClientWait, Reply } from '#smtp-core';
import type { SendResult, SmtpConnection, SmtpConnectOptions, SmtpMessage, SmtpTimeouts } from './client.js';
import { OutgoingContent } from './client-content.js';
import { describeSocketError } from './client-faults.js';
import { LazyDeadline } from './client-deadline.js';
import { SASL_MECHANISMS } from './client-sasl.js';
import { SignIn } from './client-sign-in.js';
import { describeTlsError, evidenceOf, secure } from './client-tls.js';
import type { SmtpTlsOptions, TlsEvidence } from './client-tls.js';

const READ_BUFFER_BYTES = 4096;

export interface ConnectionOutcome {
  ready(): void;
  failed(fault: ClientFault, reply?: Reply): void;
}

interface Content {
  readonly content: OutgoingContent;
  readonly chunked: boolean;
}

export class ClientConnection implements SmtpConnection {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** Incoming octets land in one buffer of the connection; the machine copies what it keeps. */
  readonly reading: OnReadOpts;
  readonly #options: SmtpConnectOptions;
  readonly #timeouts: SmtpTimeouts;
  readonly #session: SmtpClientSession<OutgoingContent>;
  readonly #outcome: ConnectionOutcome;
  readonly #deadline = new LazyDeadline(() => this.#expired());
  readonly #closeListeners: (() => void)[] = [];
  /** Outputs not yet written, in order; grows only while a content is being streamed. */
  readonly #unwritten: (string | Content)[] = [];
  #socket: Socket | undefined;
  #connected = false;
  #shakingHands = false;
  #tls: TlsEvidence | undefined;
  #signIn: SignIn | undefined;
  #closed = false;
  #streaming = false;
  #resumeStream: (() => void) | undefined;
  #problem: string | undefined;
  #idleSinceMs: number | undefined;

  constructor(options: SmtpConnectOptions, timeouts: SmtpTimeouts, outcome: ConnectionOutcome) {
    this.host = options.host;
    this.address = options.address;
    this.port = options.port;
    this.#options = options;
    this.#timeouts = timeouts;
    this.#outcome = outcome;
    this.#session = new SmtpClientSession(sessionOptions(options));
    this.reading = {
      buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
      callback: (length, buffer) => {
        this.#received(buffer.subarray(0, length));
        return true;
      },
    };
  }

  get tls(): TlsEvidence | undefined {
    return this.#tls;
  }

  get plaintextBecause(): string | undefined {
    return this.#session.plaintextBecause;
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
    this.#deadline.within(this.#timeouts.connectMs);
    socket.once('connect', () => {
      this.#connected = true;
      const { tls } = this.#options;
      if (tls?.mode === 'implicit') this.#secure(tls);
      else this.#deadline.within(this.#timeouts.bannerMs);
    });
    // Without TLS to come, octets land in `reading`.
    if (this.#options.tls !== undefined) socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('drain', () => this.#resumeStream?.());
    socket.on('error', (error) => (this.#problem = describeSocketError(error)));
    socket.once('end', () => this.#run(this.#session.receive({ kind: 'eof' })));
    socket.once('close', () => this.#socketClosed());
  }

  #received(bytes: Uint8Array): void {
    this.#run(this.#session.receive({ kind: 'bytes', bytes }));
  }

  #secure(tls: SmtpTlsOptions): void {
    const plain = this.#socket;
    if (plain === undefined) return;
    for (const event of ['data', 'drain', 'error', 'end', 'close']) plain.removeAllListeners(event);
    plain.on('error', () => undefined);
    this.#shakingHands = true;
    this.#deadline.within(this.#timeouts.tlsMs);
    const socket = secure(plain, tls);
    this.#socket = socket;
    socket.once('secureConnect', () => {
      this.#shakingHands = false;
      socket.removeAllListeners('error');
      socket.removeAllListeners('close');
      this.#listen(socket);
      socket.on('data', (chunk: Buffer) => this.#received(chunk));
      this.#secured(evidenceOf(socket, tls.serverName), tls);
    });
    socket.once('error', (error: Error) => this.#tlsFailed(describeTlsError(error)));
    socket.once('close', () => {
      this.#tlsFailed('TLS handshake failed: connection closed by the server');
      this.#socketClosed();
    });
  }

  #secured(evidence: TlsEvidence, tls: SmtpTlsOptions): void {
    if (tls.require === 'verified' && !evidence.verified) {
      this.#tlsFailed(`TLS is not verified: ${evidence.why ?? 'the certificate is not valid'}`);
      return;
    }
    this.#tls = evidence;
    if (tls.mode === 'implicit') this.#deadline.within(this.#timeouts.bannerMs);
    else this.#run(this.#session.receive({ kind: 'tls-established' }));
  }

  #tlsFailed(message: string): void {
    this.#shakingHands = false;
    this.#run(this.#session.receive({ kind: 'tls-failed', message }));
    this.#socket?.destroy();
  }

  async #authenticate(mechanism: string, challenge: Buffer | undefined): Promise<void> {
    if (this.#options.auth === undefined) throw new Error('broken invariant: nobody asked to sign in');
    this.#signIn ??= new SignIn(this.#options.auth);
    this.#run(this.#session.receive(await this.#signIn.answer(mechanism, challenge, this.#tls)));
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
          this.#unwritten.push({ content: output.transaction, chunked: output.chunked });
          break;
        case 'start-tls':
          this.#startTls();
          break;
        case 'authenticate':
          void this.#authenticate(output.mechanism, output.challenge);
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

  #startTls(): void {
    const { tls } = this.#options;
    if (tls === undefined) throw new Error('broken invariant: the machine starts no TLS that nobody asked for');
    this.#secure(tls);
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
    let streamed: Content | undefined;
    let taken = 0;
    for (const item of this.#unwritten) {
      taken += 1;
      if (typeof item === 'string') {
        parts.push(item);
      } else {
        const prepared = item.content.prepared(item.chunked);
        if (prepared === undefined) {
          streamed = item;
          break;
        }
        parts.push(...prepared);
        this.#session.contentWritten(item.content);
      }
    }
    this.#unwritten.splice(0, taken);
    if (parts.length > 0 && socket.writable) socket.write(joined(parts));
    if (streamed !== undefined) void this.#stream(streamed, socket);
  }

  async #stream({ content, chunked }: Content, socket: Socket): Promise<void> {
    this.#streaming = true;
    try {
      for await (const block of content.blocks(chunked)) {
        if (this.#closed || !socket.writable) return;
        this.#deadline.within(this.#timeouts.blockMs);
        if (!socket.write(block)) await this.#drained();
      }
      if (this.#isClosed()) return;
      this.#session.contentWritten(content);
      this.#deadline.within(this.#timeouts.contentMs);
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
    if (this.#streaming || this.#closed || !this.#connected || this.#shakingHands) return;
    const wait = this.#session.waitsFor;
    if (wait === 'idle') this.#deadline.clear();
    else this.#deadline.within(this.#timeoutMs(wait));
  }

  #timeoutMs(wait: Exclude<ClientWait, 'idle'>): number {
    return this.#timeouts[`${wait}Ms`];
  }

  #expired(): void {
    if (this.#shakingHands) this.#tlsFailed('TLS handshake timed out');
    else this.#run(this.#session.receive({ kind: 'timeout' }));
    this.#socket?.destroy();
  }

  #socketClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline.stop();
    const message = this.#problem;
    this.#run(this.#session.receive(message === undefined ? { kind: 'eof' } : { kind: 'eof', message }));
    this.#resumeStream?.();
    for (const listener of this.#closeListeners.splice(0)) listener();
  }
}

function joined(parts: readonly (string | Uint8Array)[]): string | Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  let length = 0;
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length;
  const whole = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'string') at += whole.write(part, at);
    else {
      whole.set(part, at);
      at += part.length;
    }
  }
  return whole;
}

function sessionOptions({ heloName, protocol, chunking, tls, auth }: SmtpConnectOptions): ClientSessionOptions {
  const startTls = tls?.require === 'opportunistic' ? 'opportunistic' : 'required';
  return {
    heloName,
    ...(protocol === undefined ? {} : { protocol }),
    ...(chunking === undefined ? {} : { chunking }),
    ...(tls?.mode === 'starttls' ? { startTls } : {}),
    ...(auth === undefined ? {} : { authMechanisms: auth.mechanisms ?? SASL_MECHANISMS }),
  };
}
