import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { expiry, wholeNumber } from '../options.js';
import { collect, type Page } from '../pages.js';
import { shortTime, table } from '../text.js';
import { transferCommands } from './list-transfer.js';

interface ListAnswer {
  readonly name: string;
  readonly type: string;
  readonly within?: string;
  readonly use?: string;
  readonly revision: number;
}

interface EntryAnswer {
  readonly value: string;
  readonly note?: string;
  readonly owner?: string;
  readonly expires?: string;
  readonly addedAt?: string;
  readonly addedBy?: string;
}

interface AddAnswer extends EntryAnswer {
  readonly added: boolean;
  readonly listRevision: number;
}

interface AddOptions {
  readonly note?: string;
  readonly owner?: string;
  readonly expires?: string;
  readonly reason?: string;
}

const entriesPath = (list: string): string => `/v1/lists/${encodeURIComponent(list)}/entries`;

export function listCommands(program: Command, context: CommandContext): void {
  const lists = program.command('lists').description('list the managed lists; import and export whole ones');
  lists
    .command('show', { isDefault: true })
    .description('list the managed lists of the live policy')
    .action(() => showLists(context));
  transferCommands(lists, context);
  const list = program.command('list').description('add, remove and show entries of a managed list');
  list
    .command('add')
    .argument('<list>', 'name of a managed list')
    .argument('<value>', 'entry: address, domain, network or word, as the list wants it')
    .description('add an entry; adding it again changes note, owner and expiry')
    .option('--note <text>', 'what it is there for')
    .option('--owner <name>', 'who answers for it')
    .option('--expires <when>', 'date, time, or span such as `30d`; it counts no longer then', expiry)
    .option('--reason <text>', 'why, kept in the audit')
    .action((name: string, value: string, options: AddOptions) => add(context, name, value, options));
  list
    .command('remove')
    .argument('<list>', 'name of a managed list')
    .argument('<value>', 'entry')
    .description('remove an entry')
    .option('--reason <text>', 'why, kept in the audit')
    .action((name: string, value: string, options: { reason?: string }) =>
      remove(context, name, value, options.reason),
    );
  list
    .command('lookup')
    .argument('<list>', 'name of a managed list')
    .argument('<value>', 'address, domain, IP address or word')
    .description('tell which entry of a list covers a value')
    .action((name: string, value: string) => lookup(context, name, value));
  list
    .command('show')
    .argument('<list>', 'name of a managed list')
    .argument('[value]', 'show this entry only')
    .description('show the entries of a list')
    .option('--limit <n>', 'at most so many', wholeNumber, 1000)
    .action((name: string, value: string | undefined, options: { limit: number }) =>
      value === undefined ? showEntries(context, name, options.limit) : showEntry(context, name, value),
    );
}

async function showLists(context: CommandContext): Promise<void> {
  const page = await context.api().json<Page<ListAnswer>>({ path: '/v1/lists' });
  show(context, page, () => {
    if (page.data.length === 0) return ['the live policy has no managed lists'];
    return table(
      ['list', 'type', 'within', 'use', 'revision'],
      page.data.map((it) => [it.name, it.type, it.within, it.use, it.revision]),
    );
  });
}

async function add(context: CommandContext, list: string, value: string, options: AddOptions): Promise<void> {
  const { note, owner, expires, reason } = options;
  const answer = await context.api().json<AddAnswer>({
    method: 'POST',
    path: entriesPath(list),
    json: { value, note, owner, expires, reason },
  });
  const what = answer.added ? 'is now in' : 'was already in';
  show(context, answer, () => [`${answer.value} ${what} ${list} (revision ${answer.listRevision})`]);
}

async function remove(context: CommandContext, list: string, value: string, reason: string | undefined): Promise<void> {
  const path = `${entriesPath(list)}/${encodeURIComponent(value)}`;
  await context.api().send({ method: 'DELETE', path, query: { reason } });
  show(context, { list, value, removed: true }, () => [`${value} is no longer in ${list}`]);
}

interface LookupAnswer {
  readonly covered: boolean;
  readonly entry?: EntryAnswer;
  readonly others: readonly EntryAnswer[];
}

async function lookup(context: CommandContext, list: string, value: string): Promise<void> {
  const path = `${entriesPath(list)}:lookup`;
  const answer = await context.api().json<LookupAnswer>({ method: 'POST', path, json: { value } });
  show(context, answer, () =>
    answer.entry === undefined ? [`no entry of ${list} covers ${value}`] : entryTable([answer.entry, ...answer.others]),
  );
}

async function showEntry(context: CommandContext, list: string, value: string): Promise<void> {
  const answer = await context.api().json<EntryAnswer>({ path: `${entriesPath(list)}/${encodeURIComponent(value)}` });
  show(context, answer, () => entryTable([answer]));
}

async function showEntries(context: CommandContext, list: string, limit: number): Promise<void> {
  const page = await collect<EntryAnswer>(context.api(), entriesPath(list), {}, limit);
  show(context, page, () => [
    ...(page.data.length === 0 ? [`${list} has no entries`] : entryTable(page.data)),
    ...(page.next === undefined ? [] : [`more than ${limit}: raise --limit`]),
  ]);
}

function entryTable(entries: readonly EntryAnswer[]): readonly string[] {
  return table(
    ['value', 'owner', 'expires', 'added', 'by', 'note'],
    entries.map((it) => [it.value, it.owner, shortTime(it.expires), shortTime(it.addedAt), it.addedBy, it.note]),
  );
}
