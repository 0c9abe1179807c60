import { Inject, Injectable } from '@nestjs/common';
import { publicId } from '#audit';
import type { QueueEntry } from '#database';
import { DatabaseAccess } from '../database-access.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { QueueEntryDto, QueuePageDto, QueueSearch } from './queue.dto.js';

@Injectable()
export class QueueService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async list(search: QueueSearch): Promise<QueuePageDto> {
    const after = readCursor(search.after, isQueuePosition);
    const page = await this.database.current.queue.entries({
      limit: search.limit,
      ...(search.route !== undefined && { route: search.route }),
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(entryDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }
}

/** Message and recipient. */
function isQueuePosition(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(text);
}

function entryDto(entry: QueueEntry): QueueEntryDto {
  return {
    id: publicId('rcp', entry.id),
    transaction: publicId('txn', entry.messageId),
    recipient: entry.address,
    route: entry.route,
    state: stateOf(entry),
    attempts: entry.attempts,
    acceptedAt: entry.acceptedAt.toISOString(),
    nextAttemptAt: entry.nextAttemptAt.toISOString(),
    ...(entry.lastReply !== undefined && entry.lastReply !== '' && { lastReply: entry.lastReply }),
  };
}

/** A lease means that a gateway works on it; the same words as in a transaction's recipients. */
function stateOf(entry: QueueEntry): QueueEntryDto['state'] {
  if (entry.state !== 'queued') return entry.state;
  if (entry.owner !== undefined) return 'delivering';
  return entry.attempts === 0 ? 'queued' : 'deferred';
}
