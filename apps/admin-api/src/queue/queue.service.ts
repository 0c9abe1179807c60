import { Inject, Injectable } from '@nestjs/common';
import { DatabaseAccess } from '../database-access.js';
import { readCursor, writeCursor } from '../http/page.js';
import { entryDto, filterOf, isQueuePosition } from './queue-entry.js';
import type { QueuePageDto, QueueSearch } from './queue.dto.js';

@Injectable()
export class QueueService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async list(search: QueueSearch): Promise<QueuePageDto> {
    const after = readCursor(search.after, isQueuePosition);
    const page = await this.database.current.queueAdministration.search(filterOf(search), {
      limit: search.limit,
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(entryDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }
}
