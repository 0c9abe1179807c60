/**
 * The outbound SMTP machine, without sockets or clocks: octets, ends and time-outs in, writes and results out.
 * RFC 5321 s3, s4.1, s4.2; RFC 2920 (pipelining); RFC 2033 (LMTP). How a session begins is `client-greeting.ts`, what
 * MAIL and RCPT carry `client-parameters.ts`.
 *
 * Where the server pipelines, MAIL, RCPT and DATA leave as one group, and the envelope of the next transaction follows
 * the content of the one before it in the same write. Every submitted transaction gets exactly one `result`, whatever
 * happens. Outputs must be carried out in order; `content` stands for the stuffed content and its terminator, and the
 * driver calls `contentWritten` once the terminator is handed to the network.
 */
import { ClientEnvelope } from './client-envelope.js';
import type { ClientFault, ClientStage } from './client-envelope.js';
import { NO_EXTENSIONS } from './client-extensions.js';
import type { ClientExtensions } from './client-extensions.js';
import { ClientGreeting } from './client-greeting.js';
import type { GreetingMove } from './client-greeting.js';
import { isGreeting, STAGES } from './client-io.js';
import type { ClientInput, ClientOutput, ClientSessionOptions, ClientVerb, ClientWait, Expected } from './client-io.js';
import { ClientOutbox } from './client-outbox.js';
import { unsupportedBy, wantsChunks } from './client-parameters.js';
import type { ClientTransaction } from './client-parameters.js';
import { isPositive } from './reply.js';
import type { Reply } from './reply.js';
import { ReplyReader } from './reply-reader.js';
import type { ReplyLimits } from './reply-reader.js';

export class SmtpClientSession<T extends ClientTransaction = ClientTransaction> {
  readonly #greeting: ClientGreeting;
  readonly #replyLimits: ReplyLimits | undefined;
  readonly #lmtp: boolean;
  readonly #chunking: boolean;
  #reader: ReplyReader;
  #handshake = false;
  readonly #outbox = new ClientOutbox<T>();
  readonly #waiting: T[] = [];
  /** Transactions on the wire: at most the one whose content is being sent and the next one's envelope. */
  readonly #active: ClientEnvelope<T>[] = [];
  #state: 'greeting' | 'ready' | 'quitting' | 'closed' = 'greeting';
  #extensions: ClientExtensions = NO_EXTENSIONS;
  #mustReset = false;
  #completed = 0;

  constructor(options: ClientSessionOptions) {
    this.#greeting = new ClientGreeting(options);
    this.#lmtp = options.protocol === 'lmtp';
    this.#chunking = !this.#lmtp && options.chunking !== false;
    this.#replyLimits = options.replyLimits;
    this.#reader = new ReplyReader(options.replyLimits);
  }

  /** Why a session that should have been encrypted is not, where that was allowed. */
  get plaintextBecause(): string | undefined {
    return this.#greeting.plaintextBecause;
  }

  get extensions(): ClientExtensions {
    return this.#extensions;
  }

  get waitsFor(): ClientWait {
    const head = this.#outbox.expected[0];
    if (head !== undefined) return STAGES[head.verb];
    return this.#handshake ? 'tls' : 'idle';
  }

  get usable(): boolean {
    return this.#state === 'ready';
  }

  /** Transactions submitted and not yet answered. */
  get depth(): number {
    return this.#active.length + this.#waiting.length;
  }

  /** Transactions that ended with a reply of the server. */
  get completed(): number {
    return this.#completed;
  }

