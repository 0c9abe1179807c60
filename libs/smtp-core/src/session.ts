/**
 * `SmtpServerSession`: the receiving side of one SMTP conversation. RFC 5321 s3, s4; RFC 2920.
 *
 * Inputs go in, outputs come out, nothing else happens: no socket, no clock, no waiting. Octets may be cut anywhere.
 * The driver carries out the outputs in order and feeds the answers back; while a question is open no further command
 * is read, and what arrives is held (see `heldBytes` for back-pressure).
 *
 * Bad input is answered, never thrown. Thrown is only what the driver's own side did wrong: an answer whose reply does
 * not fit its effect. Not here: STARTTLS, AUTH and BDAT, which are known, refused and never offered.
 */
import type { Command, CommandFault } from './command.js';
import { parseCommand } from './command.js';
import { ContentDecoder } from './content-decoder.js';
import { bannerReply, ehloReply, heloReply } from './extensions.js';
import { LineReader } from './line-reader.js';
import type { LineEvent } from './line-reader.js';
import { DEFAULT_LIMITS } from './limits.js';
import type { SmtpLimits } from './limits.js';
import { IDLE_VERBS, PHASE_TABLE, SYNC_POINTS } from './phase-table.js';
import type { Phase } from './phase-table.js';
import { replyFor } from './reply-catalogue.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import type {
  Answer,
  CloseReason,
  Question,
  QuestionId,
  SessionCounters,
  SessionInput,
  SessionOutput,
  TransactionEnd,
} from './session-io.js';

export interface SessionOptions {
  readonly hostname: string;
  readonly limits?: Partial<SmtpLimits>;
  /** `enforced`: octets waiting behind EHLO or DATA end the session (RFC 2920 s3.1). Default `enforced`. */
  readonly syncPoints?: 'enforced' | 'tolerated';
}

/** Thrown away whole at RSET, EHLO and the end of content; nobody edits it. */
interface Transaction {
  readonly recipients: number;
}

/** What the session waits for: the driver picks its deadline by it. */
export type Awaited = 'answer' | 'command' | 'rest-of-line' | 'content' | 'nothing';

const NO_OUTPUTS: readonly SessionOutput[] = [];

