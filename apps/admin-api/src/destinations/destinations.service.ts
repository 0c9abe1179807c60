import { Inject, Injectable } from '@nestjs/common';
import type { DestinationSummary, GatewayAnswer } from '#database';
import { parseAddress } from '#policy';
import { DatabaseAccess } from '../database-access.js';
import type { Change } from '../http/change.decorator.js';
import type { Fields } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import { invalidRequest } from '../http/validation.js';
import type {
  DestinationDto,
  DestinationPageDto,
  DestinationSummaryDto,
  GatewayViewDto,
  ResolvedDto,
  ResolvedHostDto,
  ResolvedRouteDto,
  ResolveRequest,
} from './destination.dto.js';

/** Names are asked for meanwhile. */
const ANSWER_MS = 8_000;

/** As gateways answer (apps/gateway/src/operations/answer-resolve.ts); times in milliseconds. */
type AnsweredHost = Omit<Fields<ResolvedHostDto>, 'source' | 'restsUntil'> & {
  readonly localAddress?: string;
  readonly restsUntilMs?: number;
};

type AnsweredRoute = Omit<Fields<ResolvedRouteDto>, 'hosts' | 'fault'> & {
  readonly hosts: readonly AnsweredHost[];
  readonly fault?: { readonly enhanced: string; readonly message: string };
};

type Answered = Omit<Fields<GatewayViewDto>, 'gateway' | 'routes'> & { readonly routes: readonly AnsweredRoute[] };

@Injectable()
export class DestinationsService {
  constructor(@Inject(DatabaseAccess) private readonly database: DatabaseAccess) {}

  async list(limit: number): Promise<DestinationPageDto> {
    return { data: (await this.database.current.destinations.list(limit)).map(summaryDto) };
  }

  async one(text: string): Promise<Fields<DestinationDto>> {
    const domain = domainOf(text);
    const { destinations } = this.database.current;
    const [queue, suspended] = await Promise.all([destinations.queueOf(domain), destinations.suspended()]);
    const { states, routes, lastReplies, nextAttemptAt, ...rest } = queue;
    const own = suspended.find((each) => each.domain === domain);
    return {
      ...summaryDto({ domain, ...rest, ...(own !== undefined && { suspended: own }) }),
      states: { ...states } as Record<string, number>,
      routes: { ...routes },
      lastReplies: [...lastReplies],
      ...(nextAttemptAt !== undefined && { nextAttemptAt: nextAttemptAt.toISOString() }),
    };
  }

  async suspend(text: string, change: Change, dryRun: boolean): Promise<Fields<DestinationDto>> {
    const domain = domainOf(text);
    if (!dryRun) await this.database.current.destinations.suspend({ domain, ...wordOf(change) });
    return this.one(domain);
  }

  async resume(text: string, change: Change, dryRun: boolean): Promise<Fields<DestinationDto>> {
    const domain = domainOf(text);
    if (!dryRun) await this.database.current.destinations.resume({ domain, ...wordOf(change) });
    return this.one(domain);
  }

  async resolve(text: string, { recipient, sender }: ResolveRequest): Promise<ResolvedDto> {
    const domain = domainOf(text);
    const { destinations, nodes, questions } = this.database.current;
    const names = (await nodes.list()).flatMap(({ alive, name }) => (alive ? [name] : []));
    if (names.length === 0) throw new Problem('conflict', 'no gateway is alive to answer');
    const facts = {
      sender: sender === undefined || sender === '<>' ? '' : addressOf(sender, '/sender'),
      recipient: recipient === undefined ? `postmaster@${domain}` : addressOf(recipient, '/recipient'),
    };
    const { routes } = await destinations.queueOf(domain);
    const question = { kind: 'resolve' as const, domain, facts, routes: Object.keys(routes) };
    const answers = await questions.ask(question, names, ANSWER_MS);
    const answered = new Set(answers.map(({ node }) => node));
    return { domain, gateways: answers.map(viewDto), unanswered: names.filter((name) => !answered.has(name)) };
  }
}

/** Lower case, A-labels; or an address literal. */
function domainOf(text: string): string {
  const read = parseAddress(`postmaster@${text}`);
  if (read.ok) return read.address.slice('postmaster@'.length).toLowerCase();
  const message = `\`domain\` must be a domain or an address literal: ${read.message}`;
  throw invalidRequest([{ code: 'invalid-field', pointer: '/domain', message }]);
}

function addressOf(text: string, pointer: string): string {
  const read = parseAddress(text);
  if (read.ok) return read.address;
  throw invalidRequest([{ code: 'invalid-field', pointer, message: read.message }]);
}

function wordOf({ actor, reason }: Change): { readonly actor: string; readonly reason?: string } {
  return { actor, ...(reason !== undefined && { reason }) };
}

function summaryDto({
  domain,
  recipients,
  oldestAcceptedAt,
  suspended,
}: DestinationSummary): Fields<DestinationSummaryDto> {
  return {
    domain,
    recipients,
    ...(oldestAcceptedAt !== undefined && { oldestAcceptedAt: oldestAcceptedAt.toISOString() }),
    ...(suspended !== undefined && {
      suspended: {
        actor: suspended.actor,
        ...(suspended.reason !== undefined && { reason: suspended.reason }),
        since: suspended.since.toISOString(),
      },
    }),
  };
}

function viewDto({ node, answer }: GatewayAnswer): Fields<GatewayViewDto> {
  const { routes, ...view } = answer as Answered;
  return { gateway: node, ...view, routes: routes.map(routeDto) };
}

function routeDto({ hosts, fault, ...route }: AnsweredRoute): Fields<ResolvedRouteDto> {
  return {
    ...route,
    hosts: hosts.map(hostDto),
    ...(fault !== undefined && { fault: `${fault.enhanced} ${fault.message}` }),
  };
}

function hostDto({ localAddress, restsUntilMs, ...host }: AnsweredHost): Fields<ResolvedHostDto> {
  return {
    ...host,
    ...(localAddress !== undefined && { source: localAddress }),
    ...(restsUntilMs !== undefined && { restsUntil: new Date(restsUntilMs).toISOString() }),
  };
}
