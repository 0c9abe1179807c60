import { Inject, Injectable } from '@nestjs/common';
import { parsePublicId, publicId } from '#audit';
import type { QueueEntry, QueueFilter, RecipientChanged, StoredEvent } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { MatchedChange } from '../http/change.decorator.js';
import { checkPrecondition, readPrecondition } from '../http/conditional.js';
import type { Fields } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import type { Shown } from '../http/shown.js';
import { invalidRequest } from '../http/validation.js';
import type { ChangedMessageDto, MessageDto } from './message.dto.js';
import { QueueChanger, type QueueWish } from './queue-changer.js';
import { changedDto, entryDto } from './queue-entry.js';

export interface MessageChange extends Omit<MatchedChange, 'dryRun'> {
  readonly dryRun: boolean;
}

/** More than a message may have. */
const MOST_RECIPIENTS = 500;
const HISTORY = /^(delivery|bounce|notice|queue|review)\./u;

@Injectable()
export class MessagesService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(QueueChanger) private readonly changer: QueueChanger,
  ) {}

  async one(text: string): Promise<Shown<MessageDto>> {
    const { database } = this;
    const entries = await this.found(text);
    const id = entries[0]?.messageId ?? '';
    const [tag, story] = await Promise.all([
      database.current.queueAdministration.tag(id),
      database.current.audit.transaction(id),
    ]);
    const sender = entries[0]?.sender;
    const body = {
      id: publicId('txn', id),
      ...(sender !== undefined && { sender }),
      recipients: entries.map(entryDto),
      history: (story?.events ?? []).filter(({ kind }) => HISTORY.test(kind)).map(eventDto),
    };
    return { body, state: tag ?? '' };
  }

  async change(text: string, wish: QueueWish, change: MessageChange): Promise<Fields<ChangedMessageDto>> {
    const { actor, reason, dryRun } = change;
    requireReason(wish, reason);
    const checked = await this.changer.checked(wish);
    const entries = await this.found(text);
    const ifTag = await this.expectedTag(entries, change.ifMatch);
    const context = {
      actor,
      dryRun,
      ...(reason !== undefined && { reason }),
      ...(ifTag !== undefined && { ifTag }),
    };
    const results = dryRun
      ? await this.changer.once(entries, checked, context)
      : await this.changer.patiently(entries, checked, context);
    if (!dryRun) requireChange(results);
    return { id: text, dryRun, recipients: results.map(changedDto) };
  }

  /** A message's recipients in the queue, or the one recipient. */
  private async found(text: string): Promise<readonly QueueEntry[]> {
    const filter = idOf(text);
    const page =
      filter === undefined
        ? undefined
        : await this.database.current.queueAdministration.search(filter, { limit: MOST_RECIPIENTS });
    if (page === undefined || page.data.length === 0) {
      throw new Problem('not-found', 'no mail is in the queue under this id (any more)');
    }
    return page.data;
  }

  /** The store checks again, in its transaction. */
  private async expectedTag(entries: readonly QueueEntry[], ifMatch: string | undefined): Promise<string | undefined> {
    if (ifMatch === undefined) return undefined;
    const condition = readPrecondition(ifMatch, undefined);
    const tag = await this.database.current.queueAdministration.tag(entries[0]?.messageId ?? '');
    checkPrecondition(condition, tag);
    return condition.kind === 'any' ? undefined : tag;
  }
}

function idOf(text: string): QueueFilter | undefined {
  if (text.startsWith('rcp_')) {
    const recipientId = parsePublicId('rcp', text);
    return recipientId === undefined ? undefined : { recipientId };
  }
  const messageId = parsePublicId('txn', text);
  return messageId === undefined ? undefined : { messageId };
}

/** What loses mail says why. */
export function requireReason({ action }: QueueWish, reason: string | undefined): void {
  if (action !== 'drop' || reason !== undefined) return;
  const message = 'dropping loses mail: the header `Reason` must say why';
  throw invalidRequest([{ code: 'missing-header', message }]);
}

/** Nothing was changed: the answer says why, and whether it is worth trying again. */
function requireChange(results: readonly RecipientChanged[]): void {
  if (results.some(({ outcome }) => outcome === 'changed' || outcome === 'unchanged')) return;
  if (results.some(({ outcome }) => outcome === 'busy')) {
    const detail =
      'it is being delivered right now; when that does not succeed it comes back to the queue: ask again then';
    throw new Problem('conflict', detail, [], { 'Retry-After': '5' });
  }
  const why = results.find(({ outcome }) => outcome === 'refused')?.why;
  if (why === undefined) throw new Problem('not-found', 'no mail is in the queue under this id (any more)');
  throw new Problem('conflict', why);
}

function eventDto({ at, kind, recipient, data }: StoredEvent): Fields<MessageDto>['history'][number] {
  return {
    at: at.toISOString(),
    kind,
    ...(recipient !== undefined && { recipient }),
    data: data as unknown as Record<string, unknown>,
  };
}
