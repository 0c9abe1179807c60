import type { Command } from 'commander';
import { show, type CommandContext } from '../context.js';
import { reasonHeader } from '../headers.js';
import { wholeNumber } from '../options.js';
import type { Page } from '../pages.js';
import { fields, safe, shortTime, table } from '../text.js';

interface SummaryRow {
  readonly domain: string;
  readonly recipients: number;
  readonly oldestAcceptedAt?: string;
  readonly suspended?: { readonly actor: string; readonly reason?: string; readonly since: string };
}

interface DestinationAnswer extends SummaryRow {
  readonly states: Readonly<Record<string, number>>;
  readonly routes: Readonly<Record<string, number>>;
  readonly lastReplies: readonly { readonly reply: string; readonly recipients: number }[];
  readonly nextAttemptAt?: string;
}

interface ResolvedHost {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
  readonly source?: string;
  readonly connections: number;
  readonly health: string;
  readonly restsUntil?: string;
  readonly lastReply?: string;
}

interface ResolvedRoute {
  readonly route: string;
  readonly revision: number;
  readonly definition: {
    readonly kind: string;
    readonly protocol?: string;
    readonly tls?: { readonly require: string };
    readonly auth?: { readonly secret: string };
    readonly directory?: string;
  };
  readonly mx?: {
    readonly kind: string;
    readonly values?: readonly { readonly exchange: string; readonly priority: number }[];
    readonly message?: string;
  };
  readonly hosts: readonly ResolvedHost[];
  readonly fault?: string;
  readonly jobs: number;
}

interface ResolvedAnswer {
  readonly domain: string;
  readonly gateways: readonly {
    readonly gateway: string;
    readonly suspended: boolean;
    readonly decision?: {
      readonly recipient: string;
      readonly route?: string;
      readonly verdict: string;
      readonly unknown?: string;
    };
    readonly routes: readonly ResolvedRoute[];
    readonly missing: readonly string[];
  }[];
  readonly unanswered: readonly string[];
}

const PATH = '/v1/destinations';

export function destinationCommands(program: Command, context: CommandContext): void {
  const destination = program
    .command('destination')
    .description('domains that mail goes to: what waits, suspend, resume');
  destination
    .command('list')
    .description('list domains that are suspended, or that mail waits for')
    .option('--limit <n>', 'at most so many', wholeNumber, 100)
    .action(async ({ limit }: { limit: number }) => {
      const page = await context.api().json<Page<SummaryRow>>({ path: PATH, query: { limit: String(limit) } });
      show(context, page, () =>
        page.data.length === 0 ? ['no mail waits, and nothing is suspended'] : listed(page.data),
      );
    });
  destination
    .command('show')
    .argument('<domain>')
    .description('show what waits for it, and what it was answered')
    .action(async (domain: string) => {
      const answer = await context.api().json<DestinationAnswer>({ path: `${PATH}/${encodeURIComponent(domain)}` });
      show(context, answer, () => shown(answer));
    });
  act(destination, context, ['suspend', 'accept its mail and let it wait']);
  act(destination, context, ['resume', 'let its mail go on, little by little']);
  destination
    .command('resolve')
    .argument('<domain>')
    .description('ask the gateways which route, hosts, TLS and source its mail would meet now')
    .option('--recipient <address>', 'routed as mail to this address')
    .option('--sender <address>', 'from this reverse path')
    .action(async (domain: string, options: { recipient?: string; sender?: string }) => {
      const path = `${PATH}/${encodeURIComponent(domain)}:resolve`;
      const answer = await context.api().json<ResolvedAnswer>({ method: 'POST', path, json: options });
      show(context, answer, () => resolved(answer));
    });
}

function act(destination: Command, context: CommandContext, [action, description]: readonly [string, string]): void {
  destination
    .command(action)
    .argument('<domain>')
    .description(description)
    .option('--reason <text>', 'why, kept in the audit')
    .action(async (domain: string, options: { reason?: string }) => {
      const path = `${PATH}/${encodeURIComponent(domain)}:${action}`;
      const headers = reasonHeader(options.reason);
      const answer = await context.api().json<DestinationAnswer>({ method: 'POST', path, headers });
      show(context, answer, () => shown(answer));
    });
}

