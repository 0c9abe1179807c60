/**
 * Drives one `SmtpServerSession` over one socket: octets in, replies out, hooks asked in between, both directions
 * under back-pressure. What the protocol is, is not here.
 *
 * Replies of one received chunk leave in one write (RFC 2920 s3.2). Nothing is read from a client while its replies
 * pile up, while the sink asks for patience, or while too much waits for an answer. A hook or a sink that throws costs
 * its question only: 451.
 */
import type { Socket } from 'node:net';
import { SmtpServerSession, replyFor } from '#smtp-core';
import type {
  Answer,
  AuthFacts,
  CloseReason,
  Question,
  QuestionId,
  RefusedCommand,
  Reply,
  SessionInput,
  SessionOutput,
  TlsFacts,
} from '#smtp-core';
import { Answerer } from './answerer.js';
import type { Arrival } from './arrive.js';
import type { AnyAnswer } from './ask-hooks.js';
import { sessionOptionsOf, type ConnectionHost } from './connection-host.js';
import { ContentPipe } from './content-pipe.js';
import { Deadlines } from './deadlines.js';
import type { Endpoint, ServerSession, SessionTraffic, XclientFacts } from './hooks.js';
import { Flow, type FlowOwner } from './flow.js';
import { Outbox } from './outbox.js';
import type { HandshakeResult } from './tls-handshake.js';
import { attach, detach, type WireOwner } from './wire.js';

/** How long a closed session's socket may take to deliver the last reply. */
const LINGER_MS = 5_000;

export class Connection implements ServerSession, WireOwner, FlowOwner {
  readonly peer: Endpoint;
  readonly startedAtMs = Date.now();
  state: unknown = undefined;

  readonly #host: ConnectionHost;
  readonly #session: SmtpServerSession;
  readonly #deadlines: Deadlines;
  readonly #outbox: Outbox;
  readonly #flow: Flow;
  readonly #answerer: Answerer;
  readonly #queue: SessionOutput[] = [];
  readonly #content = new ContentPipe();
  #socket: Socket;
  #pumping = false;
  /** A hook, a sink or a handshake is under way. */
  #waiting = false;
  #bytesIn = 0;
  #destroyAtMs = Number.POSITIVE_INFINITY;

  constructor(host: ConnectionHost, { socket, client, peer, local, tls }: Arrival) {
    this.#host = host;
    this.#socket = socket;
    this.#outbox = new Outbox(socket);
    this.#flow = new Flow(this, { socket, outbox: this.#outbox, turns: host.turns, limits: host.limits });
    this.#answerer = new Answerer(host, this, { client, local });
    this.peer = peer;
    this.#session = new SmtpServerSession(sessionOptionsOf(host, client, tls));
    this.#deadlines = new Deadlines(host.limits, host.clock.nowMs);
  }

  get client(): Endpoint {
    return this.#answerer.client;
  }

  get local(): Endpoint {
    return this.#answerer.local;
  }

  get listener(): string {
    return this.#host.settings.name ?? '';
  }

  get helo(): string | undefined {
    return this.#session.helo ?? this.#answerer.xclient?.helo;
  }

  get protocol(): 'SMTP' | 'ESMTP' {
    return this.#session.protocol;
  }

  get tls(): TlsFacts | undefined {
    return this.#session.tls;
  }

  get auth(): AuthFacts | undefined {
    return this.#session.auth;
  }

  get earlyTalker(): boolean {
    return this.#session.earlyTalker;
  }

  get xclient(): XclientFacts | undefined {
    return this.#answerer.xclient;
  }

