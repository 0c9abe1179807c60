/**
 * `SmtpServerSession`: the receiving side of one SMTP conversation. RFC 5321 s3, s4; RFC 2920, RFC 3030, RFC 3207,
 * RFC 4954, RFC 6531.
 *
 * Inputs go in, outputs come out, nothing else happens: no socket, no clock, no waiting. Octets may be cut anywhere.
 * The driver carries out the outputs in order and feeds the answers back; while a question is open no further command
 * is read, and what arrives is held (see `heldBytes` for back-pressure).
 *
 * Bad input is answered, never thrown. Thrown is only what the driver's own side did wrong: an answer that does not fit
 * its question, TLS that nobody began.
 */
import type { CommandResult, Verb } from './command.js';
import { parseCommand } from './command.js';
import { HeldInput } from './held-input.js';
import { LineReader } from './line-reader.js';
import type { LineEvent } from './line-reader.js';
import { IDLE_VERBS, PHASE_TABLE, SYNC_POINTS, TLS_VERBS } from './phase-table.js';
import type { Cell } from './phase-table.js';
import { replyFor } from './reply-catalogue.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import type { SaslDialog } from './sasl-dialog.js';
import { takeAnswer } from './session-answers.js';
import { carryOut, continueAuth } from './session-commands.js';
import { receiveChunk, takeContent } from './session-content.js';
import { grammarOf } from './session-demands.js';
import { assertFits } from './session-rules.js';
import type {
  Answer,
  AuthAnswer,
  AuthFacts,
  Awaited,
  QuestionId,
  SessionCounters,
  SessionInput,
  SessionOptions,
  SessionOutput,
  TlsFacts,
} from './session-io.js';
import { SessionState } from './session-state.js';
import { SessionVoice } from './session-voice.js';

const NO_OUTPUTS: readonly SessionOutput[] = [];

export class SmtpServerSession {
  readonly #state: SessionState;
  readonly #voice: SessionVoice;
  readonly #lines: LineReader;
  readonly #held = new HeldInput();
  #ended: 'eof' | 'lost' | undefined;
  #closing: Extract<SessionInput, { kind: 'close' }> | undefined;
  /** The last call stopped before it had read everything. */
  #isCut = false;