export class SmtpServerSession {
  readonly #options: SessionOptions;
  readonly #limits: SmtpLimits;
  readonly #lines: LineReader;
  readonly #keepContent = (bytes: Uint8Array): void => {
    this.#outputs.push({ kind: 'content', bytes });
  };

  #outputs: SessionOutput[] = [];
  #held: Buffer[] = [];
  #at = 0;
  #heldBytes = 0;
  #swallow = 0;
  #ended: 'eof' | 'lost' | undefined;
  #closing: { readonly reply: Reply; readonly reason: CloseReason } | undefined;
  #closed = false;

  #questionId = 0;
  #question: Question | undefined;
  #helo: string | undefined;
  #protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  #transaction: Transaction | undefined;
  #content: ContentDecoder | undefined;

  #commands = 0;
  #errors = 0;
  #transactions = 0;
  #idleCommands = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#limits = options.limits === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, ...options.limits };
    this.#lines = new LineReader(this.#limits.maxCommandLineBytes);
  }

  get helo(): string | undefined {
    return this.#helo;
  }

  get protocol(): 'SMTP' | 'ESMTP' {
    return this.#protocol;
  }

  get counters(): SessionCounters {
    return { commands: this.#commands, errors: this.#errors, transactions: this.#transactions };
  }

  /** Command lines read so far; what `counters` says, without an object. */
  get commandCount(): number {
    return this.#commands;
  }

  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** Octets received and not read yet, because an answer is awaited. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get awaits(): Awaited {
    if (this.#closed) return 'nothing';
    if (this.#question !== undefined) return 'answer';
    if (this.#content !== undefined) return 'content';
    return this.#lines.partial ? 'rest-of-line' : 'command';
  }

  /** The longest silence the RFC lets us meet with 421 here. RFC 5321 s4.5.3.2. */
  get timeoutMs(): number {
    return this.#content === undefined ? this.#limits.commandTimeoutMs : this.#limits.contentTimeoutMs;
  }

  /** To be called once, first. Asks `connect`. */
  start(): readonly SessionOutput[] {
    this.#ask({ kind: 'connect' });
    return this.#take();
  }

  receive(input: SessionInput): readonly SessionOutput[] {
    if (this.#closed) return NO_OUTPUTS;
    switch (input.kind) {
      case 'bytes':
        this.#receiveBytes(input.bytes);
        break;
      case 'answer':
        this.#receiveAnswer(input.to, input.answer);
        break;
      case 'timeout':
        if (this.#question === undefined) this.#closeWith(replyFor('timeout'), 'timeout');
        break;
      case 'close':
        this.#receiveClose(input.reply, input.reason, input.when);
        break;
      case 'eof':
      case 'lost':
        this.#ended = input.kind;
        if (input.kind === 'lost') this.#dropHeld();
        break;
    }
    this.#run();
    return this.#take();
  }

  #take(): readonly SessionOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  #receiveBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#question?.kind === 'connect') {
      this.#closeWith(replyFor('early-talker'), 'protocol-error');
      return;
    }
    this.#held.push(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#heldBytes += bytes.length;
    // INVARIANT (bounded): only a driver that ignores `heldBytes` can get here.
    if (this.#question !== undefined && this.#heldBytes > this.#limits.maxHeldBytes) {
      this.#closeWith(replyFor('too-much-input'), 'protocol-error');
    }
  }

  #receiveClose(reply: Reply, reason: CloseReason, when: 'now' | 'idle'): void {
    if (when === 'now') this.#closeWith(reply, reason);
    else this.#closing = { reply, reason };
  }

  #dropHeld(): void {
    this.#held = [];
    this.#at = 0;
    this.#heldBytes = 0;
  }

  // Reads on until an answer is needed, the octets are used up, or the session ends.
  #run(): void {
    while (!this.#closed && this.#question === undefined) {
      if (this.#closing !== undefined && this.#transaction === undefined) {
        this.#closeWith(this.#closing.reply, this.#closing.reason);
        return;
      }
      const chunk = this.#held[0];
      if (chunk === undefined) {
        if (this.#ended !== undefined) this.#close(this.#ended);
        return;
      }
      const from = this.#at;
      this.#at = this.#readFrom(chunk, from);
      this.#drop(chunk, from);
    }
  }

  /** Takes one step at `from`; returns where the next one begins. */
  #readFrom(chunk: Buffer, from: number): number {
    if (this.#swallow > 0) {
      const swallowed = Math.min(chunk.length - from, this.#swallow);
      this.#swallow -= swallowed;
      return from + swallowed;
    }
    if (this.#content !== undefined) return this.#readContent(this.#content, chunk, from);
    const event = this.#lines.read(chunk, from);
    const next = this.#lines.next;
    if (event !== undefined) this.#receiveLine(event, next < chunk.length || this.#held.length > 1);
    return next;
  }

  #drop(chunk: Buffer, from: number): void {
    if (this.#closed) return;
    this.#heldBytes -= this.#at - from;
    if (this.#at < chunk.length) return;
    this.#held.shift();
    this.#at = 0;
  }

  #readContent(content: ContentDecoder, chunk: Buffer, from: number): number {
    const end = content.read(chunk, from, this.#keepContent);
    const refusal = content.fault === undefined ? undefined : refusalOfContent(content);
    if (end >= 0) {
      this.#content = undefined;
      if (refusal === undefined) this.#ask({ kind: 'message', sizeBytes: content.sizeBytes });
      else {
        this.#endTransaction('content-refused', refusal);
        this.#reply(refusal);
      }
      return end;
    }
    // A client that never ends a refused message is not listened to for ever.
    if (
      refusal !== undefined &&
      content.receivedBytes > this.#limits.maxMessageBytes + this.#limits.maxSwallowedBytes
    ) {
      this.#endTransaction('content-refused', refusal);
      this.#closeWith(refusal, 'protocol-error');
    }
    return chunk.length;
  }

  #receiveLine(event: LineEvent, moreWaits: boolean): void {
    this.#commands += 1;
    if (event.kind === 'bad-line-end') {
      this.#errors += 1;
      this.#closeWith(replyFor('bad-line-end'), 'protocol-error');
      return;
    }
    if (event.kind === 'too-long') {
      this.#fail('line-too-long');
      return;
    }
    const parsed = parseCommand(event.text);
    const verb = parsed.ok ? parsed.command.verb : parsed.fault.verb;
    if (verb !== undefined && moreWaits && SYNC_POINTS.has(verb) && this.#options.syncPoints !== 'tolerated') {
      this.#errors += 1;
      this.#closeWith(replyFor('bad-pipelining'), 'protocol-error');
      return;
    }
    const cell = verb === undefined ? 'handle' : PHASE_TABLE[this.#phase()][verb];
    if (cell === 'no-recipients') this.#reply(replyFor(cell));
    else if (cell !== 'handle') this.#fail(cell);
    else if (parsed.ok) this.#receiveCommand(parsed.command);
    else this.#receiveFault(parsed.fault);
  }

  #phase(): Phase {
    if (this.#transaction !== undefined) return this.#transaction.recipients === 0 ? 'mail' : 'rcpt';
    return this.#helo === undefined ? 'greeted' : 'ready';
  }

  #receiveFault(fault: CommandFault): void {
    if (fault.foreign === true) {
      this.#errors += 1;
      this.#closeWith(replyFor(fault.reply), 'protocol-error');
    } else this.#fail(fault.reply);
  }

  #receiveCommand(command: Command): void {
    if (IDLE_VERBS.has(command.verb) && this.#tooIdle()) return;
    switch (command.verb) {
      case 'EHLO':
      case 'HELO':
        this.#ask({ kind: 'helo', verb: command.verb, domain: command.domain });
        return;
      case 'MAIL':
        this.#receiveMail(command);
        return;
      case 'RCPT':
        if ((this.#transaction?.recipients ?? 0) < this.#limits.maxRecipients) {
          this.#ask({ kind: 'rcpt', forwardPath: command.forwardPath });
        } else this.#reply(replyFor('too-many-recipients'));
        return;
      case 'DATA':
        this.#ask({ kind: 'data' });
        return;
      case 'QUIT':
        this.#closeWith(replyFor('goodbye'), 'quit');
        return;
      case 'RSET':
        this.#endTransaction('reset');
        this.#reply(replyFor('reset-ok'));
        return;
      case 'NOOP':
        this.#reply(replyFor('noop-ok'));
        return;
      case 'HELP':
        this.#reply(replyFor('help'));
        return;
      case 'VRFY':
        this.#reply(replyFor('cannot-verify'));
        return;
      case 'BDAT':
        this.#refuseChunk(command.sizeBytes);
        return;
      case 'EXPN':
      case 'STARTTLS':
      case 'AUTH':
        this.#fail('not-implemented');
        return;
    }
  }

  #receiveMail(command: Extract<Command, { verb: 'MAIL' }>): void {
    const { reversePath, params } = command;
    const extended = params.sizeBytes !== undefined || params.body !== undefined;
    if (extended && this.#protocol === 'SMTP') this.#fail('unknown-parameter');
    else if ((params.sizeBytes ?? 0) > this.#limits.maxMessageBytes) this.#reply(replyFor('message-too-big'));
    else this.#ask({ kind: 'mail', reversePath, params });
  }

  // The octets of a chunk follow BDAT whether we like it or not; they must never be taken for commands. RFC 3030 s2.
  #refuseChunk(sizeBytes: number): void {
    if (sizeBytes > this.#limits.maxMessageBytes) {
      this.#errors += 1;
      this.#closeWith(replyFor('message-too-big'), 'protocol-error');
      return;
    }
    this.#swallow = sizeBytes;
    this.#fail('not-implemented');
  }

  /** True when the session was ended for it. */
  #tooIdle(): boolean {
    this.#idleCommands += 1;
    if (this.#idleCommands <= this.#limits.maxIdleCommands) return false;
    return this.#countError();
  }

  #ask(question: Question): void {
    this.#questionId += 1;
    this.#question = question;
    this.#outputs.push({ kind: 'ask', id: this.#questionId, question });
  }

  #receiveAnswer(to: QuestionId, answer: Answer): void {
    const question = this.#question;
    if (question === undefined || to !== this.#questionId) return;
    assertFits(answer);
    this.#question = undefined;
    if (answer.effect === 'accept') this.#accepted(question, answer.reply);
    else this.#refused(question, answer.reply, answer.close === true);
  }

  // INVARIANT (no unasked acceptance): the only place that utters a positive reply to a mail command.
  #accepted(question: Question, reply: Reply | undefined): void {
    switch (question.kind) {
      case 'connect':
        this.#reply(reply ?? bannerReply(this.#options.hostname));
        return;
      case 'helo':
        this.#endTransaction('helo');
        this.#helo = question.domain;
        this.#protocol = question.verb === 'EHLO' ? 'ESMTP' : 'SMTP';
        this.#reply(this.#heloReply(question.verb));
        return;
      case 'mail':
        this.#transactions += 1;
        this.#transaction = { recipients: 0 };
        this.#reply(reply ?? replyFor('sender-ok'));
        return;
      case 'rcpt':
        this.#transaction = { recipients: (this.#transaction?.recipients ?? 0) + 1 };
        this.#reply(reply ?? replyFor('recipient-ok'));
        return;
      case 'data':
        this.#content = new ContentDecoder(this.#limits.maxMessageBytes);
        this.#reply(replyFor('send-content'));
        return;
      case 'message':
        this.#transaction = undefined;
        this.#idleCommands = 0;
        this.#reply(reply ?? replyFor('message-accepted'));
        return;
    }
  }

  #heloReply(verb: 'EHLO' | 'HELO'): Reply {
    const { hostname } = this.#options;
    return verb === 'HELO'
      ? heloReply(hostname)
      : ehloReply({ hostname, maxMessageBytes: this.#limits.maxMessageBytes });
  }

  #refused(question: Question, reply: Reply, close: boolean): void {
    if (question.kind === 'message') this.#transaction = undefined;
    if (close || question.kind === 'connect' || reply.code === 421) this.#closeWith(reply, 'refused');
    else this.#reply(reply);
  }

  #reply(reply: Reply): void {
    this.#outputs.push({ kind: 'reply', reply });
  }

  /** The client's mistake: told, counted, and one too many ends the session. */
  #fail(key: ReplyKey): void {
    if (!this.#countError()) this.#reply(replyFor(key));
  }

  #countError(): boolean {
    this.#errors += 1;
    if (this.#errors <= this.#limits.maxErrors) return false;
    this.#closeWith(replyFor('too-many-errors'), 'too-many-errors');
    return true;
  }

  #endTransaction(why: TransactionEnd, reply?: Reply): void {
    const open = this.#transaction !== undefined;
    this.#transaction = undefined;
    this.#content = undefined;
    if (open) this.#outputs.push({ kind: 'transaction-ended', why, ...(reply === undefined ? {} : { reply }) });
  }

  #closeWith(reply: Reply, reason: CloseReason): void {
    this.#endForClose(reason, reply);
    this.#reply(reply);
    this.#outputs.push({ kind: 'close', reason });
  }

  #close(reason: CloseReason): void {
    this.#endForClose(reason);
    this.#outputs.push({ kind: 'close', reason });
  }

  #endForClose(reason: CloseReason, reply?: Reply): void {
    this.#closed = true;
    this.#dropHeld();
    // Whoever is being asked for the message knows its end from the own answer; unless that is what went wrong.
    if (this.#question?.kind === 'message' && reason !== 'internal-error') return;
    this.#endTransaction(endFor(reason), reason === 'quit' ? undefined : reply);
  }
}

function endFor(reason: CloseReason): TransactionEnd {
  if (reason === 'quit' || reason === 'timeout') return reason;
  return reason === 'eof' || reason === 'lost' ? 'lost' : 'closed';
}

function refusalOfContent(content: ContentDecoder): Reply {
  return replyFor(content.fault === 'too-large' ? 'message-too-big' : 'bad-content');
}

function assertFits({ effect, reply }: Answer): void {
  if (reply === undefined) return;
  const fits = effect === 'accept' ? reply.code >= 200 && reply.code < 300 : reply.code >= 400 && reply.code < 600;
  if (!fits) throw new Error(`an answer \`${effect}\` cannot be told with reply code ${String(reply.code)}`);
}
