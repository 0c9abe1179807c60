/**
 * Hooks for small programs: whole messages in memory, one call for each. Not for the gateway, which streams content to
 * its spool.
 *
 * One message is bounded by the server's `maxMessageBytes`, all messages of a collector together by `maxHeldBytes`.
 */
import { printMailbox } from '#smtp-core';
import type { Answer, ForwardPath, MailParams, RcptParams, ReversePath } from '#smtp-core';
import type { ContentSink, MaybePromise, ServerSession, SmtpServerHooks } from './hooks.js';

export interface CollectedMessage {
  /** Reverse path without brackets; '' is the null sender. */
  readonly sender: string;
  /** Accepted forward paths without brackets, in the order given; `Postmaster` when it came without a domain. */
  readonly recipients: readonly string[];
  /** NOTIFY and ORCPT, in the order of `recipients`; the relays pass them on. */
  readonly recipientParameters: readonly RcptParams[];
  /** MAIL said SMTPUTF8: header and addresses may hold UTF-8. */
  readonly smtpUtf8: boolean;
  /** RET and ENVID. */
  readonly ret?: 'FULL' | 'HDRS';
  readonly envelopeId?: string;
  /** Header and body as received: lines end in CR LF, dots are unstuffed. */
  readonly content: Buffer;
  readonly session: ServerSession;
}

/** Nothing returned accepts the message. A throw is answered 451, and the client keeps the message. */
export type MessageTaker = (message: CollectedMessage) => MaybePromise<Answer | undefined> | Promise<void>;

/** Hooks asked before anything is collected; only recipients that `rcpt` accepts are handed over. */
export interface CollectOptions extends Omit<SmtpServerHooks, 'data' | 'message'> {
  /** Content held at one time, over all sessions; beyond, messages are refused with 452. Default 256 MiB. */
  readonly maxHeldBytes?: number;
}

const MAX_HELD_BYTES = 268_435_456;
const ACCEPT: Answer = { effect: 'accept' };
const FULL: Answer = { effect: 'refuse', reply: { code: 452, enhanced: '4.3.1', lines: ['Insufficient storage'] } };

export function collectMessages(take: MessageTaker, options: CollectOptions = {}): SmtpServerHooks {
  const { maxHeldBytes = MAX_HELD_BYTES, ...hooks } = options;
  const memory = { heldBytes: 0, maxHeldBytes };
  const open = new WeakMap<ServerSession, Collection>();
  return {
    ...hooks,
    async mail(session, reversePath, params) {
      const answer = (await hooks.mail?.(session, reversePath, params)) ?? ACCEPT;
      if (answer.effect === 'accept') open.set(session, new Collection(reversePath, params, memory));
      return answer;
    },
    async rcpt(session, forwardPath, params) {
      const answer = (await hooks.rcpt?.(session, forwardPath, params)) ?? ACCEPT;
      if (answer.effect === 'accept') open.get(session)?.add(forwardPath, params);
      return answer;
    },
    data: (session) => ({ effect: 'accept', sink: collectionOf(open, session) }),
    async message(session) {
      const collection = collectionOf(open, session);
      open.delete(session);
      try {
        return collection.full ? FULL : ((await take(collection.message(session))) ?? ACCEPT);
      } finally {
        collection.abort();
      }
    },
  };
}

function collectionOf(open: WeakMap<ServerSession, Collection>, session: ServerSession): Collection {
  const collection = open.get(session);
  if (collection === undefined) throw new Error('broken invariant: content outside a transaction');
  return collection;
}

class Collection implements ContentSink {
  /** More was sent than may be held; nothing of it is kept. */
  full = false;
  readonly #sender: string;
  readonly #wishes: Pick<CollectedMessage, 'smtpUtf8' | 'ret' | 'envelopeId'>;
  readonly #recipients: string[] = [];
  readonly #recipientParameters: RcptParams[] = [];
  readonly #memory: { heldBytes: number; readonly maxHeldBytes: number };
  /** The first `#length` octets are content. Grown by doubling: a message in many small pieces is held once. */
  #block = Buffer.alloc(0);
  #length = 0;

  constructor(
    reversePath: ReversePath,
    { smtpUtf8, ret, envelopeId }: MailParams,
    memory: { heldBytes: number; readonly maxHeldBytes: number },
  ) {
    this.#sender = reversePath.kind === 'null' ? '' : printMailbox(reversePath.mailbox);
    this.#wishes = {
      smtpUtf8: smtpUtf8 === true,
      ...(ret === undefined ? {} : { ret }),
      ...(envelopeId === undefined ? {} : { envelopeId }),
    };
    this.#memory = memory;
  }

  add(forwardPath: ForwardPath, params: RcptParams): void {
    this.#recipientParameters.push(params);
    this.#recipients.push(forwardPath.kind === 'postmaster' ? 'Postmaster' : printMailbox(forwardPath.mailbox));
  }

  write(chunk: Uint8Array): void {
    if (this.full) return;
    const length = this.#length + chunk.length;
    if (length > this.#block.length && !this.#grow(length)) {
      this.full = true;
      this.abort();
      return;
    }
    this.#block.set(chunk, this.#length);
    this.#length = length;
  }

  /** To twice its size, or as far as there is room; false when there is none. */
  #grow(length: number): boolean {
    const had = this.#block;
    const room = this.#memory.maxHeldBytes - this.#memory.heldBytes + had.length;
    if (length > room) return false;
    const larger = Buffer.allocUnsafeSlow(Math.min(room, Math.max(length, 2 * had.length)));
    had.copy(larger, 0, 0, this.#length);
    this.#memory.heldBytes += larger.length - had.length;
    this.#block = larger;
    return true;
  }

  /** Lets go of the content. */
  abort(): void {
    this.#memory.heldBytes -= this.#block.length;
    this.#block = Buffer.alloc(0);
    this.#length = 0;
  }

  message(session: ServerSession): CollectedMessage {
    return {
      sender: this.#sender,
      recipients: this.#recipients,
      recipientParameters: this.#recipientParameters,
      ...this.#wishes,
      content: this.#block.subarray(0, this.#length),
      session,
    };
  }
}
