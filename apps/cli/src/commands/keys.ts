import { Option, type Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { expiry } from '../options.js';
import type { Page } from '../pages.js';
import { fields, shortTime, table } from '../text.js';

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

export function keyCommands(program: Command, context: CommandContext): void {
  const key = program.command('key').description('create, list and revoke API keys');
  key
    .command('create')
    .argument('<name>', 'who or what will use it; written to the audit as the actor')
    .description('create a key; it is shown once')
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['admin', 'queue-operator', 'helpdesk', 'viewer'])
        .default('admin'),
    )
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
