import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { newId, type ImportedEntry } from '#database';
import { checkListEntry, coveringEntries, type CompiledPolicy } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import { stale } from '../http/conditional.js';
import { Problem, type ProblemError } from '../http/problem.js';
import { instantOf } from '../http/time.js';
import type { OperationDto } from '../operations/operation.dto.js';
import { OperationsService } from '../operations/operations.service.js';
import {
  CSV,
  CSV_HEADER,
  CsvReader,
  formatRows,
  NDJSON,
  readJsonRow,
  RowFault,
  type EntryRow,
  type RowFormat,
} from './entry-rows.js';
import { linesOf } from './lines.js';
import type { ImportQuery, LookupDto } from './list.dto.js';
import { entryDto, ListsService } from './lists.service.js';

/** Rows between two statements, and between two turns of the event loop. */
const SLICE = 2_000;
const EXPORT_PAGE = 5_000;
const MOST_ROWS = 5_000_000;
const MOST_FAULTS = 20;
const MOST_TEXT = 500;

interface Import {
  readonly list: string;
  readonly query: ImportQuery;
  readonly actor: string;
  readonly reason: string | undefined;
}

/** Whole lists: in as an operation, out as a stream. */
@Injectable()
export class ListTransferService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(ListsService) private readonly lists: ListsService,
    @Inject(OperationsService) private readonly operations: OperationsService,
  ) {}

  /** Everything is read and checked while it arrives; what is wrong is told at once, and nothing was done. */
  async import(request: Request, given: Import): Promise<OperationDto> {
    const policy = await this.lists.definition(given.list);
    const id = newId();
    const { listImports } = this.database.current;
    let rows = 0;
    try {
      rows = await this.collect(request, { id, policy, list: given.list });
    } catch (error) {
      await listImports.forget(id);
      throw error;
    }
    return this.operations.start('list.import', given.actor, (run) => this.bringIn(run, { ...given, rows }), id);
  }

  /** Values in the order of the list, each page as it is then; backpressure is the reader's. */
  async export(list: string, format: RowFormat, response: Response): Promise<void> {
    await this.lists.definition(list);
    response.type(`${format}; charset=utf-8`);
    response.setHeader('Content-Disposition', `attachment; filename="${list}.${format === CSV ? 'csv' : 'ndjson'}"`);
    if (format === CSV) response.write(CSV_HEADER);
    for (let after: string | undefined; ;) {
      const page = await this.database.current.lists.entries(list, {
        limit: EXPORT_PAGE,
        ...(after !== undefined && { after }),
      });
      const isTaken = response.write(formatRows(format, page.data));
      if (response.destroyed) return;
      if (!isTaken) await drained(response);
      after = page.next;
      if (after === undefined) break;
    }
    response.end();
  }

  async lookup(list: string, value: string): Promise<LookupDto> {
    const policy = await this.lists.definition(list);
    const type = policy.managedLists.find(({ name }) => name === list)?.type ?? 'word';
    const candidates = coveringEntries(type, value);
    if (candidates === undefined) {
      const message = `\`${value.slice(0, 200)}\` is nothing that a list of type \`${type}\` can cover`;
      throw new Problem('value-refused', message, [{ code: 'value-refused', pointer: '/value', message }]);
    }
    const { entries, revision } = await this.database.current.lists.among(list, candidates);
    const found = candidates.flatMap((candidate) => entries.filter((entry) => entry.value === candidate));
    const [first] = found;
    return {
      value,
      listRevision: revision,
      covered: first !== undefined,
      ...(first !== undefined && { entry: entryDto(first) }),
      others: found.slice(1).map(entryDto),
    };
  }

  /** The next lines are checked while the last ones are stored. */
  private async collect(
    request: Request,
    { id, policy, list }: { id: string; policy: CompiledPolicy; list: string },
  ): Promise<number> {
    const faults: ProblemError[] = [];
    let kept = 0;
    let storing: Promise<void> = Promise.resolve();
    try {
      for await (const slice of checkedSlices(request, { policy, list, faults })) {
        if (kept + slice.length > MOST_ROWS) {
          throw new Problem('body-too-large', `at most ${MOST_ROWS} entries at once`);
        }
        await storing;
        storing = this.database.current.listImports.collect(id, kept + 1, slice);
        kept += slice.length;
        await nextTurn();
      }
      if (faults.length > 0) throw refusal(faults);
      await storing;
      return kept;
    } finally {
      await storing.catch(() => undefined);
    }
  }

  private async bringIn(
    run: { id: string; signal: AbortSignal; progress(done: number, total?: number): void },
    { list, query, actor, reason, rows }: Import & { readonly rows: number },
  ): Promise<Record<string, unknown>> {
    run.progress(0, rows);
    const { listImports } = this.database.current;
    try {
      const result = await listImports.apply({
        id: run.id,
        list,
        rows,
        mode: query.mode ?? 'merge',
        actor,
        ...(reason !== undefined && { reason }),
        ...(query.ifRevision !== undefined && { ifRevision: query.ifRevision }),
        signal: run.signal,
        progress: (done) => {
          run.progress(done);
        },
      });
      if (!result.ok) throw stale();
      const { revision, added, changed, removed } = result;
      return { list, revision, added, changed, removed };
    } finally {
      await listImports.forget(run.id).catch(() => undefined); // swept with the next import
    }
  }
}

