import { Inject, Injectable } from '@nestjs/common';
import type {
  QueueAction,
  QueueChange,
  QueueChangeContext,
  QueueEntry,
  RecipientChange,
  RecipientChanged,
} from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Snapshot } from '#policy';
import { stale } from '../http/conditional.js';
import { LiveRouting } from './live-routing.js';

/** What an operator wants, as it was asked for. */
export interface QueueWish {
  readonly action: QueueAction;
  readonly route?: string;
  /** For `redirect`. */
  readonly to?: string;
}

/** How long a single change waits for mail that gateways give back from memory. */
const RECALL_MS = 2_000;
const POLL_MS = 100;

/** Carries out one wish on some recipients: at once where nobody has them, else as soon as their gateway gives them back. */
@Injectable()
export class QueueChanger {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(LiveRouting) private readonly routing: LiveRouting,
  ) {}

  /** What can be wrong with the wish itself, whatever mail it is for. */
  async checked(wish: QueueWish): Promise<QueueWish> {
    if (wish.route !== undefined) await this.routing.requireRoute(wish.route);
    return wish.to === undefined ? wish : { ...wish, to: await this.routing.requireTarget(wish.to) };
  }

  /** One pass: what is busy stays so. Throws 412 when the message is not as `ifTag` says. */
  async once(
    entries: readonly QueueEntry[],
    wish: QueueWish,
    context: QueueChangeContext,
  ): Promise<readonly RecipientChanged[]> {
    const changes: RecipientChange[] = [];
    const refused: RecipientChanged[] = [];
    const snapshot = isRouted(wish) ? await this.routing.current() : undefined;
    for (const entry of entries) {
      const change = await this.changeFor(entry, wish, snapshot);
      const { id, messageId } = entry;
      if (typeof change === 'string') refused.push({ id, messageId, outcome: 'refused', why: change });
      else changes.push({ id, messageId, change });
    }
    if (changes.length === 0) return refused;
    const result = await this.database.current.queueAdministration.change(changes, context);
    if (!result.ok) throw stale();
    return [...result.recipients, ...refused];
  }

  /** Asks gateways to give back what is busy and not begun, and tries again for a little while. */
  async patiently(
    entries: readonly QueueEntry[],
    wish: QueueWish,
    context: QueueChangeContext,
  ): Promise<readonly RecipientChanged[]> {
    const results = new Map<string, RecipientChanged>();
    for (const result of await this.once(entries, wish, context)) results.set(result.id, result);
    const { ifTag: _changedByNow, ...again } = context;
    const deadlineMs = Date.now() + RECALL_MS;
    for (let busy = stillBusy(entries, results); busy.length > 0 && Date.now() < deadlineMs;) {
      await this.database.current.queueAdministration.recall(busy.map(({ messageId }) => messageId));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      for (const result of await this.once(busy, wish, again)) results.set(result.id, result);
      busy = stillBusy(entries, results);
    }
    return entries.flatMap(({ id }) => results.get(id) ?? []);
  }

  /** A text: why it cannot be done. */
  private async changeFor(
    entry: QueueEntry,
    { action, route, to }: QueueWish,
    snapshot: Snapshot | undefined,
  ): Promise<QueueChange | string> {
    if (action !== 'reroute' && action !== 'redirect') return { kind: action };
    const address = to ?? entry.address;
    const chosen = snapshot === undefined ? undefined : await this.routing.choose(snapshot, entry, address);
    if (chosen?.ok === false) return chosen.why;
    const taken = route ?? chosen?.route ?? entry.route;
    return action === 'reroute' ? { kind: 'reroute', route: taken } : { kind: 'redirect', address, route: taken };
  }
}

/** The routing rules have to choose. */
function isRouted({ action, route }: QueueWish): boolean {
  return (action === 'reroute' || action === 'redirect') && route === undefined;
}

function stillBusy(
  entries: readonly QueueEntry[],
  results: ReadonlyMap<string, RecipientChanged>,
): readonly QueueEntry[] {
  return entries.filter(({ id }) => results.get(id)?.outcome === 'busy');
}