  receive(input: ClientInput): readonly ClientOutput<T>[] {
    if (this.#state === 'closed') return [];
    switch (input.kind) {
      case 'bytes':
        this.#receiveBytes(input.bytes);
        break;
      case 'eof':
        this.#fail('lost', '4.4.2', input.message ?? 'connection closed by the server');
        break;
      case 'timeout':
        this.#fail('timeout', '4.4.2', `no reply in time, waited for ${this.#awaited()}`);
        break;
      case 'tls-established':
        this.#handshake = false;
        this.#reader = new ReplyReader(this.#replyLimits);
        this.#move(this.#greeting.tlsEstablished());
        break;
      case 'tls-failed':
        this.#failWith({ ...this.#fault('tls', '4.7.5', input.message), stage: 'tls' });
        break;
      case 'auth-response':
        this.#move(this.#greeting.authResponse(input.response, input.mayEnd));
        break;
      case 'auth-impossible':
        this.#move(this.#greeting.authImpossible(input.message, input.enhanced));
        break;
    }
    return this.#outbox.take();
  }

  /** May be called at any time; on a session that is closed the result is immediate. */
  submit(transaction: T): readonly ClientOutput<T>[] {
    if (this.#state === 'quitting' || this.#state === 'closed') {
      this.#unsent(transaction, this.#closedFault());
      return this.#outbox.take();
    }
    this.#waiting.push(transaction);
    this.#startNext();
    return this.#outbox.take();
  }

  /** The terminator of this content is on its way: from now on a lost connection leaves the outcome uncertain. */
  contentWritten(transaction: T): void {
    for (const envelope of this.#active) if (envelope.transaction === transaction) envelope.progress = 'sent';
  }

  /** The driver could not produce the content; without a terminator the server has nothing, the connection is spent. */
  contentFailed(message: string): readonly ClientOutput<T>[] {
    if (this.#state !== 'closed') this.#fail('content', '4.3.0', message);
    return this.#outbox.take();
  }

  /** Ends politely once nothing is in flight; transactions not yet begun are given back. */
  quit(): readonly ClientOutput<T>[] {
    if (this.#state === 'greeting') this.#fail('closed', '4.4.2', 'connection was given up');
    if (this.#state !== 'ready') return this.#outbox.take();
    this.#state = 'quitting';
    for (const transaction of this.#waiting.splice(0)) {
      this.#unsent(transaction, this.#closedFault());
    }
    this.#quitWhenIdle();
    return this.#outbox.take();
  }

  #receiveBytes(bytes: Uint8Array): void {
    const replies = this.#reader.read(bytes);
    for (let at = 0; at < replies.length && !this.#handshake; at += 1) {
      const reply = replies[at];
      if (reply !== undefined) this.#take(reply);
      if (this.#isClosed()) return;
      // INVARIANT (nothing before TLS is believed after it): octets behind the 220 came from whoever is on the line.
      if (this.#isShakingHands() && at === replies.length - 1 && this.#reader.idle) return;
    }
    if (this.#isShakingHands()) {
      this.#fail('protocol', '4.7.5', 'the server sent octets between its reply to STARTTLS and TLS');
      return;
    }
    const fault = this.#reader.fault;
    if (fault !== undefined) this.#fail('protocol', '4.5.0', `reply cannot be read: ${fault}`);
  }

  #isShakingHands(): boolean {
    return this.#handshake;
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #take(reply: Reply): void {
    const expected = this.#outbox.expected.shift();
    if (expected === undefined) {
      this.#fail('closed', '4.4.2', `server ended the session: ${String(reply.code)}`);
      return;
    }
    if (expected.verb === 'quit') this.#close(true);
    else if (expected.envelope === undefined) this.#takeGreeting(expected.verb, reply);
    else this.#takeTransaction(expected, expected.envelope, reply);
    if (this.#state === 'quitting') this.#quitWhenIdle();
  }

  #takeGreeting(verb: ClientVerb, reply: Reply): void {
    if (isGreeting(verb)) this.#move(this.#greeting.take(verb, reply));
    else throw new Error('broken invariant: a command of a transaction belongs to an envelope');
  }

  #move(move: GreetingMove): void {
    switch (move.kind) {
      case 'say':
        this.#outbox.command(move.text, { verb: move.verb, index: 0 });
        break;
      case 'start-tls':
        this.#handshake = true;
        this.#outbox.emit(move);
        break;
      case 'authenticate':
        this.#outbox.emit(move);
        break;
      case 'ready':
        this.#extensions = move.extensions;
        this.#state = 'ready';
        this.#outbox.emit(move);
        this.#startNext();
        break;
      case 'failed':
        this.#failWith(move.fault, move.reply);
        break;
    }
  }

  #takeTransaction(expected: Expected<T>, envelope: ClientEnvelope<T>, reply: Reply): void {
    const { verb } = expected;
    if (verb === 'rset' && !isPositive(reply)) {
      this.#fail('protocol', '4.5.0', `RSET was refused with ${String(reply.code)}`, verb);
      return;
    }
    const intermediate = reply.code >= 300 && reply.code < 400;
    if (intermediate !== (verb === 'data') && !(verb === 'data' && reply.code >= 400)) {
      this.#fail('protocol', '4.5.0', `unexpected reply ${String(reply.code)} to ${verb}`, verb);
      return;
    }
    if (verb === 'mail') envelope.mail(reply);
    else if (verb === 'rcpt') this.#takeRcpt(envelope, reply, expected.index);
    else if (verb === 'data') this.#takeData(envelope, reply);
    else if (verb === 'content') this.#takeContent(envelope, reply, expected.index);
    else if (verb === 'empty-content') this.#finish(envelope);
    if (reply.code === 421 && this.#state !== 'closed') this.#endedBy421(envelope, STAGES[verb], reply);
    else if (!this.#extensions.pipelining) this.#stepEnvelope(envelope);
  }

  #takeRcpt(envelope: ClientEnvelope<T>, reply: Reply, index: number): void {
    envelope.rcpt(index, reply);
    if (reply.code === 421 || !envelope.chunked || !this.#extensions.pipelining) return;
    if (envelope.answered) this.#sendChunk(envelope);
  }

  /** RFC 3030 s2: the whole content as one chunk, known to be the last; no 354 is waited for. */
  #sendChunk(envelope: ClientEnvelope<T>): void {
    if (envelope.muddled) {
      this.#fail('protocol', '4.5.0', 'server accepts recipients of a transaction it refused', 'rcpt');
      return;
    }
    if (envelope.accepted === 0) {
      this.#finish(envelope);
      return;
    }
    this.#outbox.write(`BDAT ${String(envelope.transaction.exactBytes)} LAST\r\n`);
    this.#sendContent(envelope);
  }

  #sendContent(envelope: ClientEnvelope<T>): void {
    envelope.progress = 'content';
    const replies = this.#lmtp ? envelope.acceptedIndices : [0];
    // Behind the replies that were waited for before, and before those to an envelope that follows.
    for (const index of replies) this.#outbox.expected.push({ verb: 'content', envelope, index });
    this.#outbox.emit({ kind: 'content', transaction: envelope.transaction, chunked: envelope.chunked });
    if (this.#extensions.pipelining) this.#startNext();
  }

  #takeData(envelope: ClientEnvelope<T>, reply: Reply): void {
    if (reply.code >= 400) {
      envelope.finish('data', reply);
      this.#finish(envelope);
    } else if (envelope.muddled) {
      this.#fail('protocol', '4.5.0', 'server wants the content of a transaction it refused', 'data');
    } else if (envelope.accepted === 0) {
      // RFC 2920 s3.1: 354 although every recipient was refused; a lone dot ends it.
      envelope.open = false;
      this.#outbox.command('.\r\n', { verb: 'empty-content', envelope, index: 0 });
    } else {
      this.#sendContent(envelope);
    }
  }

  #takeContent(envelope: ClientEnvelope<T>, reply: Reply, index: number): void {
    if (envelope.progress === 'sent') {
      if (this.#lmtp) {
        envelope.content(index, reply);
        // RFC 2033 s4.2: one reply for each recipient that RCPT accepted, in their order.
        const next = this.#outbox.expected[0];
        if (next?.verb === 'content' && next.envelope === envelope) return;
      }
      envelope.finish('content', reply);
      this.#finish(envelope);
      return;
    }
    // A reply in the middle of the content: a refusal is believed, and the octets still to come would be commands.
    if (!isPositive(reply)) envelope.finish('content', reply);
    this.#fail('protocol', '4.5.0', 'server replied before the content was complete', 'content');
  }

  #endedBy421(envelope: ClientEnvelope<T>, stage: ClientStage, reply: Reply): void {
    if (this.#active.includes(envelope)) envelope.finish(stage, reply);
    this.#fail('closed', '4.4.2', 'server ended the session with 421');
  }

  /** Without pipelining: the next command of the envelope, or its end when nothing more makes sense. */
  #stepEnvelope(envelope: ClientEnvelope<T>): void {
    if (this.#outbox.expected.length > 0 || this.#active[0] !== envelope) return;
    const command = envelope.pointless ? undefined : envelope.nextCommand();
    if (command === undefined && envelope.chunked && envelope.answered) this.#sendChunk(envelope);
    else if (command === undefined) this.#finish(envelope);
    else this.#outbox.command(command.text, { verb: command.verb, envelope, index: command.index });
  }

  #startNext(): void {
    while (this.#state === 'ready' && this.#mayStart()) {
      const transaction = this.#waiting.shift();
      if (transaction === undefined) return;
      const fault = unsupportedBy(this.#extensions, transaction);
      if (fault === undefined) this.#begin(transaction);
      else this.#unsent(transaction, { stage: 'mail', reason: 'unsupported', progress: 'none', ...fault });
    }
  }

  #mayStart(): boolean {
    const [first, second] = this.#active;
    if (first === undefined) return true;
    const contentIsOut = first.progress === 'content' || first.progress === 'sent';
    return this.#extensions.pipelining && second === undefined && contentIsOut;
  }

  #begin(transaction: T): void {
    const chunked = this.#chunking && this.#extensions.chunking && wantsChunks(transaction);
    const envelope = new ClientEnvelope(transaction, this.#extensions, { reset: this.#mustReset, chunked });
    this.#mustReset = false;
    this.#active.push(envelope);
    if (!this.#extensions.pipelining) {
      this.#stepEnvelope(envelope);
      return;
    }
    for (let command = envelope.nextCommand(); command !== undefined; command = envelope.nextCommand()) {
      this.#outbox.command(command.text, { verb: command.verb, envelope, index: command.index });
    }
  }

  #finish(envelope: ClientEnvelope<T>): void {
    this.#active.splice(this.#active.indexOf(envelope), 1);
    if (envelope.open) this.#mustReset = true;
    this.#completed += 1;
    this.#outbox.emit({ kind: 'result', transaction: envelope.transaction, recipients: envelope.results() });
    this.#startNext();
  }

