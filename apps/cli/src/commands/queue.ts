import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { reasonHeader } from '../headers.js';
import { followOperation, type OperationAnswer } from '../operation.js';
import { pointInTime, wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { cell, fields, safe, shortTime, table } from '../text.js';

interface QueueRow {
  readonly id: string;
  readonly transaction: string;
  readonly sender?: string;
  readonly recipient: string;
  readonly route: string;
  readonly attempts: number;
  readonly acceptedAt: string;
  readonly nextAttemptAt?: string;
  readonly state: string;
  readonly lastReply?: string;
  readonly reviewQueue?: string;
  readonly hold?: { readonly actor: string; readonly reason?: string; readonly at: string };
  readonly givenUp?: string;
}

interface MessageAnswer {
  readonly id: string;
  readonly sender?: string;
  readonly recipients: readonly QueueRow[];
  readonly history: readonly {
    readonly at: string;
    readonly kind: string;
    readonly recipient?: string;
    readonly data: Readonly<Record<string, unknown>>;
  }[];
}

interface Place {
  readonly state: string;
  readonly recipient: string;
  readonly route: string;
}

interface ChangedRow {
  readonly id: string;
  readonly outcome: string;
  readonly why?: string;
  readonly before?: Place;
  readonly after?: Place;
}

interface ManyTried {
  readonly matched: number;
  readonly sample: readonly ChangedRow[];
}

interface FilterOptions {
  readonly state?: string;
  readonly route?: string;
  readonly domain?: string;
  readonly recipient?: string;
  readonly sender?: string;
  readonly senderDomain?: string;
  readonly olderThan?: string;
  readonly newerThan?: string;
}

interface ChangeOptions extends FilterOptions {
  readonly all?: true;
  readonly reason?: string;
  readonly dryRun?: true;
  readonly wait: boolean;
  readonly to?: string;
  readonly newRoute?: string;
}

const PATH = '/v1/messages';
const STATES = ['queued', 'delivering', 'deferred', 'held', 'suspended', 'broken'];

export function queueCommands(program: Command, context: CommandContext): void {
  const queue = program.command('queue').description('look at what waits for delivery, and change it');
  filtered(queue.command('list'))
    .description('list and search what waits for delivery, oldest first')
    .option('--limit <n>', 'at most so many', wholeNumber, 100)
    .action(async (options: FilterOptions & { limit: number }) => {
      const page = await collect<QueueRow>(context.api(), PATH, filterOf(options), options.limit);
      show(context, page, () => (page.data.length === 0 ? ['the queue is empty'] : queueTable(page.data)));
    });
  queue
    .command('show')
    .argument('<id>', '`txn_…` of a message, or `rcp_…` of a recipient')
    .description('show where it stands and what happened to it')
    .action(async (id: string) => {
      const answer = await context.api().json<MessageAnswer>({ path: `${PATH}/${encodeURIComponent(id)}` });
      show(context, answer, () => message(answer));
    });
  change(queue, context, ['retry', 'try it now; also what was set aside']);
  change(queue, context, ['hold', 'keep it in the queue, without attempts, until it is released']);
  change(queue, context, ['release', 'let it go on, now']);
  change(queue, context, ['reroute', 'choose its route anew, or take --new-route']);
  change(queue, context, ['redirect', 'send it to another address: --to']);
  change(queue, context, ['expire', 'give it up now; its sender gets the notice']);
  change(queue, context, ['drop', 'throw it away; nobody is told. Needs --reason']);
}

function filtered(command: Command): Command {
  return command
    .addOption(new Option('--state <state>', 'only in this state').choices(STATES))
    .option('--route <name>', 'only on this route')
    .option('--domain <domain>', 'only to this domain')
    .option('--recipient <address>', 'only to this address')
    .option('--sender <address>', 'only from this reverse path; `<>` is the null sender')
    .option('--sender-domain <domain>', 'only from this domain')
    .option('--older-than <span>', 'accepted longer ago, such as `2h`', pointInTime)
    .option('--newer-than <span>', 'accepted since', pointInTime);
}

function filterOf(options: FilterOptions): Record<string, string | undefined> {
  const { state, route, domain, recipient, sender, senderDomain, olderThan, newerThan } = options;
  return { state, route, domain, recipient, sender, senderDomain, 'at.lt': olderThan, 'at.gte': newerThan };
}

function change(queue: Command, context: CommandContext, [action, description]: readonly [string, string]): void {
  const command = filtered(queue.command(action))
    .argument('[id]', '`txn_…` of a message or `rcp_…` of a recipient; without it a filter says which')
    .description(description)
    .option('--all', 'instead of a filter: the whole queue')
    .option('--reason <text>', 'why, kept in the audit')
    .option('--dry-run', 'find out, change nothing')
    .option('--no-wait', 'do not wait for the end of a change of many');
  if (action === 'redirect') command.requiredOption('--to <address>', 'where to');
  if (action === 'reroute' || action === 'redirect') {
    command.option('--new-route <name>', 'this route, instead of the one that the policy in force chooses');
  }
  command.action(async (id: string | undefined, options: ChangeOptions) => {
    const filter = Object.entries(filterOf(options)).filter(([, value]) => value !== undefined);
    const isFiltered = filter.length > 0 || options.all === true;
    if ((id === undefined) !== isFiltered) {
      throw new CommandError(EXIT.usage, 'expected an id, or a filter (such as --domain), or --all');
    }
    if (id === undefined)
      await changeMany(context, action, options, Object.fromEntries(filter) as Record<string, string>);
    else await changeOne(context, action, id, options);
  });
}

function bodyOf({ to, newRoute }: ChangeOptions): Record<string, unknown> {
  return { ...(to !== undefined && { to }), ...(newRoute !== undefined && { route: newRoute }) };
}

async function changeOne(context: CommandContext, action: string, id: string, options: ChangeOptions): Promise<void> {
  const answer = await context.api().json<{ recipients: readonly ChangedRow[] }>({
    method: 'POST',
    path: `${PATH}/${encodeURIComponent(id)}:${action}`,
    query: { dryRun: options.dryRun === true ? 'true' : undefined },
    headers: reasonHeader(options.reason),
    json: bodyOf(options),
  });
  show(context, answer, () => changedTable(answer.recipients));
}

async function changeMany(
  context: CommandContext,
  action: string,
  options: ChangeOptions,
  filter: Record<string, string>,
): Promise<void> {
  const request = {
    method: 'POST',
    path: `${PATH}:${action}`,
    headers: reasonHeader(options.reason),
    json: { ...bodyOf(options), ...(options.all === true ? { all: true } : { filter }) },
  } as const;
  if (options.dryRun === true) {
    const tried = await context.api().json<ManyTried>({ ...request, query: { dryRun: 'true' } });
    show(context, tried, () => [`${tried.matched} recipients fit; the first of them:`, ...changedTable(tried.sample)]);
    return;
  }
  const begun = await context.api().json<OperationAnswer>(request);
  const ended = options.wait ? await followOperation(context, begun) : begun;
  show(context, ended, () => operationLines(ended));
  if (ended.state !== 'succeeded' && options.wait) {
    throw new CommandError(EXIT.refused, `the operation ${ended.id} is ${ended.state}`, [], null);
  }
}

function operationLines({ id, state, done, total, result }: OperationAnswer): readonly string[] {
  if (result === undefined) return [`${id} is ${state}: ${String(done)} of ${String(total ?? '?')}`];
  return fields(Object.entries(result).map(([name, count]) => [name, count] as const));
}

function queueTable(rows: readonly QueueRow[]): readonly string[] {
  return table(
    ['id', 'transaction', 'sender', 'recipient', 'route', 'state', 'attempts', 'next attempt', 'last reply'],
    rows.map((it) => [
      it.id,
      it.transaction,
      it.sender === '' ? '<>' : it.sender,
      it.recipient,
      it.route,
      it.reviewQueue === undefined ? it.state : `${it.state} (${it.reviewQueue})`,
      it.attempts,
      shortTime(it.nextAttemptAt),
      it.givenUp ?? it.lastReply,
    ]),
  );
}

function changedTable(rows: readonly ChangedRow[]): readonly string[] {
  return table(
    ['id', 'recipient', 'outcome', 'before', 'after', 'why'],
    rows.map((it) => [
      it.id,
      it.before?.recipient,
      it.outcome,
      placeText(it.before),
      it.outcome === 'changed' && it.after === undefined ? 'gone' : placeText(it.after, it.before),
      it.why,
    ]),
  );
}

function placeText(place: Place | undefined, before?: Place): string | undefined {
  if (place === undefined) return undefined;
  const moved = before !== undefined && before.recipient !== place.recipient ? ` to ${place.recipient}` : '';
  return `${place.state} on ${place.route === '' ? '-' : place.route}${moved}`;
}

function message(it: MessageAnswer): readonly string[] {
  return [
    ...fields([
      ['id', it.id],
      ['sender', it.sender === '' ? '<>' : it.sender],
    ]),
    '',
    ...queueTable(it.recipients),
    ...it.recipients.flatMap(({ id, hold }) =>
      hold === undefined ? [] : [safe(`${id} is held by ${hold.actor} since ${hold.at}${why(hold.reason)}`)],
    ),
    '',
    ...table(
      ['at', 'what', 'recipient', 'by', 'details'],
      it.history.map(({ at, kind, recipient, data }) => [
        shortTime(at),
        kind,
        recipient,
        data['actor'] ?? data['host'],
        detailOf(data),
      ]),
    ),
  ];
}

function detailOf({ reply, reason, after }: Readonly<Record<string, unknown>>): string {
  if (typeof reply === 'string') return reply;
  const place = after as { state: string; route: string; address: string } | undefined;
  const moved = place === undefined ? [] : [`${place.state}, ${place.route}, ${place.address}`];
  return cell([...moved, ...(typeof reason === 'string' ? [reason] : [])]);
}

function why(reason: string | undefined): string {
  return reason === undefined ? '' : `: ${reason}`;
}
