import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { CommandError, EXIT } from '../failure.js';
import { reasonHeader } from '../headers.js';
import { wholeNumber } from '../options.js';
import { collect } from '../pages.js';
import { shortTime, table } from '../text.js';

interface SecretAnswer {
  readonly name: string;
  readonly note?: string;
  readonly keyId: string;
  readonly readable: boolean;
  readonly updatedAt?: string;
  readonly updatedBy?: string;
}

interface ResealAnswer {
  readonly keyId: string;
  readonly resealed: number;
  readonly unreadable: readonly string[];
}

interface ReasonOption {
  readonly reason?: string;
}

const PATH = '/v1/secrets';
const EVERY = 1_000_000;
const pathOf = (name: string): string => `${PATH}/${encodeURIComponent(name)}`;

export function secretCommands(program: Command, context: CommandContext): void {
  const secret = program.command('secret').description('what the relay signs in with at other hosts');
  secret
    .command('set')
    .argument('<name>', 'as a policy names it after `secret/`')
    .description('set a secret; its value is asked for, or read from standard input')
    .option('--note <text>', 'whose it is, what for')
    .option('--reason <text>', 'why, kept in the audit')
    .action((name: string, options: ReasonOption & { note?: string }) => set(context, name, options));
  secret
    .command('list')
    .description('list secrets; their values cannot be read')
    .option('--limit <n>', 'at most so many', wholeNumber, 1000)
    .action((options: { limit: number }) => list(context, options.limit));
  secret
    .command('remove')
    .argument('<name>', 'secret')
    .description('remove a secret')
    .option('--reason <text>', 'why, kept in the audit')
    .action(async (name: string, { reason }: ReasonOption) => {
      const headers = { ...(await precondition(context, name)), ...reasonHeader(reason) };
      await context.api().send({ method: 'DELETE', path: pathOf(name), headers });
      show(context, { name, removed: true }, () => [`${name} is removed`]);
    });
  secret
    .command('rotate')
    .description('put a new key in front of the key file here, and seal every secret with it')
    .option('--keep-old', 'leave the old keys in the file, for gateways elsewhere that do not have the new one yet')
    .option('--reason <text>', 'why, kept in the audit')
    .action((options: ReasonOption & { keepOld?: true }) => rotate(context, options));
}

async function set(
  context: CommandContext,
  name: string,
  { note, reason }: ReasonOption & { note?: string },
): Promise<void> {
  const headers = { ...(await precondition(context, name)), ...reasonHeader(reason) };
  const value = await context.secret(`value of ${name}`);
  const json = { value, note };
  const answer = await context.api().json<SecretAnswer>({ method: 'PUT', path: pathOf(name), json, headers });
  show(context, answer, () => [`${answer.name} is set`]);
}

/** Based on what is there now: whoever changes it in between is not overwritten. */
async function precondition(context: CommandContext, name: string): Promise<Record<string, string>> {
  try {
    const now = await context.api().send({ path: pathOf(name) });
    return { 'If-Match': now.headers.get('etag') ?? '*' };
  } catch (error) {
    const problem = error instanceof CommandError ? (error.problem as { status?: number } | undefined) : undefined;
    if (problem?.status !== 404) throw error;
    return { 'If-None-Match': '*' };
  }
}

async function list(context: CommandContext, limit: number): Promise<void> {
  const page = await collect<SecretAnswer>(context.api(), PATH, {}, limit);
  show(context, page, () => {
    if (page.data.length === 0) return ['there are no secrets'];
    const rows = page.data.map((it) => [
      it.name,
      it.readable ? 'yes' : 'NO: set it anew',
      shortTime(it.updatedAt),
      it.updatedBy,
      it.note,
    ]);
    return [
      ...table(['secret', 'readable', 'set', 'by', 'note'], rows),
      ...(page.next === undefined ? [] : [`more than ${limit}: raise --limit`]),
    ];
  });
}

/** The key never leaves this machine: the file is ours, the sealing is the API's. */
async function rotate(context: CommandContext, { keepOld, reason }: ReasonOption & { keepOld?: true }): Promise<void> {
  const file = context.secretKeyFile();
  const old = context.read(file);
  await context.api().send({ path: PATH }); // nothing is begun that cannot be finished
  const key = randomBytes(32).toString('base64');
  context.write(file, `${key}\n${old}`);
  const answer = await context
    .api()
    .json<ResealAnswer>({ method: 'POST', path: `${PATH}:reseal`, headers: reasonHeader(reason) });
  const { data } = await collect<SecretAnswer>(context.api(), PATH, {}, EVERY);
  const left = data.filter((it) => it.keyId !== answer.keyId).map((it) => it.name);
  if (left.length > 0) {
    throw new CommandError(EXIT.refused, `not sealed with the new key: ${left.join(', ')}`, [
      `the old keys stay in ${file}; set these secrets anew, or remove them, and rotate again`,
    ]);
  }
  if (keepOld !== true) context.write(file, `${key}\n`);
  show(context, { ...answer, file, keptOld: keepOld === true }, () => [
    `${answer.resealed} secrets are sealed with a new key, the first one in ${file}`,
    keepOld === true ? 'the old keys are still in it' : 'the old keys are gone',
  ]);
}
