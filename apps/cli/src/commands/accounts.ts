import type { Command } from 'commander';
import type { ApiRequest } from '../api-client.js';
import { show, type CommandContext } from '../context.js';
import { reasonHeader } from '../headers.js';
import { expiry, repeated, wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { fields, shortTime, table } from '../text.js';

interface AccountAnswer {
  readonly name: string;
  readonly identities: readonly string[];
  readonly note?: string;
  readonly disabled: boolean;
  readonly expires?: string;
  readonly passwordSetAt?: string;
  readonly createdAt?: string;
  readonly createdBy?: string;
  readonly updatedAt?: string;
  readonly updatedBy?: string;
  /** Only of a password that was made just now. */
  readonly password?: string;
}

interface ReasonOption {
  readonly reason?: string;
}

interface PasswordOption extends ReasonOption {
  readonly ask?: true;
}

interface AddOptions extends PasswordOption {
  readonly identity: readonly string[];
  readonly note?: string;
  readonly expires?: string;
  readonly disabled?: true;
}

interface SetOptions extends ReasonOption {
  readonly identity: readonly string[];
  readonly note?: string;
  /** False: `--no-expires`. */
  readonly expires?: string | false;
}

const PATH = '/v1/accounts';
const pathOf = (name: string): string => `${PATH}/${encodeURIComponent(name)}`;
const IDENTITY = 'address it may send as, `*@domain` for all of a domain; may be repeated';
const ASK = 'ask for the password, or read it from standard input; without this one is made';
const REASON = 'why, kept in the audit';

export function accountCommands(program: Command, context: CommandContext): void {
  const account = program.command('account').description('accounts that SMTP clients sign in with');
  account
    .command('add')
    .argument('<name>', 'letters, digits and `. _ + @ -`')
    .description('create an account; a password that is made is shown once')
    .option('--identity <address>', IDENTITY, repeated, [])
    .option('--note <text>', 'whose it is, what for')
    .option('--expires <when>', 'date, time, or span such as `90d`', expiry)
    .option('--disabled', 'it may not sign in yet')
    .option('--ask', ASK)
    .option('--reason <text>', REASON)
    .action((name: string, options: AddOptions) => add(context, name, options));
  account
    .command('list')
    .description('list accounts')
    .option('--limit <n>', 'at most so many', wholeNumber, 1000)
    .action((options: { limit: number }) => list(context, options.limit));
  account
    .command('show')
    .argument('<name>', 'account')
    .description('show one account')
    .action((name: string) => showOne(context, name));
  changingCommands(account, context);
}

function changingCommands(account: Command, context: CommandContext): void {
  account
    .command('password')
    .argument('<name>', 'account')
    .description('replace the password; the old one is worthless at once')
    .option('--ask', ASK)
    .option('--reason <text>', REASON)
    .action((name: string, options: PasswordOption) => setPassword(context, name, options));
  account
    .command('set')
    .argument('<name>', 'account')
    .description('change what an account may send as, its note, its expiry')
    .option('--identity <address>', `${IDENTITY}; replaces those it has`, repeated, [])
    .option('--note <text>', 'whose it is, what for; empty removes it')
    .option('--expires <when>', 'date, time, or span such as `90d`', expiry)
    .option('--no-expires', 'it does not expire')
    .option('--reason <text>', REASON)
    .action((name: string, options: SetOptions) => set(context, name, options));
  for (const [verb, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    account
      .command(verb)
      .argument('<name>', 'account')
      .description(disabled ? 'refuse every sign-in from now on' : 'let it sign in again')
      .option('--reason <text>', REASON)
      .action(async (name: string, { reason }: ReasonOption) => {
        const answer = await patch(context, name, { disabled }, reason);
        show(context, answer, () => [`${answer.name} is ${answer.disabled ? 'disabled' : 'enabled'}`]);
      });
  }
  account
    .command('remove')
    .argument('<name>', 'account')
    .description('remove an account')
    .option('--reason <text>', REASON)
    .action((name: string, { reason }: ReasonOption) => remove(context, name, reason));
}

async function add(context: CommandContext, name: string, options: AddOptions): Promise<void> {
  const { identity, note, expires, disabled, ask, reason } = options;
  const password = ask === true ? await context.secret(`password of ${name}`) : undefined;
  const answer = await context.api().json<AccountAnswer>({
    method: 'POST',
    path: PATH,
    json: { name, identities: identity, note, expires, disabled, password },
    headers: reasonHeader(reason),
  });
  show(context, answer, () => [...lines(answer), ...onceLines(answer)]);
}

async function list(context: CommandContext, limit: number): Promise<void> {
  const page = await collect<AccountAnswer>(context.api(), PATH, {}, limit);
  show(context, page, () => {
    if (page.data.length === 0) return ['there are no accounts'];
    const rows = page.data.map((it) => [it.name, state(it), it.identities, shortTime(it.expires), it.note]);
    return [
      ...table(['account', 'state', 'identities', 'expires', 'note'], rows),
      ...(page.next === undefined ? [] : [`more than ${limit}: raise --limit`]),
    ];
  });
}

async function showOne(context: CommandContext, name: string): Promise<void> {
  const answer = await context.api().json<AccountAnswer>({ path: pathOf(name) });
  show(context, answer, () => lines(answer));
}

async function setPassword(context: CommandContext, name: string, { ask, reason }: PasswordOption): Promise<void> {
  const password = ask === true ? await context.secret(`password of ${name}`) : undefined;
  const path = `${pathOf(name)}:password`;
  const answer = await changed(context, name, { method: 'POST', path, json: { password } }, reason);
  show(context, answer, () => [`${answer.name} has another password`, ...onceLines(answer)]);
}

async function set(context: CommandContext, name: string, options: SetOptions): Promise<void> {
  const { identity, note, expires, reason } = options;
  const answer = await patch(
    context,
    name,
    {
      ...(identity.length > 0 && { identities: identity }),
      ...(note !== undefined && { note: note === '' ? null : note }),
      ...(expires !== undefined && { expires: expires === false ? null : expires }),
    },
    reason,
  );
  show(context, answer, () => lines(answer));
}

async function remove(context: CommandContext, name: string, reason: string | undefined): Promise<void> {
  await changed(context, name, { method: 'DELETE', path: pathOf(name) }, reason);
  show(context, { name, removed: true }, () => [`${name} is removed`]);
}

function patch(
  context: CommandContext,
  name: string,
  json: Readonly<Record<string, unknown>>,
  reason: string | undefined,
): Promise<AccountAnswer> {
  return changed(context, name, { method: 'PATCH', path: pathOf(name), json }, reason);
}

/** Based on what is there now: whoever changes it in between is not overwritten. */
async function changed(
  context: CommandContext,
  name: string,
  request: ApiRequest,
  reason: string | undefined,
): Promise<AccountAnswer> {
  const now = await context.api().send({ path: pathOf(name) });
  const headers = { 'If-Match': now.headers.get('etag') ?? '*', ...reasonHeader(reason) };
  return context.api().json<AccountAnswer>({ ...request, headers });
}

function lines(account: AccountAnswer): readonly string[] {
  return fields([
    ['account', account.name],
    ['state', state(account)],
    ['identities', account.identities.length === 0 ? 'none' : account.identities],
    ['expires', account.expires],
    ['note', account.note],
    ['password set', shortTime(account.passwordSetAt)],
    ['created', `${shortTime(account.createdAt)} by ${account.createdBy ?? '-'}`],
    ['changed', `${shortTime(account.updatedAt)} by ${account.updatedBy ?? '-'}`],
  ]);
}

function onceLines({ password }: AccountAnswer): readonly string[] {
  return password === undefined ? [] : [`password:     ${password}`, 'keep it now: it is not shown again'];
}

function state({ disabled, expires }: AccountAnswer): string {
  if (disabled) return 'disabled';
  return expires !== undefined && Date.parse(expires) <= Date.now() ? 'expired' : 'enabled';
}
