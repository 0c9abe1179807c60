import { Inject, Injectable } from '@nestjs/common';
import { isIP } from 'class-validator';
import { parsePublicId } from '#audit';
import { isCursor, type TransactionQuery } from '#database';
import { DatabaseAccess } from '../database-access.js';
import { readCursor, writeCursor } from '../http/page.js';
import { Problem } from '../http/problem.js';
import { instantOf } from '../http/time.js';
import { invalidRequest } from '../http/validation.js';
import type { TransactionDto, TransactionPageDto, TransactionSearch } from './transaction.dto.js';
import { storyOf, summaryOf } from './transaction-story.js';

@Injectable()
export class TransactionsService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async search(search: TransactionSearch): Promise<TransactionPageDto> {
    const page = await this.database.current.audit.searchTransactions(queryOf(search));
    return { data: page.data.map(summaryOf), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  async one(text: string): Promise<TransactionDto> {
    const id = parsePublicId('txn', text);
    const story = id === undefined ? undefined : await this.database.current.audit.transaction(id);
    if (story === undefined) throw new Problem('not-found', 'there is no such transaction');
    return storyOf(story);
  }
}

function queryOf(search: TransactionSearch): TransactionQuery {
  const after = readCursor(search.after, isCursor);
  const { sender, senderDomain, recipient, listener, verdict, rule, messageId } = search;
  return {
    limit: search.limit,
    ...(search['at.gte'] !== undefined && { since: timeOf(search['at.gte'], 'at.gte') }),
    ...(search['at.lt'] !== undefined && { until: timeOf(search['at.lt'], 'at.lt') }),
    ...(sender !== undefined && { sender: sender === '<>' ? '' : sender }),
    ...(senderDomain !== undefined && { senderDomain }),
    ...(recipient !== undefined && { recipient }),
    ...(search.ip !== undefined && { client: clientOf(search.ip) }),
    ...(listener !== undefined && { listener }),
    ...(verdict !== undefined && { verdict }),
    ...(rule !== undefined && { rule }),
    ...(messageId !== undefined && { messageId }),
    ...(after !== undefined && { after }),
  };
}

function timeOf(text: string, field: string): Date {
  const time = instantOf(text);
  if (time !== undefined) return time;
  throw invalidRequest([
    { code: 'invalid-field', pointer: `/${field}`, message: `\`${field}\` is a time that does not exist` },
  ]);
}

/** An address, or a network in CIDR form. */
function clientOf(text: string): string {
  const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/u.exec(text) ?? [];
  const longest = isIP(address, 4) ? 32 : isIP(address, 6) && !address.includes('%') ? 128 : -1;
  if (longest >= Number(prefix ?? 0)) return text;
  const message = '`ip` must be an address or a network such as `192.0.2.0/24`';
  throw invalidRequest([{ code: 'invalid-field', pointer: '/ip', message }]);
}
