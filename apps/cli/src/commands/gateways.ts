import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { reasonHeader } from '../headers.js';
import type { Page } from '../pages.js';
import { safe, shortTime, table } from '../text.js';

interface GatewayRow {
  readonly name: string;
  readonly alive: boolean;
  readonly state: string;
  readonly revision?: number;
  readonly sessions?: number;
  readonly jobs?: number;
  readonly drain?: { readonly actor: string; readonly reason?: string; readonly since: string };
  readonly lastError?: { readonly message: string; readonly at: string };
  readonly refused?: { readonly revision: number; readonly reason: string };
  readonly limitsAloneSince?: string;
  readonly startedAt?: string;
  readonly stoppedAt?: string;
}

const PATH = '/v1/gateways';

export function gatewayCommands(program: Command, context: CommandContext): void {
  const list = async (): Promise<void> => {
    const page = await context.api().json<Page<GatewayRow>>({ path: PATH });
    show(context, page, () => (page.data.length === 0 ? ['no gateway has run within a day'] : lines(page.data)));
  };
  const gateways = program
    .command('gateways')
    .description('list the gateways and the policy revision each runs; drain and resume one')
    .action(list);
  gateways.command('list').description('list the gateways and the policy revision each runs').action(list);
  act(gateways, context, ['drain', 'take no new sessions and nothing more from the queue, so that it can be stopped']);
  act(gateways, context, ['resume', 'take sessions and mail again']);
}

function act(gateways: Command, context: CommandContext, [action, description]: readonly [string, string]): void {
  gateways
    .command(action)
    .argument('<name>', 'gateway, as `postern gateways` shows it')
    .description(description)
    .option('--reason <text>', 'why, kept in the audit')
    .action(async (name: string, options: { reason?: string }) => {
      const path = `${PATH}/${encodeURIComponent(name)}:${action}`;
      const headers = reasonHeader(options.reason);
      const gateway = await context.api().json<GatewayRow>({ method: 'POST', path, headers });
      show(context, gateway, () => lines([gateway]));
    });
}

function lines(gateways: readonly GatewayRow[]): readonly string[] {
  const rows = table(
    ['gateway', 'state', 'revision', 'sessions', 'outbound', 'started', 'stopped'],
    gateways.map((it) => [
      it.name,
      it.state,
      it.revision,
      it.sessions,
      it.jobs,
      shortTime(it.startedAt),
      shortTime(it.stoppedAt),
    ]),
  );
  return [...rows, ...gateways.flatMap(remarks)];
}

function remarks({ name, drain, refused, limitsAloneSince, lastError }: GatewayRow): readonly string[] {
  return [
    ...(drain === undefined ? [] : [`${name} is drained by ${drain.actor} since ${drain.since}${why(drain.reason)}`]),
    ...(refused === undefined ? [] : [`${name} does not take revision ${refused.revision}: ${refused.reason}`]),
    ...(limitsAloneSince === undefined ? [] : [`${name} counts for limits alone since ${limitsAloneSince}`]),
    ...(lastError === undefined ? [] : [`${name} had an error at ${lastError.at}: ${lastError.message}`]),
  ].map(safe);
}

function why(reason: string | undefined): string {
  return reason === undefined ? '' : `: ${reason}`;
}