  get counters(): SessionTraffic {
    return { ...this.#session.counters, bytesIn: this.#bytesIn, bytesOut: this.#outbox.bytes };
  }

  start(): void {
    attach(this.#socket, this);
    this.#queue.push(...this.#session.start());
    this.#pump(0);
  }

  onBytes(bytes: Buffer): void {
    if (this.#flow.putsOff(bytes)) return;
    this.#bytesIn += bytes.length;
    this.#receive({ kind: 'bytes', bytes }, bytes.length);
  }

  onDrain(): void {
    this.#pump(0);
  }

  onEnd(): void {
    this.#answerer.greetNow();
    this.#receive({ kind: 'eof' });
  }

  onGone(): void {
    this.#host.gone(this);
    this.#answerer.greetNow();
    this.#receive({ kind: 'lost' });
  }

  close(reply: Reply = replyFor('shutting-down')): void {
    this.#answerer.greetNow();
    this.#receive({ kind: 'close', reply, reason: 'shutdown', when: 'now' });
  }

  /** 421 as soon as no transaction is open. */
  closeWhenIdle(): void {
    this.#answerer.greetNow();
    this.#receive({ kind: 'close', reply: replyFor('shutting-down'), reason: 'shutdown', when: 'idle' });
  }

  /** 421 if it can still be told, and the socket is gone. */
  cut(): void {
    this.close();
    if (!this.#host.handshakes.has(this.#socket)) this.#socket.destroySoon();
    this.#destroyAtMs = 0;
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#destroyAtMs) this.#host.handshakes.destroy(this.#socket);
    else if (!this.#deadlines.expired(this.#session, nowMs)) return;
    // A question that waits for the client to read its replies does not keep the session open.
    else if (this.#session.awaits !== 'answer') this.#receive({ kind: 'timeout' });
    else this.#receive({ kind: 'close', reply: replyFor('timeout'), reason: 'timeout', when: 'now' });
  }

  #receive(input: SessionInput, receivedBytes = 0): void {
    this.#feed(input);
    this.#pump(receivedBytes);
  }

  #feed(input: SessionInput): void {
    try {
      this.#queue.push(...this.#session.receive(input));
    } catch (error) {
      this.#host.bug(error, this);
      this.#end421();
    }
  }

  // One at a time, in order; a hook that closes the session or answers at once only adds to the queue.
  #pump(receivedBytes: number): void {
    if (this.#pumping) return;
    this.#pumping = true;
    do this.#carryOutQueue();
    while (this.#queue.length === 0 && this.#session.awaits === 'turn' && !this.#waiting && this.#takeTurn());
    this.#pumping = false;
    this.#outbox.flush();
    // What the system took at once is told by no `drain`.
    const isUnfinished = this.#queue.length > 0 || this.#session.awaits === 'turn';
    if (isUnfinished && !this.#waiting && !this.#flow.isClogged) this.#flow.rest();
    this.#flow.regulate(this.#waiting && this.#session.awaits !== 'answer', this.#session.heldBytes);
    this.#deadlines.observe(this.#session, this.#host.clock.nowMs, receivedBytes, this.#waiting);
  }

  #carryOutQueue(): void {
    let done = 0;
    while (!this.#waiting && done < this.#queue.length) {
      const output = this.#queue[done];
      if (output === undefined || (output.kind === 'ask' && this.#mustRest())) break;
      done += 1;
      this.#carryOut(output);
    }
    if (done === this.#queue.length) this.#queue.length = 0;
    else this.#queue.splice(0, done);
  }

  /** Lets the session read on; false when it has to wait. */
  #takeTurn(): boolean {
    if (this.#mustRest()) return false;
    this.#feed({ kind: 'go-on' });
    return true;
  }

  /** INVARIANT (bounded): replies pile up by what one question adds to `maxWriteBufferBytes`, not by what one read brings. */
  #mustRest(): boolean {
    return this.#session.awaits !== 'nothing' && !this.#socket.destroyed && this.#flow.mustRest();
  }

  #carryOut(output: SessionOutput): void {
    switch (output.kind) {
      case 'reply':
        this.#outbox.add(output.reply);
        this.#tellRefused(output.refused, output.reply);
        return;
      case 'ask':
        this.#ask(output);
        return;
      case 'content':
        this.#giveContent(output.bytes);
        return;
      case 'start-tls':
        this.#startTls();
        return;
      case 'transaction-ended':
        this.#endTransaction(output);
        return;
      case 'close':
        this.#end(output.reason);
        return;
    }
  }

  #ask({ id, question }: Extract<SessionOutput, { kind: 'ask' }>): void {
    const tooLate = this.#session.awaits === 'nothing' || (question.kind === 'message' && this.#socket.destroyed);
    if (tooLate) {
      this.#askNobody(id, question.kind);
      return;
    }
    const isComplete = question.kind !== 'message' || this.#content.complete();
    if (!isComplete) {
      this.#answerFault(id, question.kind);
      return;
    }
    try {
      const answer = this.#answerer.answer(question);
      if (!(answer instanceof Promise)) this.#takeAnswer(id, answer);
      else {
        this.#await(
          answer.then((given) => {
            this.#takeAnswer(id, given);
          }),
          () => {
            this.#answerFault(id, question.kind);
          },
        );
      }
    } catch (error) {
      this.#host.bug(error, this);
      this.#answerFault(id, question.kind);
    }
  }

  #takeAnswer(id: QuestionId, answer: AnyAnswer): void {
    if ('sink' in answer && this.#session.awaits === 'nothing') answer.sink.abort();
    else if ('sink' in answer) this.#content.open(answer.sink);
    this.#queue.push(...this.#session.receive({ kind: 'answer', to: id, answer }));
  }

  /** What went wrong here is no fault of the client, who may come again. */
  #answerFault(id: QuestionId, kind: Question['kind']): void {
    const reply = this.#answerer.faultReply(kind, (plain) => this.#session.named(plain));
    if (kind === 'message') this.#endTransaction({ kind: 'transaction-ended', why: 'fault', reply });
    this.#feed({ kind: 'answer', to: id, answer: { effect: 'refuse', reply } });
  }

  /**
   * INVARIANT (nothing carried over): reading stops before the 220 leaves. What came before that is an injection and ends
   * the session; what comes after it is for TLS alone. RFC 3207 s4.2.
   */
  #startTls(): void {
    const raw = this.#socket;
    const { settings, handshakes, limits } = this.#host;
    detach(raw);
    const isInjected = raw.readableLength > 0;
    this.#outbox.flush();
    if (settings.tls === undefined || isInjected) raw.destroy();
    if (settings.tls === undefined) this.#takeTls({ ok: false });
    else {
      const handshake = handshakes.begin(raw, settings.tls, limits).then((result) => {
        this.#takeTls(result);
      });
      this.#await(handshake, () => {
        this.#end421();
      });
    }
  }

