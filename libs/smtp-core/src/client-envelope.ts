/**
 * One transaction as the client machine carries it out: the commands of its envelope, the replies so far, the result
 * for each recipient. RFC 5321 s3.3. No sockets, no order of several transactions: that is `client-session.ts`.
 */
import type { ClientExtensions } from './client-extensions.js';
import { isPositive } from './reply.js';
import type { Reply } from './reply.js';

/** What a caller wants sent. Addresses are printed paths without angle brackets; '' is the null sender. */
export interface ClientTransaction {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly sizeBytes: number;
  /** Content holds octets above 127, so the server must offer 8BITMIME. RFC 6152. */
  readonly body8bit: boolean;
}

export type ClientStage = 'connect' | 'banner' | 'ehlo' | 'mail' | 'rcpt' | 'data' | 'content' | 'quit';

/**
 * A failure that is not a reply. `progress` says how far the transaction had come: `sent` means that the terminator was
 * written and the server may have accepted the message — uncertain, RFC 5321 s6.1.
 */
export interface ClientFault {
  readonly stage: ClientStage;
  readonly reason: 'refused' | 'unreachable' | 'timeout' | 'lost' | 'protocol' | 'unsupported' | 'content' | 'closed';
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

const CONTROL = /[\u0000-\u001f\u007f]/;
const NOT_ASCII = /[^\u0000-\u007f]/;

/** Why a transaction cannot be offered to this server at all. The message is never changed to make it fit. */
export function unsupportedBy(extensions: ClientExtensions, transaction: ClientTransaction): ClientFault | undefined {
  if (CONTROL.test(transaction.sender) || transaction.recipients.some((address) => CONTROL.test(address))) {
    return unsupported('5.1.3', 'an address holds a control character');
  }
  if (transaction.body8bit && !extensions.eightBitMime) {
    return unsupported('5.6.3', 'message holds 8-bit octets and the server does not offer 8BITMIME');
  }
  if (extensions.sizeBytes !== undefined && transaction.sizeBytes > extensions.sizeBytes) {
    const sizes = `${transaction.sizeBytes} octets, the server takes at most ${extensions.sizeBytes}`;
    return unsupported('5.3.4', `message is too big: ${sizes}`);
  }
  if (!extensions.smtpUtf8 && needsUtf8(transaction)) {
    return unsupported('5.6.7', 'an address is not ASCII and the server does not offer SMTPUTF8');
  }
  return undefined;
}

function unsupported(enhanced: string, message: string): ClientFault {
  return { stage: 'mail', reason: 'unsupported', progress: 'none', enhanced, message };
}

function needsUtf8(transaction: ClientTransaction): boolean {
  return NOT_ASCII.test(transaction.sender) || transaction.recipients.some((address) => NOT_ASCII.test(address));
}

/** INVARIANT (one line): an address never carries a control character, so it cannot end its command. */
function checked(address: string): string {
  if (CONTROL.test(address)) throw new RangeError('address holds a control character, expected a printed path');
  return address;
}

export class ClientEnvelope<T extends ClientTransaction> {
  readonly transaction: T;
  readonly #replies: (Reply | undefined)[];
  #commands: EnvelopeCommand[];
  #next = 0;
  #accepted = 0;
  mailReply: Reply | undefined;
  /** Reply to DATA or to the content, for every recipient that RCPT accepted. */
  #final: { stage: ClientStage; reply: Reply } | undefined;
  /** MAIL was accepted and no content has ended the transaction: the server still holds it. */
  open = false;
  progress: ClientFault['progress'] = 'none';

  constructor(transaction: T, extensions: ClientExtensions, reset: boolean) {
    this.transaction = transaction;
    this.#replies = new Array<Reply | undefined>(transaction.recipients.length);
    this.#commands = reset ? [{ verb: 'rset', text: 'RSET\r\n', index: 0 }] : [];
    this.#commands.push({ verb: 'mail', text: mailCommand(transaction, extensions), index: 0 });
    transaction.recipients.forEach((address, index) =>
      this.#commands.push({ verb: 'rcpt', text: `RCPT TO:<${checked(address)}>\r\n`, index }),
    );
    this.#commands.push({ verb: 'data', text: 'DATA\r\n', index: 0 });
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

  get accepted(): number {
    return this.#accepted;
  }

  mail(reply: Reply): void {
    this.mailReply = reply;
    this.open = isPositive(reply);
    this.progress = 'envelope';
  }

  rcpt(index: number, reply: Reply): void {
    this.#replies[index] = reply;
    if (isPositive(reply)) this.#accepted += 1;
  }

  finish(stage: ClientStage, reply: Reply): void {
    this.#final = { stage, reply };
    if (stage === 'content') this.open = false;
  }

  /** Every recipient exactly once, in the order given. `fault` fills in for those the server said nothing final about. */
  results(fault?: ClientFault): RecipientResult[] {
    return this.transaction.recipients.map((address, index) => this.#result(address, this.#replies[index], fault));
  }

  #result(address: string, reply: Reply | undefined, fault: ClientFault | undefined): RecipientResult {
    const mailReply = this.mailReply;
    if (mailReply !== undefined && !isPositive(mailReply)) return { address, stage: 'mail', reply: mailReply };
    if (reply !== undefined && !isPositive(reply)) return { address, stage: 'rcpt', reply };
    if (this.#final !== undefined) return { address, stage: this.#final.stage, reply: this.#final.reply };
    if (fault !== undefined) return { address, stage: fault.stage, fault };
    throw new Error('broken invariant: a transaction ended without a reply or a fault');
  }
}

function mailCommand(transaction: ClientTransaction, extensions: ClientExtensions): string {
  const size = extensions.size ? ` SIZE=${transaction.sizeBytes}` : '';
  const body = extensions.eightBitMime && transaction.body8bit ? ' BODY=8BITMIME' : '';
  const utf8 = extensions.smtpUtf8 && needsUtf8(transaction) ? ' SMTPUTF8' : '';
  return `MAIL FROM:<${checked(transaction.sender)}>${size}${body}${utf8}\r\n`;
}
