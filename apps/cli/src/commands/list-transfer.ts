/** Whole managed lists, from and to files. */
import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { reasonHeader } from '../headers.js';
import { followOperation, type OperationAnswer } from '../operation.js';
import { safe } from '../text.js';

/** A list of millions takes a while to be sent. */
const TRANSFER_MS = 30 * 60_000;
const TYPES = { csv: 'text/csv', ndjson: 'application/x-ndjson' } as const;

interface ImportOptions {
  readonly replace?: true;
  readonly ifRevision?: string;
  readonly format?: keyof typeof TYPES;
  readonly reason?: string;
}

export function transferCommands(lists: Command, context: CommandContext): void {
  const format = (): Option => new Option('--format <format>', 'format of the file').choices(Object.keys(TYPES));
  lists
    .command('import')
    .argument('<list>', 'name of a managed list')
    .argument('<file>', 'NDJSON or CSV, one entry a line; `-` is standard input')
    .description('bring a whole file of entries in, all or none')
    .option('--replace', 'remove entries that are not in the file')
    .option('--if-revision <n>', 'refuse when the list is at another revision by then')
    .addOption(format())
    .option('--reason <text>', 'why, kept in the audit')
    .action((list: string, file: string, options: ImportOptions) => importList(context, { list, file, ...options }));
  lists
    .command('export')
    .argument('<list>', 'name of a managed list')
    .description('print all entries of a list')
    .addOption(format().default('ndjson'))
    .action((list: string, options: { format: keyof typeof TYPES }) => exportList(context, list, options.format));
}

async function importList(
  context: CommandContext,
  given: ImportOptions & { readonly list: string; readonly file: string },
): Promise<void> {
  const { list, file, reason } = given;
  const format = given.format ?? (file.endsWith('.csv') ? 'csv' : 'ndjson');
  const begun = await context.api().json<OperationAnswer>({
    method: 'POST',
    path: `/v1/lists/${encodeURIComponent(list)}/entries:import`,
    query: { mode: given.replace === true ? 'replace' : undefined, ifRevision: given.ifRevision },
    body: { text: context.read(file), type: TYPES[format] },
    headers: reasonHeader(reason),
    timeoutMs: TRANSFER_MS,
  });
  const ended = await followOperation(context, begun);
  if (ended.state !== 'succeeded') {
    const why = ended.problem?.detail ?? `the import was ${ended.state}`;
    throw new CommandError(EXIT.refused, safe(why), ['nothing was imported'], ended.problem);
  }
  const { revision, added, changed, removed } = ended.result ?? {};
  show(context, ended, () => [
    `${list}: ${String(added)} added, ${String(changed)} changed, ${String(removed)} removed (revision ${String(revision)})`,
  ]);
}

async function exportList(context: CommandContext, list: string, format: keyof typeof TYPES): Promise<void> {
  const path = `/v1/lists/${encodeURIComponent(list)}/entries:export`;
  const answer = await context.api().send({ path, query: { format }, timeoutMs: TRANSFER_MS });
  context.terminal.raw(answer.text);
}
