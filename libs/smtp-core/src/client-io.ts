/** What goes into the client machine and what comes out of it, and what it keeps of each command it waits for. */
import type { ClientEnvelope, ClientFault, RecipientResult } from './client-envelope.js';
import type { ClientExtensions } from './client-extensions.js';
import type { GreetingOptions, GreetingVerb } from './client-greeting.js';
import type { ClientTransaction } from './client-parameters.js';
import type { Reply } from './reply.js';
import type { ReplyLimits } from './reply-reader.js';

export type ClientInput =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'eof'; readonly message?: string }
  | { readonly kind: 'timeout' }
  /** The handshake that `start-tls` asked for is done; octets are decrypted ones from now on. */
  | { readonly kind: 'tls-established' }
  | { readonly kind: 'tls-failed'; readonly message: string }
  /** Answer to `authenticate`. `mayEnd`: the server may accept this one. */
  | { readonly kind: 'auth-response'; readonly response: Buffer | undefined; readonly mayEnd: boolean }
  | { readonly kind: 'auth-impossible'; readonly message: string; readonly enhanced?: string };

export type ClientOutput<T extends ClientTransaction> =
  | { readonly kind: 'write'; readonly text: string }
  /** `chunked`: as it is, exactly `sizeBytes` octets (RFC 3030); otherwise stuffed, with its terminator. */
  | { readonly kind: 'content'; readonly transaction: T; readonly chunked: boolean }
  | { readonly kind: 'start-tls' }
  | { readonly kind: 'authenticate'; readonly mechanism: string; readonly challenge: Buffer | undefined }
  | { readonly kind: 'ready'; readonly extensions: ClientExtensions }
  | { readonly kind: 'result'; readonly transaction: T; readonly recipients: readonly RecipientResult[] }
  /** The greeting failed; `reply` when the server said why. */
  | { readonly kind: 'failed'; readonly fault: ClientFault; readonly reply?: Reply }
  /** Polite after QUIT was answered; otherwise nothing more is worth flushing. */
  | { readonly kind: 'close'; readonly polite: boolean };

/** What the machine waits for: chooses the time-out of RFC 5321 s4.5.3.2. */
export type ClientWait = 'idle' | 'banner' | 'ehlo' | 'tls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'content' | 'quit';

export interface ClientSessionOptions extends GreetingOptions {
  readonly replyLimits?: ReplyLimits;
  /** False: BDAT is never used, also where it is offered. */
  readonly chunking?: boolean;
}

export type ClientVerb = GreetingVerb | 'rset' | 'mail' | 'rcpt' | 'data' | 'content' | 'empty-content' | 'quit';

export interface Expected<T extends ClientTransaction> {
  readonly verb: ClientVerb;
  readonly envelope?: ClientEnvelope<T>;
  readonly index: number;
}

/** Which part of the session a reply belongs to. */
export const STAGES: Readonly<Record<ClientVerb, Exclude<ClientWait, 'idle'>>> = {
  banner: 'banner',
  ehlo: 'ehlo',
  helo: 'ehlo',
  starttls: 'tls',
  auth: 'auth',
  rset: 'mail',
  mail: 'mail',
  rcpt: 'rcpt',
  data: 'data',
  content: 'content',
  'empty-content': 'data',
  quit: 'quit',
};

const GREETING: ReadonlySet<ClientVerb> = new Set<GreetingVerb>(['banner', 'ehlo', 'helo', 'starttls', 'auth']);

export function isGreeting(verb: ClientVerb): verb is GreetingVerb {
  return GREETING.has(verb);
}