function suspendedText({ suspended }: SummaryRow): string | undefined {
  if (suspended === undefined) return undefined;
  const { actor, reason, since } = suspended;
  return `by ${actor} since ${shortTime(since)}${reason === undefined ? '' : `: ${reason}`}`;
}

function listed(rows: readonly SummaryRow[]): readonly string[] {
  return table(
    ['domain', 'recipients', 'oldest', 'suspended'],
    rows.map((it) => [it.domain, it.recipients, shortTime(it.oldestAcceptedAt), suspendedText(it)]),
  );
}

function counts(of: Readonly<Record<string, number>>): string {
  return Object.entries(of)
    .map(([name, count]) => `${name} ${String(count)}`)
    .join(', ');
}

function shown(it: DestinationAnswer): readonly string[] {
  return [
    ...fields([
      ['domain', it.domain],
      ['suspended', suspendedText(it) ?? 'no'],
      ['recipients', it.recipients],
      ['states', counts(it.states)],
      ['routes', counts(it.routes)],
      ['oldest', it.oldestAcceptedAt === undefined ? undefined : shortTime(it.oldestAcceptedAt)],
      ['next attempt', it.nextAttemptAt === undefined ? undefined : shortTime(it.nextAttemptAt)],
    ]),
    ...(it.lastReplies.length === 0
      ? []
      : [
          '',
          ...table(
            ['recipients', 'last reply'],
            it.lastReplies.map(({ recipients, reply }) => [recipients, reply]),
          ),
        ]),
  ];
}

function resolved({ gateways, unanswered }: ResolvedAnswer): readonly string[] {
  return [
    ...gateways.flatMap(({ gateway, suspended, decision, routes, missing }) => [
      safe(
        `${gateway}: ${suspended ? 'suspended; ' : ''}${decision === undefined ? 'no policy' : `${decision.recipient} takes route ${decision.route ?? `none (${decision.unknown ?? decision.verdict})`}`}`,
      ),
      ...routes.flatMap(routeLines),
      ...missing.map((name) => safe(`  route ${name} is named by queued mail and not in the policy`)),
    ]),
    ...unanswered.map((name) => safe(`${name}: no answer`)),
  ];
}

function routeLines({ route, revision, definition, mx, hosts, fault, jobs }: ResolvedRoute): readonly string[] {
  const tls = definition.tls === undefined ? '' : `, TLS ${definition.tls.require}`;
  const auth = definition.auth === undefined ? '' : `, signs in with ${definition.auth.secret}`;
  const where = definition.directory === undefined ? '' : ` ${definition.directory}`;
  const head = `  route ${route} (revision ${String(revision)}): ${definition.protocol ?? definition.kind}${where}${tls}${auth}, ${String(jobs)} under way`;
  const records = (mx?.values ?? []).map(
    ({ exchange, priority }) => `${String(priority)} ${exchange === '' ? '.' : exchange}`,
  );
  const answer =
    mx === undefined ? [] : [safe(`    MX: ${records.length > 0 ? records.join(', ') : (mx.message ?? mx.kind)}`)];
  return [safe(head), ...answer, ...(fault === undefined ? [] : [safe(`    ${fault}`)]), ...hostTable(hosts)];
}

function hostTable(hosts: readonly ResolvedHost[]): readonly string[] {
  if (hosts.length === 0) return [];
  const rows = hosts.map((it) => [
    it.host,
    `[${it.address}]:${String(it.port)}`,
    it.priority,
    it.source,
    it.connections,
    it.restsUntil === undefined ? it.health : `${it.health} until ${shortTime(it.restsUntil)}`,
    it.lastReply,
  ]);
  return table(['host', 'address', 'priority', 'source', 'connections', 'health', 'last reply'], rows).map(
    (line) => `    ${line}`,
  );
}
