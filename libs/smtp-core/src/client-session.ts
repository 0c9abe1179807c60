/**
 * The outbound SMTP machine, without sockets or clocks: octets, ends and time-outs in, writes and results out.
 * RFC 5321 s3, s4.1, s4.2; RFC 2920 (pipelining); RFC 1870, RFC 6152, RFC 6531 (parameters of MAIL).
 *
 * Where the server pipelines, MAIL, RCPT and DATA leave as one group, and the envelope of the next transaction follows
 * the content of the one before it in the same write. Every submitted transaction gets exactly one `result`, whatever
 * happens. Outputs must be carried out in order; `content` stands for the stuffed content and its terminator, and the
 * driver calls `contentWritten` once the terminator is handed to the network.
 */
import { ClientEnvelope, unsupportedBy } from './client-envelope.js';
import type { ClientFault, ClientStage, ClientTransaction, RecipientResult } from './client-envelope.js';
import { NO_EXTENSIONS, parseExtensions } from './client-extensions.js';
import type { ClientExtensions } from './client-extensions.js';
import { isPositive } from './reply.js';
import type { Reply } from './reply.js';
import { ReplyReader } from './reply-reader.js';
import type { ReplyLimits } from './reply-reader.js';

export type ClientInput =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'eof'; readonly message?: string }
  | { readonly kind: 'timeout' };

export type ClientOutput<T extends ClientTransaction> =
  | { readonly kind: 'write'; readonly text: string }
  | { readonly kind: 'content'; readonly transaction: T }
  | { readonly kind: 'ready'; readonly extensions: ClientExtensions }
  | { readonly kind: 'result'; readonly transaction: T; readonly recipients: readonly RecipientResult[] }
  /** The greeting failed; `reply` when the server said why. */
  | { readonly kind: 'failed'; readonly fault: ClientFault; readonly reply?: Reply }
  /** Polite after QUIT was answered; otherwise nothing more is worth flushing. */
  | { readonly kind: 'close'; readonly polite: boolean };

/** What the machine waits for: chooses the time-out of RFC 5321 s4.5.3.2. */
export type ClientWait = 'idle' | 'banner' | 'ehlo' | 'mail' | 'rcpt' | 'data' | 'content' | 'quit';

type Verb = 'banner' | 'ehlo' | 'helo' | 'rset' | 'mail' | 'rcpt' | 'data' | 'content' | 'empty-content' | 'quit';

interface Expected<T extends ClientTransaction> {
  readonly verb: Verb;
  readonly envelope?: ClientEnvelope<T>;
  readonly index: number;
}

const STAGES: Readonly<Record<Verb, Exclude<ClientWait, 'idle'>>> = {
  banner: 'banner',
  ehlo: 'ehlo',
  helo: 'ehlo',
  rset: 'mail',
  mail: 'mail',
  rcpt: 'rcpt',
  data: 'data',
  content: 'content',
  'empty-content': 'data',
  quit: 'quit',
};

export class SmtpClientSession<T extends ClientTransaction = ClientTransaction> {
  readonly #heloName: string;
  readonly #reader: ReplyReader;
  readonly #expected: Expected<T>[] = [{ verb: 'banner', index: 0 }];
  readonly #waiting: T[] = [];
  /** Transactions on the wire: at most the one whose content is being sent and the next one's envelope. */
  readonly #active: ClientEnvelope<T>[] = [];
  #outputs: ClientOutput<T>[] = [];
  #writing = '';
  #state: 'greeting' | 'ready' | 'quitting' | 'closed' = 'greeting';
  #extensions: ClientExtensions = NO_EXTENSIONS;
  #mustReset = false;
  #completed = 0;

  constructor(options: { readonly heloName: string; readonly replyLimits?: ReplyLimits }) {
    this.#heloName = options.heloName;
    this.#reader = new ReplyReader(options.replyLimits);
  }

  get extensions(): ClientExtensions {
    return this.#extensions;
  }