  constructor(options: SessionOptions) {
    this.#state = new SessionState(options, (octets) => {
      this.#voice.content(octets);
    });
    this.#voice = new SessionVoice(this.#state);
    this.#lines = new LineReader(this.#state.limits.maxCommandLineBytes);
  }

  get helo(): string | undefined {
    return this.#state.helo;
  }

  get protocol(): 'SMTP' | 'ESMTP' {
    return this.#state.protocol;
  }

  get tls(): TlsFacts | undefined {
    return this.#state.tls;
  }

  /** Who the client has proved to be; forgotten at STARTTLS and XCLIENT, not at EHLO or RSET. */
  get auth(): AuthFacts | undefined {
    return this.#state.auth;
  }

  /** Octets came before a greeting. */
  get earlyTalker(): boolean {
    return this.#state.earlyTalker;
  }

  get counters(): SessionCounters {
    return this.#state.tally.snapshot();
  }

  /** Command lines read so far; what `counters` says, without an object. */
  get commandCount(): number {
    return this.#state.tally.commands;
  }

  get inTransaction(): boolean {
    return this.#state.transaction !== undefined;
  }

  /** The refusal with the trace of the transaction that is open, as this session would say it. */
  named(refusal: Reply): Reply {
    return this.#voice.named(refusal);
  }

  /** Octets received and not read yet, because an answer is awaited. */
  get heldBytes(): number {
    return this.#held.bytes;
  }

  get awaits(): Awaited {
    if (this.#voice.closed) return 'nothing';
    if (this.#voice.question !== undefined) return 'answer';
    if (this.#isCut) return 'turn';
    if (this.#state.awaitingTls) return 'tls';
    if (this.#state.intake.reading) return 'content';
    return (this.#state.sasl ?? this.#lines).partial ? 'rest-of-line' : 'command';
  }

  /** The longest silence the RFC lets us meet with 421 here. RFC 5321 s4.5.3.2. */
  get timeoutMs(): number {
    const { commandTimeoutMs, contentTimeoutMs } = this.#state.limits;
    return this.#state.intake.reading ? contentTimeoutMs : commandTimeoutMs;
  }

  /** To be called once, first. Asks `connect`. */
  start(): readonly SessionOutput[] {
    this.#voice.ask({ kind: 'connect' });
    return this.#voice.take();
  }

  receive(input: SessionInput): readonly SessionOutput[] {
    if (this.#voice.closed) return NO_OUTPUTS;
    switch (input.kind) {
      case 'bytes':
        this.#receiveBytes(input.bytes);
        break;
      case 'answer':
        this.#receiveAnswer(input.to, input.answer);
        break;
      case 'tls-established':
        this.#receiveTls(input.tls);
        break;
      case 'timeout':
        if (this.#voice.question === undefined) this.#close('timeout', replyFor('timeout'));
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
      case 'go-on':
        break;
    }
    this.#run();
    return this.#voice.take();
  }

  #receiveBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#state.tally.commands === 0 && !this.#mayTalk()) return;
    // INVARIANT (no plaintext behind STARTTLS): octets that did not come through TLS are never read behind its 220.
    if (this.#state.awaitingTls) {
      this.#voice.close('protocol-error');
      return;
    }
    this.#held.push(bytes);
    // INVARIANT (bounded): only a driver that ignores `heldBytes` can get here.
    if (this.#voice.question !== undefined && this.#held.bytes > this.#state.limits.maxHeldBytes) {
      this.#voice.violate('too-much-input');
    }
  }

  /** Before its first command a client has to wait for the banner. */
  #mayTalk(): boolean {
    if (this.#voice.question?.kind !== 'connect') return true;
    this.#state.earlyTalker = true;
    if (this.#state.options.earlyTalkers === 'told') return true;
    this.#voice.violate('early-talker');
    return false;
  }

  #receiveAnswer(to: QuestionId, answer: Answer | AuthAnswer): void {
    const question = this.#voice.questionOf(to);
    if (question === undefined) return;
    // A wrong answer leaves the question open.
    assertFits(question, answer);
    this.#voice.answered();
    takeAnswer(question, answer, this.#state, this.#voice);
  }

  #receiveTls(tls: TlsFacts): void {
    if (!this.#state.awaitingTls) throw new Error('TLS was established, and no `start-tls` had asked for it');
    this.#state.awaitingTls = false;
    this.#state.tls = tls;
    this.#state.forget();
  }

  /** Between STARTTLS and TLS nothing can be said. */
  #close(reason: 'timeout' | CloseInput['reason'], reply: CloseInput['reply']): void {
    this.#voice.close(reason, this.#state.awaitingTls ? undefined : reply);
  }

  // Reads on until an answer is needed, the octets are used up, it has been enough for once, or the session ends.
  #run(): void {
    const { stepsAtOnce = Number.POSITIVE_INFINITY } = this.#state.options;
    let steps = 0;
    this.#isCut = false;
    while (!this.#voice.closed && this.#voice.question === undefined) {
      if (this.#closing !== undefined && this.#state.transaction === undefined) {
        this.#close(this.#closing.reason, this.#closing.reply);
        break;
      }
      const chunk = this.#held.chunk;
      if (chunk === undefined) {
        if (this.#ended !== undefined) this.#voice.close(this.#ended);
        break;
      }
      if (steps >= stepsAtOnce) {
        this.#isCut = true;
        break;
      }
      steps += 1;
      this.#held.advance(this.#readFrom(chunk, this.#held.at));
    }
    if (this.#voice.closed) this.#held.clear();
  }

  /** Takes one step at `from`; returns where the next one begins. */
  #readFrom(chunk: Buffer, from: number): number {
    const { intake, sasl } = this.#state;
    if (intake.reading) {
      const end = intake.read(chunk, from);
      takeContent(this.#state, this.#voice);
      return end;
    }
    if (sasl !== undefined) return this.#readSasl(sasl, chunk, from);
    const event = this.#lines.read(chunk, from);
    const next = this.#lines.next;
    if (event !== undefined) this.#receiveLine(event, this.#held.bytes > next - from);
    return next;
  }

  #readSasl(sasl: SaslDialog, chunk: Buffer, from: number): number {
    const read = sasl.read(chunk, from);
    if (read !== undefined) continueAuth(sasl, read, this.#state, this.#voice);
    return sasl.next;
  }

  #receiveLine(event: LineEvent, moreWaits: boolean): void {
    this.#state.tally.commands += 1;
    this.#voice.refusing = undefined;
    if (event.kind === 'line') this.#receiveText(event.text, moreWaits);
    else if (event.kind === 'too-long') this.#voice.fail('line-too-long');
    else this.#voice.violate('bad-line-end');
  }

  #receiveText(line: string, moreWaits: boolean): void {
    const parsed = parseCommand(line, grammarOf(this.#state));
    const verb = parsed.ok ? parsed.command.verb : parsed.fault.verb;
    if (verb === 'MAIL' || verb === 'RCPT') this.#voice.refusing = { verb, line };
    this.#receiveCommand(parsed, moreWaits);
    this.#voice.refusing = undefined;
  }

  #receiveCommand(parsed: CommandResult, moreWaits: boolean): void {
    const verb = parsed.ok ? parsed.command.verb : parsed.fault.verb;
    const violation = this.#violationBy(verb, moreWaits);
    if (violation !== undefined) {
      this.#voice.violate(violation);
      return;
    }
    const cell = this.#cellFor(verb);
    if (parsed.ok && parsed.command.verb === 'BDAT') receiveChunk(parsed.command, cell, this.#state, this.#voice);
    else if (!parsed.ok && (parsed.fault.foreign === true || verb === 'BDAT')) this.#voice.violate(parsed.fault.reply);
    else if (cell !== 'handle' && replyFor(cell).code >= 400) this.#voice.fail(cell);
    else if (parsed.ok) this.#receiveFitting(parsed.command, cell);
    else this.#voice.fail(parsed.fault.reply);
  }

  #violationBy(verb: Verb | undefined, moreWaits: boolean): ReplyKey | undefined {
    const { options, helo } = this.#state;
    if (verb === undefined)
      return options.unknownBeforeEhlo === 'refused' && helo === undefined ? 'not-smtp' : undefined;
    return moreWaits && SYNC_POINTS.has(verb) && this.#enforcesSync(verb) ? 'bad-pipelining' : undefined;
  }

  /** RFC 2920 s3.1. Clients that have proved who they are may be careless; with STARTTLS nobody may (RFC 3207 s4.2). */
  #enforcesSync(verb: Verb): boolean {
    const { options, auth } = this.#state;
    if (verb === 'STARTTLS' && options.startTls === true) return true;
    return options.syncPoints !== 'tolerated' && auth === undefined;
  }

  #cellFor(verb: Verb | undefined): Cell {
    if (verb === undefined) return 'handle';
    const { options, tls } = this.#state;
    if (options.tlsRequired === true && tls === undefined && TLS_VERBS.has(verb)) return 'need-tls';
    return PHASE_TABLE[this.#state.phase][verb];
  }

  #receiveFitting(command: Extract<CommandResult, { ok: true }>['command'], cell: Cell): void {
    const { tally } = this.#state;
    if (IDLE_VERBS.has(command.verb)) tally.countIdle();
    if (tally.tooManyErrors) this.#voice.close('too-many-errors', replyFor('too-many-errors'));
    else if (cell === 'handle') carryOut(command, this.#state, this.#voice);
    else this.#voice.reply(replyFor(cell));
  }
}

type CloseInput = Extract<SessionInput, { kind: 'close' }>;