  #takeTls(result: HandshakeResult): void {
    if (!result.ok) {
      this.#host.gone(this);
      this.#queue.push(...this.#session.receive({ kind: 'lost' }));
      return;
    }
    this.#socket = result.socket;
    this.#outbox.moveTo(result.socket);
    this.#flow.moveTo(result.socket);
    this.#queue.push(...this.#session.receive({ kind: 'tls-established', tls: result.tls }));
    attach(result.socket, this);
  }

  // The session was closed, or its client left, before the question could be put: nothing more is begun for it.
  #askNobody(id: QuestionId, kind: Question['kind']): void {
    const isTold = this.#queue.some((output) => output.kind === 'transaction-ended');
    if (kind === 'message' && !isTold) {
      this.#endTransaction({ kind: 'transaction-ended', why: this.#socket.destroyed ? 'lost' : 'closed' });
    }
    const answer: Answer = { effect: 'refuse', reply: replyFor('internal-error') };
    this.#queue.push(...this.#session.receive({ kind: 'answer', to: id, answer }));
  }

  #giveContent(bytes: Uint8Array): void {
    if (this.#session.awaits === 'nothing') return;
    try {
      const written = this.#content.write(bytes);
      if (written instanceof Promise) {
        this.#await(written, () => {
          this.#failContent();
        });
      }
    } catch (error) {
      this.#host.bug(error, this);
      this.#failContent();
    }
  }

  #failContent(): void {
    this.#tell(() => {
      this.#content.fail();
    });
  }

  /** Nothing goes on before `settling` has settled. `failed` is called when it rejects. */
  #await(settling: Promise<unknown>, failed: () => void): void {
    this.#waiting = true;
    const goOn = (): void => {
      this.#waiting = false;
      this.#pump(0);
    };
    settling.then(goOn, (error: unknown) => {
      this.#host.bug(error, this);
      failed();
      goOn();
    });
  }

  #tellRefused(command: RefusedCommand | undefined, reply: Reply): void {
    if (command) this.#tell(() => this.#host.hooks.commandRefused?.(this, command, reply));
  }

  #endTransaction({ why, reply }: Extract<SessionOutput, { kind: 'transaction-ended' }>): void {
    this.#tell(() => {
      this.#content.abort();
      this.#host.hooks.transactionEnded?.(this, why, reply);
    });
  }

  #end(reason: CloseReason): void {
    // A client that reads no replies is not waited for. (Asked before the last reply is added.)
    const isDeaf = reason === 'timeout' && this.#outbox.waitingBytes > 0;
    this.#outbox.flush();
    this.#tell(() => {
      const leaving = this.#answerer.leave();
      if (leaving instanceof Promise) this.#await(leaving, () => undefined);
    });
    this.#destroyAtMs = Math.min(this.#destroyAtMs, this.#host.clock.nowMs + LINGER_MS);
    // Reading goes on to the end: closing with unread octets would reset the connection under the last reply.
    if (isDeaf) this.#socket.destroy();
    else this.#socket.end();
    this.#tell(() => this.#host.hooks.sessionEnded?.(this, reason));
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#host.bug(error, this);
    }
  }

  #end421(): void {
    const reply = replyFor('internal-error');
    this.#queue.push(...this.#session.receive({ kind: 'close', reply, reason: 'internal-error', when: 'now' }));
  }
}
