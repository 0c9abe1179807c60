/**
 * The use case "durably accept": the only caller of `messages.accept`.
 *
 * INVARIANT (no-250-before-commit): `accept` resolves with undefined only after the store's COMMIT; answer.ts makes the
 * accepting reply of that and of nothing else.
 */
import type { AuditEvent } from '#audit';
import type { ContentSource, MessageToStore, QueuedMessage } from '#delivery';
import { OperationalError } from '#database';
import type { Reply } from '#smtp-core';
import type { Logger } from '../log.js';
import { chunksOf } from './body-store.js';
import { noRoom, notNow } from './replies.js';

export interface MessageStore {
  /** Resolves after COMMIT. Rejects when the commit failed or its outcome is unknown. */
  accept(message: MessageToStore): Promise<void>;
}

export interface FirstAttempt {
  /** Whether a message of this size would be taken now: decides whether its rows are stored leased to this node. */
  hasRoom(sizeBytes: number, recipients: AcceptRequest['recipients']): boolean;
  /** Takes the message for an attempt from memory, once its header is as it leaves. When it has no room after all, it gives the leases back itself. */
  offer(message: QueuedMessage): boolean;
  /** A hint that rows are due. */
  wake(): void;
}

/** What the sender asked about notices and about UTF-8. */
export type SenderWishes = Pick<MessageToStore, 'ret' | 'envelopeId' | 'smtpUtf8'>;

export interface AcceptRequest extends SenderWishes {
  readonly id: string;
  readonly trace: string;
  readonly sender: string;
  readonly content: ContentSource;
  readonly sizeBytes: number;
  readonly body8bit: boolean;
  readonly policyRevision: number;
  readonly recipients: MessageToStore['recipients'];
  readonly events: readonly AuditEvent[];
}

export class AcceptMessage {
  constructor(
    private readonly store: MessageStore,
    private readonly firstAttempt: FirstAttempt,
    private readonly readable: (content: ContentSource) => ContentSource,
    private readonly log: Logger,
  ) {}

  /** Undefined after COMMIT; otherwise the reply that refuses the message for now. */
  async accept(request: AcceptRequest): Promise<Reply | undefined> {
    const { trace } = request;
    const leased = this.firstAttempt.hasRoom(request.sizeBytes, request.recipients) && !needsItsFile(request);
    try {
      await this.store.accept({ ...request, leased });
    } catch (error) {
      // Also when the connection was lost during the commit: the message may be stored, the client will send it
      // again. A duplicate is possible, a loss is not.
      this.log.warn({ transaction: trace, err: error }, 'message not stored, answered 4xx');
      const full = error instanceof OperationalError && error.code === 'disk-full';
      return full ? noRoom(trace) : notNow(trace);
    }
    if (leased) this.#offer(request);
    else this.firstAttempt.wake();
    return undefined;
  }

  /** One queued message per route and header: a worker's claim never mixes them either. */
  #offer(request: AcceptRequest): void {
    const acceptedAtMs = Date.now();
    const content = this.readable(request.content);
    const groups = new Map<string, AcceptRequest['recipients'][number][]>();
    for (const recipient of request.recipients) {
      if (recipient.review !== undefined) continue;
      const changes = recipient.headerChanges;
      const key = changes === undefined ? recipient.route : `${recipient.route} ${JSON.stringify(changes)}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [recipient]);
      else group.push(recipient);
    }
    for (const recipients of groups.values()) {
      const headerChanges = recipients[0]?.headerChanges;
      this.firstAttempt.offer({
        id: request.id,
        sender: request.sender,
        content,
        sizeBytes: request.sizeBytes,
        body8bit: request.body8bit,
        policyRevision: request.policyRevision,
        acceptedAtMs,
        ...(request.ret !== undefined && { ret: request.ret }),
        ...(request.envelopeId !== undefined && { envelopeId: request.envelopeId }),
        ...(request.smtpUtf8 !== undefined && { smtpUtf8: request.smtpUtf8 }),
        recipients: recipients.map(({ id, address, route, notify, originalRecipient }) => ({
          id,
          address,
          route,
          attempts: 0,
          ...(notify !== undefined && { notify }),
          ...(originalRecipient !== undefined && { originalRecipient }),
        })),
        ...(headerChanges !== undefined && { headerChanges }),
      });
    }
  }
}

/** Spooled content is read again, its header changed, when the queue is polled; so is content from the database. */
function needsItsFile({ content, recipients }: AcceptRequest): boolean {
  if (content.kind === 'inline') return false;
  return chunksOf(content.file) !== undefined || recipients.some(({ headerChanges }) => headerChanges !== undefined);
}