  get waitsFor(): ClientWait {
    const head = this.#expected[0];
    return head === undefined ? 'idle' : STAGES[head.verb];
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
    }
    return this.#takeOutputs();
  }

  /** May be called at any time; on a session that is closed the result is immediate. */
  submit(transaction: T): readonly ClientOutput<T>[] {
    if (this.#state === 'quitting' || this.#state === 'closed') {
      this.#unsent(transaction, {
        ...this.#fault('closed', '4.4.2', 'connection is closed'),
        stage: 'mail',
        progress: 'none',
      });
      return this.#takeOutputs();
    }
    this.#waiting.push(transaction);
    this.#startNext();
    return this.#takeOutputs();
  }

  /** The terminator of this content is on its way: from now on a lost connection leaves the outcome uncertain. */
  contentWritten(transaction: T): void {
    for (const envelope of this.#active) if (envelope.transaction === transaction) envelope.progress = 'sent';
  }

  /** The driver could not produce the content; without a terminator the server has nothing, the connection is spent. */
  contentFailed(message: string): readonly ClientOutput<T>[] {
    if (this.#state !== 'closed') this.#fail('content', '4.3.0', message);
    return this.#takeOutputs();
  }

  /** Ends politely once nothing is in flight; transactions not yet begun are given back. */
  quit(): readonly ClientOutput<T>[] {
    if (this.#state === 'greeting') this.#fail('closed', '4.4.2', 'connection was given up');
    if (this.#state !== 'ready') return this.#takeOutputs();
    this.#state = 'quitting';
    for (const transaction of this.#waiting.splice(0)) {
      this.#unsent(transaction, {
        ...this.#fault('closed', '4.4.2', 'connection is closed'),
        stage: 'mail',
        progress: 'none',
      });
    }
    this.#quitWhenIdle();
    return this.#takeOutputs();
  }

  #takeOutputs(): readonly ClientOutput<T>[] {
    this.#flushWrites();
    const outputs = this.#outputs;
    if (outputs.length > 0) this.#outputs = [];
    return outputs;
  }

  #flushWrites(): void {
    if (this.#writing === '') return;
    this.#outputs.push({ kind: 'write', text: this.#writing });
    this.#writing = '';
  }

  #emit(output: ClientOutput<T>): void {
    this.#flushWrites();
    this.#outputs.push(output);
  }

  #receiveBytes(bytes: Uint8Array): void {
    for (const reply of this.#reader.read(bytes)) {
      this.#take(reply);
      if (this.#isClosed()) return;
    }
    const fault = this.#reader.fault;
    if (fault !== undefined) this.#fail('protocol', '4.5.0', `reply cannot be read: ${fault}`);
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #take(reply: Reply): void {
    const expected = this.#expected.shift();
    if (expected === undefined) {
      this.#fail('closed', '4.4.2', `server ended the session: ${String(reply.code)}`);
      return;
    }
    if (expected.envelope === undefined) this.#takeGreeting(expected, reply);
    else this.#takeTransaction(expected, expected.envelope, reply);
    if (this.#state === 'quitting') this.#quitWhenIdle();
  }

  #takeGreeting(expected: Expected<T>, reply: Reply): void {
    const { verb } = expected;
    if (verb === 'quit') {
      this.#close(true);
    } else if (verb === 'banner' && reply.code === 220) {
      this.#command(`EHLO ${this.#heloName}\r\n`, { verb: 'ehlo', index: 0 });
    } else if (verb === 'ehlo' && reply.code >= 500) {
      this.#command(`HELO ${this.#heloName}\r\n`, { verb: 'helo', index: 0 });
    } else if (verb !== 'banner' && isPositive(reply)) {
      this.#extensions = verb === 'ehlo' ? parseExtensions(reply) : NO_EXTENSIONS;
      this.#state = 'ready';
      this.#emit({ kind: 'ready', extensions: this.#extensions });
      this.#startNext();
    } else {
      this.#failGreeting(STAGES[verb], reply);
    }
  }

  #failGreeting(stage: ClientWait & ClientStage, reply: Reply): void {
    const understood = reply.code >= 400;
    const message = understood ? 'server refused the session' : `unexpected reply ${String(reply.code)}`;
    const fault = { ...this.#fault(understood ? 'refused' : 'protocol', '4.5.0', message), stage };
    this.#failWith(fault, understood ? reply : undefined);
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
    else if (verb === 'rcpt') envelope.rcpt(expected.index, reply);
    else if (verb === 'data') this.#takeData(envelope, reply);
    else if (verb === 'content') this.#takeContent(envelope, reply);
    else if (verb === 'empty-content') this.#finish(envelope);
    if (reply.code === 421 && this.#state !== 'closed') this.#endedBy421(envelope, STAGES[verb], reply);
    else if (!this.#extensions.pipelining) this.#stepEnvelope(envelope);
  }

  #takeData(envelope: ClientEnvelope<T>, reply: Reply): void {
    if (reply.code >= 400) {
      envelope.finish('data', reply);
      this.#finish(envelope);
    } else if (envelope.accepted === 0) {
      // RFC 2920 s3.1: 354 although every recipient was refused; a lone dot ends it.
      envelope.open = false;
      this.#command('.\r\n', { verb: 'empty-content', envelope, index: 0 });
    } else {
      envelope.progress = 'content';
      this.#expected.push({ verb: 'content', envelope, index: 0 });
      this.#emit({ kind: 'content', transaction: envelope.transaction });
      if (this.#extensions.pipelining) this.#startNext();
    }
  }

  #takeContent(envelope: ClientEnvelope<T>, reply: Reply): void {
    if (envelope.progress === 'sent') {
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
    if (this.#expected.length > 0 || this.#active[0] !== envelope) return;
    const command = envelope.pointless ? undefined : envelope.nextCommand();
    if (command === undefined) this.#finish(envelope);
    else this.#command(command.text, { verb: command.verb, envelope, index: command.index });
  }

  #startNext(): void {
    while (this.#state === 'ready' && this.#mayStart()) {
      const transaction = this.#waiting.shift();
      if (transaction === undefined) return;
      const fault = unsupportedBy(this.#extensions, transaction);
      if (fault === undefined) this.#begin(transaction);
      else this.#unsent(transaction, fault);
    }
  }

  #mayStart(): boolean {
    const [first, second] = this.#active;
    if (first === undefined) return true;
    const contentIsOut = first.progress === 'content' || first.progress === 'sent';
    return this.#extensions.pipelining && second === undefined && contentIsOut;
  }

  #begin(transaction: T): void {
    const envelope = new ClientEnvelope(transaction, this.#extensions, this.#mustReset);
    this.#mustReset = false;
    this.#active.push(envelope);
    if (!this.#extensions.pipelining) {
      this.#stepEnvelope(envelope);
      return;
    }
    for (let command = envelope.nextCommand(); command !== undefined; command = envelope.nextCommand()) {
      this.#command(command.text, { verb: command.verb, envelope, index: command.index });
    }
  }

  #finish(envelope: ClientEnvelope<T>): void {
    this.#active.splice(this.#active.indexOf(envelope), 1);
    if (envelope.open) this.#mustReset = true;
    this.#completed += 1;
    this.#emit({ kind: 'result', transaction: envelope.transaction, recipients: envelope.results() });
    this.#startNext();
  }

  #unsent(transaction: T, fault: ClientFault): void {
    const recipients = transaction.recipients.map((address) => ({ address, stage: fault.stage, fault }));
    this.#emit({ kind: 'result', transaction, recipients });
  }

  #command(text: string, expected: Expected<T>): void {
    this.#writing += text;
    this.#expected.push(expected);
  }

  #quitWhenIdle(): void {
    if (this.#state !== 'quitting' || this.#active.length > 0 || this.#expected.length > 0) return;
    this.#command('QUIT\r\n', { verb: 'quit', index: 0 });
  }

  #awaited(): string {
    return this.#expected[0]?.verb ?? 'nothing';
  }

  #fault(reason: ClientFault['reason'], enhanced: string, message: string): ClientFault {
    const head = this.#expected[0];
    return { stage: head === undefined ? 'mail' : STAGES[head.verb], reason, progress: 'none', enhanced, message };
  }

  #fail(reason: ClientFault['reason'], enhanced: string, message: string, verb?: Verb): void {
    const fault = this.#fault(reason, enhanced, message);
    this.#failWith(verb === undefined ? fault : { ...fault, stage: STAGES[verb] });
  }

  /** Every transaction still open learns its fate; the session is over. */
  #failWith(fault: ClientFault, reply?: Reply): void {
    if (this.#state === 'greeting') {
      this.#emit({ kind: 'failed', fault, ...(reply === undefined ? {} : { reply }) });
    }
    this.#active.splice(0).forEach((envelope, place) => {
      const { progress } = envelope;
      // An envelope behind the one that failed was waiting for its MAIL reply.
      const stage = place === 0 ? fault.stage : 'mail';
      this.#emit({
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
    this.#expected.length = 0;
    this.#emit({ kind: 'close', polite });
  }
}
