/**
 * One transaction as the client machine carries it out: the commands of its envelope, the replies so far, the result
 * for each recipient. RFC 5321 s3.3; RFC 2033 s4.2 (LMTP). No sockets, no order of several transactions: that is `client-session.ts`.
 */
import type { ClientExtensions } from './client-extensions.js';
import { mailCommand, rcptCommand } from './client-parameters.js';
import type { ClientTransaction } from './client-parameters.js';
import { isPositive } from './reply.js';
import type { Reply } from './reply.js';

export type ClientStage =
  'connect' | 'banner' | 'ehlo' | 'tls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'content' | 'quit';

/**
 * A failure that is not a reply. `progress` says how far the transaction had come: `sent` means that the terminator was
 * written and the server may have accepted the message — uncertain, RFC 5321 s6.1.
 */
export interface ClientFault {
  readonly stage: ClientStage;
  readonly reason:
    'refused' | 'unreachable' | 'timeout' | 'lost' | 'protocol' | 'unsupported' | 'content' | 'closed' | 'tls' | 'auth';
  readonly progress: 'none' | 'envelope' | 'content' | 'sent';
  /** RFC 3463 code chosen where the fault was found; class 5 only when another attempt cannot help. */
  readonly enhanced: string;
  readonly message: string;
}

export type RecipientResult =
  | { readonly address: string; readonly stage: ClientStage; readonly reply: Reply }
  | { readonly address: string; readonly stage: ClientStage; readonly fault: ClientFault };

export interface EnvelopeCommand {
  readonly verb: 'rset' | 'mail' | 'rcpt' | 'data';
  readonly text: string;
  /** Index of the recipient, for RCPT. */
  readonly index: number;
}

export class ClientEnvelope<T extends ClientTransaction> {
  readonly transaction: T;
  readonly #replies: (Reply | undefined)[];
  #commands: EnvelopeCommand[];
  #next = 0;
  #accepted = 0;
  #answered = 0;
  /** The content goes by BDAT: no DATA belongs to the envelope. */
  readonly chunked: boolean;
  /** LMTP: what the server said about the content, recipient by recipient. RFC 2033 s4.2. */
  #contentReplies: (Reply | undefined)[] | undefined;
  mailReply: Reply | undefined;
  /** Reply to DATA or to the content, for every recipient that RCPT accepted. */
  #final: { stage: ClientStage; reply: Reply } | undefined;
  /** MAIL was accepted and no content has ended the transaction: the server still holds it. */
  open = false;
  progress: ClientFault['progress'] = 'none';

  constructor(
    transaction: T,
    extensions: ClientExtensions,
    how: { readonly reset: boolean; readonly chunked: boolean },
  ) {
    this.transaction = transaction;
    this.chunked = how.chunked;
    this.#replies = new Array<Reply | undefined>(transaction.recipients.length);
    this.#commands = how.reset ? [{ verb: 'rset', text: 'RSET\r\n', index: 0 }] : [];
    this.#commands.push({ verb: 'mail', text: mailCommand(transaction, extensions), index: 0 });
    for (let index = 0; index < transaction.recipients.length; index += 1) {
      this.#commands.push({ verb: 'rcpt', text: rcptCommand(transaction, index, extensions), index });
    }
    if (!how.chunked) this.#commands.push({ verb: 'data', text: 'DATA\r\n', index: 0 });
  }

  /** The next command of the envelope, or undefined when all are written or none makes sense any more. */
  nextCommand(): EnvelopeCommand | undefined {
    const command = this.#commands[this.#next];
    if (command === undefined) return undefined;
    this.#next += 1;
    return command;
  }

  /** Without pipelining: what follows is pointless, because MAIL or every RCPT was refused. */
  get pointless(): boolean {
    if (this.mailReply !== undefined && !isPositive(this.mailReply)) return true;
    return this.#commands[this.#next]?.verb === 'data' && this.#accepted === 0;
  }

  /** Every recipient has its reply. */
  get answered(): boolean {
    return this.#answered === this.transaction.recipients.length;
  }

  get accepted(): number {
    return this.#accepted;
  }

  /** MAIL was refused and RCPT accepted all the same: whatever is sent now, nobody knows what becomes of it. */
  get muddled(): boolean {
    return this.#accepted > 0 && this.mailReply !== undefined && !isPositive(this.mailReply);
  }

  mail(reply: Reply): void {
    this.mailReply = reply;
    this.open = isPositive(reply);
    this.progress = 'envelope';
  }

  rcpt(index: number, reply: Reply): void {
    this.#replies[index] = reply;
    this.#answered += 1;
    if (isPositive(reply)) this.#accepted += 1;
  }

  /** Recipients that RCPT accepted: in LMTP each of them gets a reply to the content. */
  get acceptedIndices(): readonly number[] {
    return this.#replies.flatMap((reply, index) => (reply !== undefined && isPositive(reply) ? [index] : []));
  }

  content(index: number, reply: Reply): void {
    this.#contentReplies ??= [];
    this.#contentReplies[index] = reply;
  }

  finish(stage: ClientStage, reply: Reply): void {
    this.#final = { stage, reply };
    if (stage === 'content') this.open = false;
  }

  /** Every recipient exactly once, in the order given. `fault` fills in for those the server said nothing final about. */
  results(fault?: ClientFault): RecipientResult[] {
    return this.transaction.recipients.map((address, index) => this.#result(address, index, fault));
  }

  #result(address: string, index: number, fault: ClientFault | undefined): RecipientResult {
    const reply = this.#replies[index];
    const contentReply = this.#contentReplies?.[index];
    const mailReply = this.mailReply;
    if (mailReply !== undefined && !isPositive(mailReply)) return { address, stage: 'mail', reply: mailReply };
    if (reply !== undefined && !isPositive(reply)) return { address, stage: 'rcpt', reply };
    if (contentReply !== undefined) return { address, stage: 'content', reply: contentReply };
    if (this.#final !== undefined) return { address, stage: this.#final.stage, reply: this.#final.reply };
    if (fault !== undefined) return { address, stage: fault.stage, fault };
    throw new Error('broken invariant: a transaction ended without a reply or a fault');
  }
}