/** Until its reader has taken what was written, or is gone. */
function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Rows of the body, checked, some thousand at a time; what is wrong with others goes to `faults`. */
async function* checkedSlices(
  request: Request,
  { policy, list, faults }: { policy: CompiledPolicy; list: string; faults: ProblemError[] },
): AsyncGenerator<readonly ImportedEntry[]> {
  const readRow = rowReader(formatOf(request.get('content-type')));
  let line = 0;
  let slice: ImportedEntry[] = [];
  for await (const text of linesOf(request)) {
    line += 1;
    try {
      const row = text.trim() === '' ? undefined : readRow(text);
      if (row !== undefined) slice.push(checkedRow(policy, list, row));
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      faults.push({ code: 'value-refused', line, message: `line ${line} ${error.message}` });
      if (faults.length >= MOST_FAULTS) return;
    }
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

function formatOf(contentType: string | undefined): RowFormat {
  const type = contentType?.split(';')[0]?.trim().toLowerCase();
  if (type === CSV || type === NDJSON) return type;
  throw new Problem('unsupported-media-type', `the Content-Type must be \`${NDJSON}\` or \`${CSV}\``);
}

function rowReader(format: RowFormat): (line: string) => EntryRow | undefined {
  if (format === NDJSON) return readJsonRow;
  const reader = new CsvReader();
  return (line) => reader.read(line);
}

function checkedRow(policy: CompiledPolicy, list: string, row: EntryRow): ImportedEntry {
  const { value, note, owner, expires } = row;
  if (typeof value !== 'string') throw new RowFault('has no `value`');
  const checked = checkListEntry(policy, list, value);
  if (!checked.ok) throw new RowFault(`is refused: ${checked.message}`);
  const expiresAt = expires === undefined || expires === null ? undefined : laterTime(expires);
  return {
    value: checked.value,
    ...optionalText('note', note),
    ...optionalText('owner', owner),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

function optionalText(name: 'note' | 'owner', text: unknown): Pick<ImportedEntry, 'note' | 'owner'> {
  if (text === undefined || text === null || text === '') return {};
  if (typeof text !== 'string' || text.length > MOST_TEXT || /\p{Cc}/u.test(text)) {
    throw new RowFault(`has a \`${name}\` that is no text of at most ${MOST_TEXT} printable characters`);
  }
  return { [name]: text };
}

function laterTime(text: unknown): Date {
  const time =
    typeof text === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/u.test(text)
      ? instantOf(text)
      : undefined;
  if (time === undefined) throw new RowFault('has an `expires` that is no time such as `2026-12-31T12:00:00Z`');
  if (time.getTime() <= Date.now()) throw new RowFault('has an `expires` that is over');
  return time;
}

function refusal(faults: readonly ProblemError[]): Problem {
  const first = faults[0]?.message ?? '';
  const more = faults.length > 1 ? `, and ${faults.length >= MOST_FAULTS ? 'more' : `${faults.length - 1} more`}` : '';
  return new Problem('value-refused', `${first}${more}; nothing was imported`, faults);
}
