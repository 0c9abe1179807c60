import { Inject, Injectable } from '@nestjs/common';
import { publicId } from '#audit';
import { newId, type QueueEntry, type QueueFilter, type RecipientChanged } from '#database';
import { DatabaseAccess } from '../database-access.js';
import type { Change } from '../http/change.decorator.js';
import type { Fields } from '../http/fields.js';
import { invalidRequest } from '../http/validation.js';
import type { OperationDto } from '../operations/operation.dto.js';
import { OperationsService } from '../operations/operations.service.js';
import type { OperationRun } from '../operations/running-operation.js';
import type { ManyDryRunDto, ManyRequest } from './message.dto.js';
import { requireReason } from './messages.service.js';
import { QueueChanger, type QueueWish } from './queue-changer.js';
import { changedDto, filterOf } from './queue-entry.js';

/** Recipients in one transaction. */
const BATCH = 200;
const SAMPLE = 20;
/** For what is being delivered: tried again so often, a second apart. */
const BUSY_ROUNDS = 15;
const BUSY_PAUSE_MS = 1_000;

interface Tally {
  changed: number;
  unchanged: number;
  refused: number;
  busy: number;
}

interface Many {
  readonly operation: string;
  readonly filter: QueueFilter;
  readonly wish: QueueWish;
  readonly change: Change;
  readonly shownFilter: Readonly<Record<string, string>>;
}

/** One wish for all recipients that fit a filter: an operation with progress, that can be cancelled between batches. */
@Injectable()
export class ManyMessagesService {
  constructor(
    @Inject(DatabaseAccess) private readonly database: DatabaseAccess,
    @Inject(QueueChanger) private readonly changer: QueueChanger,
    @Inject(OperationsService) private readonly operations: OperationsService,
  ) {}

  async begin(request: ManyRequest, wish: QueueWish, change: Change): Promise<OperationDto> {
    requireReason(wish, change.reason);
    const shownFilter = requireFilter(request);
    const checked = await this.changer.checked(wish);
    const id = newId();
    // What is accepted from now on is not meant.
    const filter = { ...filterOf(request.filter ?? {}), acceptedBeforeId: id };
    const many = { operation: publicId('opr', id), filter, wish: checked, change, shownFilter };
    return this.operations.start(`queue.${wish.action}`, change.actor, (run) => this.carryOut(many, run), id);
  }

  async dryRun(request: ManyRequest, wish: QueueWish, change: Change): Promise<Fields<ManyDryRunDto>> {
    requireReason(wish, change.reason);
    requireFilter(request);
    const checked = await this.changer.checked(wish);
    const filter = filterOf(request.filter ?? {});
    const { queueAdministration: queue } = this.database.current;
    const [matched, page] = await Promise.all([queue.count(filter), queue.search(filter, { limit: SAMPLE })]);
    const sample = await this.changer.once(page.data, checked, { actor: change.actor, dryRun: true });
    return { dryRun: true, matched, sample: sample.map(changedDto) };
  }

  private async carryOut(many: Many, run: OperationRun): Promise<Readonly<Record<string, unknown>>> {
    const { queueAdministration: queue } = this.database.current;
    const matched = await queue.count(many.filter);
    const tally: Tally = { changed: 0, unchanged: 0, refused: 0, busy: 0 };
    run.progress(0, matched);
    const about = { operation: many.operation, action: many.wish.action, actor: many.change.actor };
    const { reason } = many.change;
    const started = { ...about, filter: many.shownFilter, matched, ...(reason !== undefined && { reason }) };
    await queue.note([{ id: newId(), kind: 'queue.operation-started', data: started }]);
    let state = 'failed';
    try {
      const busy = await this.firstPass(many, run, { tally, matched });
      await this.busyPasses(busy, many, run, { tally, matched });
      state = 'succeeded';
    } finally {
      if (run.signal.aborted) state = 'cancelled';
      await queue.note([{ id: newId(), kind: 'queue.operation-ended', data: { ...about, state, ...tally } }]);
    }
    return { matched, ...tally };
  }

  private async firstPass(
    many: Many,
    run: OperationRun,
    { tally, matched }: { readonly tally: Tally; readonly matched: number },
  ): Promise<readonly QueueEntry[]> {
    const busy: QueueEntry[] = [];
    let after: string | undefined;
    do {
      run.signal.throwIfAborted();
      const page = await this.database.current.queueAdministration.search(many.filter, {
        limit: BATCH,
        ...(after !== undefined && { after }),
      });
      const results = await this.changer.once(page.data, many.wish, contextOf(many));
      const busyIds = counted(results, tally);
      busy.push(...page.data.filter(({ id }) => busyIds.has(id)));
      run.progress(tally.changed + tally.unchanged + tally.refused, matched);
      after = page.next;
    } while (after !== undefined);
    return busy;
  }

  /** What gateways had: given back from memory, or delivered, or still under way when the rounds are over. */
  private async busyPasses(
    entries: readonly QueueEntry[],
    many: Many,
    run: OperationRun,
    { tally, matched }: { readonly tally: Tally; readonly matched: number },
  ): Promise<void> {
    let busy = entries;
    for (let round = 0; round < BUSY_ROUNDS && busy.length > 0; round += 1) {
      await this.database.current.queueAdministration.recall(busy.map(({ messageId }) => messageId));
      await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
      const still: QueueEntry[] = [];
      for (let from = 0; from < busy.length; from += BATCH) {
        run.signal.throwIfAborted();
        const some = busy.slice(from, from + BATCH);
        const busyIds = counted(await this.changer.once(some, many.wish, contextOf(many)), tally);
        still.push(...some.filter(({ id }) => busyIds.has(id)));
      }
      run.progress(tally.changed + tally.unchanged + tally.refused, matched);
      busy = still;
    }
    tally.busy = busy.length;
  }
}

function contextOf({ change, operation }: Many): { actor: string; operation: string; reason?: string } {
  const { actor, reason } = change;
  return { actor, operation, ...(reason !== undefined && { reason }) };
}

/** Adds up; answers those that are busy, which are not counted yet. */
function counted(results: readonly RecipientChanged[], tally: Tally): ReadonlySet<string> {
  const busy = new Set<string>();
  for (const { id, outcome } of results) {
    if (outcome === 'busy') busy.add(id);
    else tally[outcome === 'gone' ? 'unchanged' : outcome] += 1;
  }
  return busy;
}

/** As it is recorded. An empty filter is a mistake more often than a wish. */
function requireFilter({ filter, all }: ManyRequest): Readonly<Record<string, string>> {
  const given = Object.entries(filter ?? {}).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
  if (all === true && given.length === 0) return { all: 'true' };
  if (all !== true && given.length > 0) return Object.fromEntries(given);
  const message = 'expected a `filter` with at least one criterion, or `all: true`';
  throw invalidRequest([{ code: 'invalid-field', pointer: '/filter', message }]);
}