  #unsent(transaction: T, fault: ClientFault): void {
    const recipients = transaction.recipients.map((address) => ({ address, stage: fault.stage, fault }));
    this.#outbox.emit({ kind: 'result', transaction, recipients });
  }

  #quitWhenIdle(): void {
    if (this.#state !== 'quitting' || this.#active.length > 0 || this.#outbox.expected.length > 0) return;
    this.#outbox.command('QUIT\r\n', { verb: 'quit', index: 0 });
  }

  #awaited(): string {
    return this.#outbox.expected[0]?.verb ?? (this.#handshake ? 'TLS' : 'nothing');
  }

  #fault(reason: ClientFault['reason'], enhanced: string, message: string): ClientFault {
    const head = this.#outbox.expected[0];
    const stage = this.#state === 'greeting' ? this.#greeting.stage : 'mail';
    return { stage: head === undefined ? stage : STAGES[head.verb], reason, progress: 'none', enhanced, message };
  }

  #closedFault(): ClientFault {
    return { ...this.#fault('closed', '4.4.2', 'connection is closed'), stage: 'mail' };
  }

  #fail(reason: ClientFault['reason'], enhanced: string, message: string, verb?: ClientVerb): void {
    const fault = this.#fault(reason, enhanced, message);
    this.#failWith(verb === undefined ? fault : { ...fault, stage: STAGES[verb] });
  }

  /** Every transaction still open learns its fate; the session is over. */
  #failWith(fault: ClientFault, reply?: Reply): void {
    if (this.#state === 'greeting') {
      this.#outbox.emit({ kind: 'failed', fault, ...(reply === undefined ? {} : { reply }) });
    }
    this.#active.splice(0).forEach((envelope, place) => {
      const { progress } = envelope;
      // An envelope behind the one that failed was waiting for its MAIL reply.
      const stage = place === 0 ? fault.stage : 'mail';
      this.#outbox.emit({
        kind: 'result',
        transaction: envelope.transaction,
        recipients: envelope.results({ ...fault, stage, progress }),
      });
    });
    for (const transaction of this.#waiting.splice(0))
      this.#unsent(transaction, { ...fault, stage: 'mail', progress: 'none' });
    this.#close(false);
  }

  #close(polite: boolean): void {
    this.#state = 'closed';
    this.#outbox.expected.length = 0;
    this.#outbox.emit({ kind: 'close', polite });
  }
}
