/** A message → jobs: recipients that share a destination share a transaction, a hundred at a time. */
import { MAX_RECIPIENTS_PER_TRANSACTION } from './job.js';
import type { Job } from './job.js';
import type { QueuedMessage, QueuedRecipient, RouteSource } from './ports.js';
import { DEFAULT_RETRY } from './route.js';
import type { RouteDefinition } from './route.js';

export interface DestinedJob {
  readonly job: Job;
  /** Route, and for `mx` the recipient's domain too. */
  readonly key: string;
  readonly domain: string;
  /** Undefined when the live policy has no such route. */
  readonly definition: RouteDefinition | undefined;
}

/** What a job costs beyond its content. */
const OVERHEAD_BYTES = 512;

export function jobsOf(message: QueuedMessage, routes: RouteSource): readonly DestinedJob[] {
  const { recipients } = message;
  const [only] = recipients;
  if (only === undefined) return [];
  const groups = recipients.length === 1 ? [toGroup(only, [only], routes)] : grouped(recipients, routes);
  let contentBytes = message.content.kind === 'inline' ? message.sizeBytes : 0;
  return groups.map(({ key, domain, route, members }) => {
    const heldBytes = contentBytes + OVERHEAD_BYTES * members.length;
    // The content is one object for all jobs of the message; the first one carries its weight.
    contentBytes = 0;
    const { name, revision, definition } = route;
    const retry = definition?.retry ?? DEFAULT_RETRY;
    const job: Job = {
      message,
      recipients: members,
      route: { name, revision, retry },
      heldBytes,
      tried: new Set(),
      moves: 0,
    };
    return { job, key, domain, definition };
  });
}

interface Group {
  readonly key: string;
  readonly domain: string;
  readonly route: {
    readonly name: string;
    readonly revision: number;
    readonly definition: RouteDefinition | undefined;
  };
  readonly members: QueuedRecipient[];
}

function grouped(recipients: readonly QueuedRecipient[], routes: RouteSource): Group[] {
  const open = new Map<string, Group>();
  const groups: Group[] = [];
  for (const recipient of recipients) {
    const group = toGroup(recipient, [], routes);
    const current = open.get(group.key);
    if (current !== undefined && current.members.length < MAX_RECIPIENTS_PER_TRANSACTION) {
      current.members.push(recipient);
      continue;
    }
    group.members.push(recipient);
    groups.push(group);
    open.set(group.key, group);
  }
  return groups;
}

/** The destination of one recipient, as `DestinedJob.key`. */
export function destinationKey(
  { route, address }: Pick<QueuedRecipient, 'route' | 'address'>,
  routes: RouteSource,
): string {
  return routes.route(route)?.definition.kind === 'mx' ? `${route} ${domainOf(address)}` : route;
}

function toGroup(recipient: QueuedRecipient, members: QueuedRecipient[], routes: RouteSource): Group {
  const found = routes.route(recipient.route);
  const definition = found?.definition;
  const domain = definition?.kind === 'mx' ? domainOf(recipient.address) : '';
  const key = destinationKey(recipient, routes);
  return { key, domain, route: { name: recipient.route, revision: found?.revision ?? 0, definition }, members };
}

/** Lower case. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase();
}
