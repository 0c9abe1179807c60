/**
 * What one session says: its outputs, in order, and the one question that is open.
 *
 * INVARIANT (nothing after close): once `close` was said, nothing more is.
 */
import { replyFor } from './reply-catalogue.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import type { CloseReason, Question, QuestionId, RefusedCommand, SessionOutput, TransactionEnd } from './session-io.js';
import { NO_FAULTS, endFor } from './session-rules.js';
import type { SessionState } from './session-state.js';

export class SessionVoice {
  readonly #state: SessionState;
  #outputs: SessionOutput[] = [];
  #questionId = 0;
  // Nothing is read before the greeting.
  #question: Question | undefined = { kind: 'connect' };
  #closed = false;
  /** The command that is being read, for whoever keeps record of refusals. */
  refusing: RefusedCommand | undefined;

  constructor(state: SessionState) {
    this.#state = state;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The one that is open. */
  get question(): Question | undefined {
    return this.#question;
  }

  /** What was said since the last call. */
  take(): readonly SessionOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  ask(question: Question): void {
    this.#questionId += 1;
    this.#question = question;
    this.#outputs.push({ kind: 'ask', id: this.#questionId, question });
  }

  /** The open question, when it is the one with this id. */
  questionOf(id: QuestionId): Question | undefined {
    return id === this.#questionId ? this.#question : undefined;
  }

  /** No question is open any longer. */
  answered(): void {
    this.#question = undefined;
  }

  reply(given: Reply, refused?: RefusedCommand): void {
    const reply = this.named(given);
    this.#outputs.push(refused === undefined ? { kind: 'reply', reply } : { kind: 'reply', reply, refused });
  }

  /** A refusal inside a transaction says its trace, unless it does already; to be asked before the transaction ends. */
  named(reply: Reply): Reply {
    const trace = this.#state.transaction?.trace;
    if (trace === undefined || reply.code < 400 || reply.lines.some((line) => line.includes(trace))) return reply;
    const last = reply.lines.at(-1) ?? '';
    return { ...reply, lines: [...reply.lines.slice(0, -1), `${last} [${trace}]`] };
  }

  content(bytes: Uint8Array): void {
    this.#outputs.push({ kind: 'content', bytes });
  }

  startTls(): void {
    this.#outputs.push({ kind: 'reply', reply: replyFor('start-tls') }, { kind: 'start-tls' });
  }

  /** The client's mistake: told, counted, and one too many ends the session. */
  fail(key: ReplyKey): void {
    if (!NO_FAULTS.has(key)) this.#state.tally.errors += 1;
    this.replyUnlessTooMany(replyFor(key), this.refusing);
  }

  /** The reply, or the end of the session when errors were too many. */
  replyUnlessTooMany(reply: Reply, refused?: RefusedCommand): void {
    if (this.#state.tally.tooManyErrors) this.close('too-many-errors', replyFor('too-many-errors'));
    else this.reply(reply, refused);
  }

  /** A mistake after which the octets cannot be trusted to mean what they seem to. */
  violate(key: ReplyKey): void {
    this.#state.tally.errors += 1;
    this.close('protocol-error', replyFor(key));
  }

  /** The transaction, if one is open, and all content of it are gone. */
  endTransaction(why: TransactionEnd, reply?: Reply): void {
    const open = this.#state.transaction !== undefined;
    this.#state.transaction = undefined;
    this.#state.intake.clear();
    if (open) this.#outputs.push({ kind: 'transaction-ended', why, ...(reply === undefined ? {} : { reply }) });
  }

  close(reason: CloseReason, given?: Reply): void {
    this.#closed = true;
    const reply = given === undefined ? undefined : this.named(given);
    // Whoever is being asked for the message knows its end from the own answer; unless that is what went wrong.
    if (this.#question?.kind !== 'message' || reason === 'internal-error') {
      this.endTransaction(endFor(reason), reason === 'quit' ? undefined : reply);
    }
    if (reply !== undefined) this.reply(reply);
    this.#outputs.push({ kind: 'close', reason });
  }
}
