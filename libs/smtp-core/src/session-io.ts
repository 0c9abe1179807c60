/**
 * What goes into and comes out of `SmtpServerSession`: inputs, outputs, questions, answers. Types only.
 */
import type { ForwardPath, ReversePath } from './path.js';
import type { SmtpLimits } from './limits.js';
import type { Reply } from './reply.js';

export type BodyType = '7BIT' | '8BITMIME';

/** The parameters of MAIL that were given. */
export interface MailParams {
  readonly sizeBytes?: number;
  readonly body?: BodyType;
}

/** Asked before the machine goes on; nothing further is read until it is answered. */
export type Question =
  | { readonly kind: 'connect' }
  | { readonly kind: 'helo'; readonly verb: 'EHLO' | 'HELO'; readonly domain: string }
  | { readonly kind: 'mail'; readonly reversePath: ReversePath; readonly params: MailParams }
  | { readonly kind: 'rcpt'; readonly forwardPath: ForwardPath }
  | { readonly kind: 'data' }
  | { readonly kind: 'message'; readonly sizeBytes: number };

/** `accept` takes a 2xx reply instead of the catalogue's; `refuse` needs 4xx or 5xx. 421 always closes. */
export type Answer =
  | { readonly effect: 'accept'; readonly reply?: Reply }
  | { readonly effect: 'refuse'; readonly reply: Reply; readonly close?: boolean };

/** Grows by one with each question of a session. An answer to another one than the open one is ignored. */
export type QuestionId = number;

/** Why a transaction ended without being answered by `message`. */
export type TransactionEnd = 'reset' | 'helo' | 'quit' | 'lost' | 'timeout' | 'content-refused' | 'closed';

export type CloseReason =
  | 'quit'
  | 'eof'
  | 'lost'
  | 'timeout'
  | 'refused'
  | 'protocol-error'
  | 'too-many-errors'
  | 'shutdown'
  | 'internal-error';

export type SessionInput =
  /** However the network cut them. Content outputs are views of these octets. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** The client will send no more; what it has sent is still answered. */
  | { readonly kind: 'eof' }
  /** The connection is gone: unread octets are dropped. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'answer'; readonly to: QuestionId; readonly answer: Answer }
  /** `now`: reply and close. `idle`: as soon as no transaction is open. */
  | { readonly kind: 'close'; readonly reply: Reply; readonly reason: CloseReason; readonly when: 'now' | 'idle' };

export type SessionOutput =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'ask'; readonly id: QuestionId; readonly question: Question }
  /** Unstuffed octets, CRLF kept; valid until the bytes they came in are reused. */
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  | { readonly kind: 'transaction-ended'; readonly why: TransactionEnd; readonly reply?: Reply }
  /** Always the last output. */
  | { readonly kind: 'close'; readonly reason: CloseReason };

/** Counted since the session began. */
export interface SessionCounters {
  readonly commands: number;
  readonly errors: number;
  readonly transactions: number;
}

export interface SessionOptions {
  readonly hostname: string;
  readonly limits?: Partial<SmtpLimits>;
  /** `enforced`: octets waiting behind EHLO or DATA end the session (RFC 2920 s3.1). Default `enforced`. */
  readonly syncPoints?: 'enforced' | 'tolerated';
}

/** What the session waits for: the driver picks its deadline by it. */
export type Awaited = 'answer' | 'command' | 'rest-of-line' | 'content' | 'nothing';
