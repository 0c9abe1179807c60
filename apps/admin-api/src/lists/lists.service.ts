import { Inject, Injectable } from '@nestjs/common';
import type { ListEntry } from '#database';
import { checkListEntry, type CompiledPolicy } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import type { Fields } from '../http/fields.js';
import { readCursor, writeCursor } from '../http/page.js';
import type { PageQuery } from '../http/page.dto.js';
import { Problem } from '../http/problem.js';
import { instantOf } from '../http/time.js';
import { LivePolicyReader } from '../policies/live-policy-reader.js';
import type {
  AddedEntryDto,
  EntryPath,
  ListEntryDto,
  ListEntryPageDto,
  ManagedListDto,
  NewEntryRequest,
} from './list.dto.js';

/** Entries of the lists that the live policy manages outside its document. Type and bound come from the policy. */
@Injectable()
export class ListsService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LivePolicyReader) private readonly reader: LivePolicyReader,
  ) {}

  async all(): Promise<ManagedListDto[]> {
    const [policy, heads] = await Promise.all([this.reader.compiled(), this.database.current.lists.heads()]);
    return policy.managedLists.map((list) => ({
      name: list.name,
      type: list.type,
      ...(list.within !== undefined && { within: list.within }),
      ...(list.use !== undefined && { use: list.use }),
      revision: heads.find((head) => head.list === list.name)?.revision ?? 0,
    }));
  }

  async entries(list: string, query: PageQuery): Promise<ListEntryPageDto> {
    await this.definition(list);
    const after = readCursor(query.after, (text) => text !== '');
    const page = await this.database.current.lists.entries(list, {
      limit: query.limit,
      ...(after !== undefined && { after }),
    });
    return { data: page.data.map(entryDto), ...(page.next !== undefined && { next: writeCursor(page.next) }) };
  }

  async entry(list: string, raw: string): Promise<ListEntryDto> {
    const value = canonical(await this.definition(list), list, raw, '/value');
    const found = await this.database.current.lists.entry(list, value);
    if (found === undefined) throw noEntry(list, value);
    return entryDto(found);
  }

  async add(list: string, request: NewEntryRequest, actor: string): Promise<AddedEntryDto> {
    const value = canonical(await this.definition(list), list, request.value, '/value');
    const expiresAt = request.expires === undefined ? undefined : futureTime(request.expires, '/expires');
    const { lists } = this.database.current;
    const result = await lists.add(list, [value], {
      actor,
      ...(request.note !== undefined && { note: request.note }),
      ...(request.owner !== undefined && { owner: request.owner }),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(request.reason !== undefined && { reason: request.reason }),
    });
    const entry = await lists.entry(list, value);
    if (entry === undefined) throw new Problem('conflict', 'the entry was removed by somebody else at the same moment');
    const added = result.ok && result.changed.length > 0;
    return { ...entryDto(entry), added, listRevision: result.revision };
  }

  async remove(path: EntryPath, actor: string, reason: string | undefined): Promise<void> {
    const value = canonical(await this.definition(path.list), path.list, path.value, '/value');
    const result = await this.database.current.lists.remove(path.list, [value], {
      actor,
      ...(reason !== undefined && { reason }),
    });
    if (!result.ok || result.changed.length === 0) throw noEntry(path.list, value);
  }

  /** The live policy, when it has this managed list. */
  async definition(list: string): Promise<CompiledPolicy> {
    const policy = await this.reader.compiled();
    if (policy.managedLists.some((it) => it.name === list)) return policy;
    const known = policy.managedLists.map((it) => `\`${it.name}\``).join(', ');
    const hint = known === '' ? 'it has none' : `it has ${known}`;
    throw new Problem('not-found', `the live policy has no managed list \`${list}\`; ${hint}`);
  }
}

function canonical(policy: CompiledPolicy, list: string, raw: string, pointer: string): string {
  const result = checkListEntry(policy, list, raw);
  if (result.ok) return result.value;
  throw refused(result.message, pointer);
}

export function futureTime(text: string, pointer: string): Date {
  const time = instantOf(text);
  if (time === undefined) throw refused('the time does not exist', pointer);
  if (time.getTime() <= Date.now()) throw refused('the time must be in the future', pointer);
  return time;
}

function refused(message: string, pointer: string): Problem {
  return new Problem('value-refused', message, [{ code: 'value-refused', pointer, message }]);
}

function noEntry(list: string, value: string): Problem {
  return new Problem('not-found', `\`${value}\` is not in \`${list}\``);
}

export function entryDto(entry: ListEntry): Fields<ListEntryDto> {
  return {
    value: entry.value,
    ...(entry.note !== undefined && { note: entry.note }),
    ...(entry.owner !== undefined && { owner: entry.owner }),
    ...(entry.expiresAt !== undefined && { expires: entry.expiresAt.toISOString() }),
    addedAt: entry.addedAt.toISOString(),
    addedBy: entry.addedBy,
    revision: entry.revision,
  };
}
