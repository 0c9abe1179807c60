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
import type { Command, CommandResult } from './command.js';
import { parseCommand } from './command.js';
import { ContentDecoder } from './content-decoder.js';
import { bannerReply, ehloReply, heloReply } from './extensions.js';
import { HeldInput } from './held-input.js';
import { LineReader } from './line-reader.js';
import type { LineEvent } from './line-reader.js';
import { DEFAULT_LIMITS } from './limits.js';
import type { SmtpLimits } from './limits.js';
import { IDLE_VERBS, PHASE_TABLE, SYNC_POINTS } from './phase-table.js';
import type { Cell, Phase } from './phase-table.js';
import { replyFor } from './reply-catalogue.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import { SessionTally } from './session-tally.js';
import { assertFits, endFor, refusalOf } from './session-rules.js';
import type {
  Answer,
  Awaited,
  CloseReason,
  Question,
  QuestionId,
  SessionCounters,
  SessionInput,
  SessionOptions,
  SessionOutput,
  TransactionEnd,
} from './session-io.js';

/** Thrown away whole at RSET, EHLO and the end of content; nobody edits it. */
interface Transaction {
  readonly recipients: number;
}

const NO_OUTPUTS: readonly SessionOutput[] = [];

export class SmtpServerSession {
  readonly #options: SessionOptions;
  readonly #limits: SmtpLimits;
  readonly #tally: SessionTally;
  readonly #lines: LineReader;
  readonly #held = new HeldInput();
  readonly #keepContent = (bytes: Uint8Array): void => {
    this.#outputs.push({ kind: 'content', bytes });
  };

  #outputs: SessionOutput[] = [];
  #swallow = 0;
  #ended: 'eof' | 'lost' | undefined;
  #closing: Extract<SessionInput, { kind: 'close' }> | undefined;
  #closed = false;

  #questionId = 0;
  #question: Question | undefined;
  #helo: string | undefined;
  #protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  #transaction: Transaction | undefined;
  #content: ContentDecoder | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#limits = options.limits === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, ...options.limits };
    this.#tally = new SessionTally(this.#limits);
    this.#lines = new LineReader(this.#limits.maxCommandLineBytes);
  }

  get helo(): string | undefined {
    return this.#helo;
  }

  get protocol(): 'SMTP' | 'ESMTP' {
    return this.#protocol;
  }

  get counters(): SessionCounters {
    return this.#tally.snapshot();
  }

  /** Command lines read so far; what `counters` says, without an object. */
  get commandCount(): number {
    return this.#tally.commands;
  }

  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** Octets received and not read yet, because an answer is awaited. */
  get heldBytes(): number {
    return this.#held.bytes;
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
        // Nothing asks for a challenge yet.
        if (input.answer.effect !== 'challenge' && input.answer.reply !== undefined) {
          this.#receiveAnswer(input.to, input.answer as Answer);
        } else if (input.answer.effect === 'accept') this.#receiveAnswer(input.to, input.answer);
        break;
      case 'timeout':
        if (this.#question === undefined) this.#close('timeout', replyFor('timeout'));
        break;
      case 'close':
        if (input.when === 'now') this.#close(input.reason, input.reply);
        else this.#closing = input;
        break;
      case 'eof':
      case 'lost':
        this.#ended = input.kind;
        if (input.kind === 'lost') this.#held.clear();
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
    if (this.#question?.kind === 'connect' && bytes.length > 0) {
      this.#violate('early-talker');
      return;
    }
    this.#held.push(bytes);
    // INVARIANT (bounded): only a driver that ignores `heldBytes` can get here.
    if (this.#question !== undefined && this.#held.bytes > this.#limits.maxHeldBytes) {
      this.#violate('too-much-input');
    }
  }

  // Reads on until an answer is needed, the octets are used up, or the session ends.
  #run(): void {
    while (!this.#closed && this.#question === undefined) {
      if (this.#closing !== undefined && this.#transaction === undefined) {
        this.#close(this.#closing.reason, this.#closing.reply);
        return;
      }
      const chunk = this.#held.chunk;
      if (chunk === undefined) {
        if (this.#ended !== undefined) this.#close(this.#ended);
        return;
      }
      this.#held.advance(this.#readFrom(chunk, this.#held.at));
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
    if (event !== undefined) this.#receiveLine(event, this.#held.bytes > next - from);
    return next;
  }

  #readContent(content: ContentDecoder, chunk: Buffer, from: number): number {
    const end = content.read(chunk, from, this.#keepContent);
    const refusal = refusalOf(content.fault);
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
      this.#close('protocol-error', refusal);
    }
    return chunk.length;
  }

  #receiveLine(event: LineEvent, moreWaits: boolean): void {
    this.#tally.commands += 1;
    if (event.kind === 'line') this.#receiveCommandLine(parseCommand(event.text), moreWaits);
    else if (event.kind === 'too-long') this.#fail('line-too-long');
    else this.#violate('bad-line-end');
  }

  #receiveCommandLine(parsed: CommandResult, moreWaits: boolean): void {
    const verb = parsed.ok ? parsed.command.verb : parsed.fault.verb;
    if (verb !== undefined && moreWaits && SYNC_POINTS.has(verb) && this.#options.syncPoints !== 'tolerated') {
      this.#violate('bad-pipelining');
      return;
    }
    const cell: Cell = verb === undefined ? 'handle' : PHASE_TABLE[this.#phase()][verb];
    if (cell === 'no-recipients') this.#reply(replyFor(cell));
    else if (cell !== 'handle' && replyFor(cell).code >= 400) this.#fail(cell);
    else if (parsed.ok) this.#receiveFitting(parsed.command, cell);
    else if (parsed.fault.foreign === true) this.#violate(parsed.fault.reply);
    else this.#fail(parsed.fault.reply);
  }

  #receiveFitting(command: Command, cell: Cell): void {
    if (IDLE_VERBS.has(command.verb)) this.#tally.countIdle();
    if (this.#tally.tooManyErrors) this.#close('too-many-errors', replyFor('too-many-errors'));
    else if (cell === 'handle') this.#receiveCommand(command);
    else this.#reply(replyFor(cell));
  }

  #phase(): Phase {
    if (this.#transaction !== undefined) return this.#transaction.recipients === 0 ? 'mail' : 'rcpt';
    return this.#helo === undefined ? 'greeted' : 'ready';
  }

  #receiveCommand(command: Command): void {
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
          this.#ask({ kind: 'rcpt', forwardPath: command.forwardPath, params: {} });
        } else this.#reply(replyFor('too-many-recipients'));
        return;
      case 'DATA':
        this.#ask({ kind: 'data' });
        return;
      case 'QUIT':
        this.#close('quit', replyFor('goodbye'));
        return;
      case 'RSET':
        this.#endTransaction('reset');
        this.#reply(replyFor('reset-ok'));
        return;
      case 'BDAT':
        this.#refuseChunk(command.sizeBytes);
        return;
      default:
        // INVARIANT (total): the phase table answers every other verb itself.
        throw new Error(`no way to handle \`${command.verb}\``);
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
      this.#violate('message-too-big');
      return;
    }
    this.#swallow = sizeBytes;
    this.#fail('not-implemented');
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
        this.#tally.transactions += 1;
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
        this.#tally.messageAccepted();
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
    if (close || question.kind === 'connect' || reply.code === 421) this.#close('refused', reply);
    else this.#reply(reply);
  }

  #reply(reply: Reply): void {
    this.#outputs.push({ kind: 'reply', reply });
  }

  /** The client's mistake: told, counted, and one too many ends the session. */
  #fail(key: ReplyKey): void {
    this.#tally.errors += 1;
    if (this.#tally.tooManyErrors) this.#close('too-many-errors', replyFor('too-many-errors'));
    else this.#reply(replyFor(key));
  }

  /** A mistake after which the octets cannot be trusted to mean what they seem to. */
  #violate(key: ReplyKey): void {
    this.#tally.errors += 1;
    this.#close('protocol-error', replyFor(key));
  }

  #endTransaction(why: TransactionEnd, reply?: Reply): void {
    const open = this.#transaction !== undefined;
    this.#transaction = undefined;
    this.#content = undefined;
    if (open) this.#outputs.push({ kind: 'transaction-ended', why, ...(reply === undefined ? {} : { reply }) });
  }

  #close(reason: CloseReason, reply?: Reply): void {
    this.#closed = true;
    this.#held.clear();
    // Whoever is being asked for the message knows its end from the own answer; unless that is what went wrong.
    if (this.#question?.kind !== 'message' || reason === 'internal-error') {
      this.#endTransaction(endFor(reason), reason === 'quit' ? undefined : reply);
    }
    if (reply !== undefined) this.#reply(reply);
    this.#outputs.push({ kind: 'close', reason });
  }
}
