import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { expiry, wholeNumber } from '../options.js';
import { collect, type Page } from '../pages.js';
import { fields, safe, shortTime, table } from '../text.js';

interface QueueRow {
  readonly transaction: string;
  readonly recipient: string;
  readonly route: string;
  readonly attempts: number;
  readonly acceptedAt: string;
  readonly nextAttemptAt?: string;
  readonly state: string;
  readonly lastReply?: string;
}

interface GatewayRow {
  readonly name: string;
  readonly alive: boolean;
  readonly revision?: number;
  readonly refused?: { readonly revision: number; readonly reason: string };
  readonly startedAt?: string;
  readonly stoppedAt?: string;
}

interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly createdAt?: string;
  readonly createdBy?: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
  readonly lastUsedAt?: string;
}

interface CreatedKey extends KeyRow {
  readonly key: string;
}

export function queueCommands(program: Command, context: CommandContext): void {
  program
    .command('queue')
    .description('look at the queue')
    .command('list')
    .description('list what waits for delivery, next attempt first')
    .option('--route <name>', 'only this route')
    .option('--limit <n>', 'at most so many', wholeNumber, 100)
    .action(async (options: { route?: string; limit: number }) => {
      const page = await collect<QueueRow>(context.api(), '/v1/queue', { route: options.route }, options.limit);
      show(context, page, () => (page.data.length === 0 ? ['the queue is empty'] : queueTable(page.data)));
    });
}

function queueTable(rows: readonly QueueRow[]): readonly string[] {
  return table(
    ['transaction', 'recipient', 'route', 'state', 'attempts', 'next attempt', 'last reply'],
    rows.map((it) => [
      it.transaction,
      it.recipient,
      it.route,
      it.state,
      it.attempts,
      shortTime(it.nextAttemptAt),
      it.lastReply,
    ]),
  );
}

export function gatewayCommands(program: Command, context: CommandContext): void {
  program
    .command('gateways')
    .description('list the gateways and the policy revision each runs')
    .action(async () => {
      const page = await context.api().json<Page<GatewayRow>>({ path: '/v1/gateways' });
      show(context, page, () => {
        if (page.data.length === 0) return ['no gateway has run within a day'];
        const refusals = page.data.flatMap(({ name, refused }) =>
          refused === undefined ? [] : [safe(`${name} does not take revision ${refused.revision}: ${refused.reason}`)],
        );
        const rows = table(
          ['gateway', 'alive', 'revision', 'started', 'stopped'],
          page.data.map((it) => [
            it.name,
            it.alive ? 'yes' : 'no',
            it.revision,
            shortTime(it.startedAt),
            shortTime(it.stoppedAt),
          ]),
        );
        return [...rows, ...refusals];
      });
    });
}

export function keyCommands(program: Command, context: CommandContext): void {
  const key = program.command('key').description('create, list and revoke API keys');
  key
    .command('create')
    .argument('<name>', 'who or what will use it; written to the audit as the actor')
    .description('create a key; it is shown once')
    .addOption(new Option('--role <role>', 'what it may do').choices(['admin', 'viewer']).default('admin'))
    .option('--expires <when>', 'date, time, or span such as `90d`', expiry)
    .action(async (name: string, options: { role: string; expires?: string }) => {
      const json = { name, role: options.role, expiresAt: options.expires };
      const created = await context.api().json<CreatedKey>({ method: 'POST', path: '/v1/api-keys', json });
      show(context, created, () => [
        ...fields([
          ['id', created.id],
          ['name', created.name],
          ['role', created.role],
          ['expires', created.expiresAt],
          ['key', created.key],
        ]),
        'keep the key now: it is not shown again',
      ]);
    });
  key
    .command('list')
    .description('list keys; the keys themselves are not stored')
    .action(async () => {
      const page = await context.api().json<Page<KeyRow>>({ path: '/v1/api-keys' });
      show(context, page, () =>
        table(
          ['id', 'name', 'role', 'created', 'by', 'expires', 'revoked', 'last used'],
          page.data.map((it) => [
            it.id,
            it.name,
            it.role,
            shortTime(it.createdAt),
            it.createdBy,
            shortTime(it.expiresAt),
            shortTime(it.revokedAt),
            shortTime(it.lastUsedAt),
          ]),
        ),
      );
    });
  key
    .command('reset')
    .description(
      'make a new admin key for the installation here, when its own was lost; needs no key and no running API',
    )
    .action(() => context.runScript('key-reset.mjs'));
  key
    .command('revoke')
    .argument('<id>', '`key_…`, as `postern key list` shows it')
    .description('make a key worthless at once')
    .action(async (id: string) => {
      await context.api().send({ method: 'DELETE', path: `/v1/api-keys/${encodeURIComponent(id)}` });
      show(context, { id, revoked: true }, () => [`${id} is revoked`]);
    });
}
