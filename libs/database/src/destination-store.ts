/**
 * Destinations (domains of recipients) whose mail waits by an operator's word. Their rows are parked in state `suspended`,
 * where no claim looks: those that wait are parked here in batches, those under a lease when it comes back (RELEASE).
 *
 * INVARIANT (nothing forgotten): a parked row whose destination is not suspended any more is freed by whoever keeps house.
 */
import type { Pool } from 'pg';
import { writeEvents } from './admin-events.js';
import { inTransaction, query } from './connections.js';
import { newId } from './new-id.js';
import { ROW_STATE } from './queue-rows.js';
import { IS_SUSPENDED } from './queue-statements.js';
import type { DestinationQueue, DestinationSummary, SuspendedDestination } from './types.js';

const BATCH = 5_000;
const NONE = '00000000-0000-0000-0000-000000000000';
/** How long a change waits for its rows; the rest is done behind it, or by the housekeeping. */
const WAIT_MS = 3_000;
/** Channel that tells gateways of a change. */
export const DESTINATION_CHANNEL = 'destination_changed';
/** After a resume a hundred recipients are due within the first five seconds, twice as many in the next, and so on. */
const RAMP = { first: 100, doublesEverySeconds: 5 };
const MOST_REPLIES = 20;

export interface DestinationChange {
  readonly domain: string;
  readonly actor: string;
  readonly reason?: string;
}

interface SuspendedRow {
  [column: string]: unknown;
  domain: string;
  actor: string;
  reason: string | null;
  suspended_at: Date;
}

interface SummaryRow {
  [column: string]: unknown;
  domain: string;
  recipients: number;
  oldest: Date | null;
  actor: string | null;
  reason: string | null;
  suspended_at: Date | null;
}

export class DestinationStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async suspended(): Promise<readonly SuspendedDestination[]> {
    const { rows } = await query<SuspendedRow>(this.#pool, {
      text: 'select domain, actor, reason, suspended_at from suspended_destination order by domain',
    });
    return rows.map(suspendedOf);
  }

  /** False: it was suspended before. Parks what waits; gateways park the rest. */
  async suspend({ domain, actor, reason }: DestinationChange): Promise<boolean> {
    const changed = await inTransaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(
        'insert into suspended_destination (domain, actor, reason) values ($1, $2, $3) on conflict do nothing',
        [domain, actor, reason ?? null],
      );
      if (rowCount === 0) return false;
      const data = { domain, actor, ...(reason === undefined ? {} : { reason }) };
      await writeEvents(client, [{ id: newId(), kind: 'destination.suspended', data }]);
      await client.query(`select pg_notify('${DESTINATION_CHANNEL}', $1)`, [domain]);
      return true;
    });
    await soon(this.park(domain));
    return changed;
  }

  /** False: it was not suspended. What is parked comes back little by little. */
  async resume({ domain, actor, reason }: DestinationChange): Promise<boolean> {
    const changed = await inTransaction(this.#pool, async (client) => {
      const { rowCount } = await client.query('delete from suspended_destination where domain = $1', [domain]);
      if (rowCount === 0) return false;
      const data = { domain, actor, ...(reason === undefined ? {} : { reason }) };
      await writeEvents(client, [{ id: newId(), kind: 'destination.resumed', data }]);
      await client.query(`select pg_notify('${DESTINATION_CHANNEL}', $1)`, [domain]);
      return true;
    });
    await soon(this.#free(domain));
    return changed;
  }

  async #free(domain: string): Promise<void> {
    if (await this.unpark(domain)) await query(this.#pool, { text: `select pg_notify('queue_changed', '')` });
  }

  /** Parks rows that wait for a suspended destination: of one, or of any. Rows that somebody is claiming are left out. */
  async park(domain?: string): Promise<void> {
    const text = `
      with waiting as (
        select q.message_id, q.id from queue q
        where q.owner is null and q.state = 'queued' and q.refusal is null and (q.message_id, q.id) > ($2::uuid, $3::uuid)
          and ($1::text is null or address_domain(q.address) = $1) and ${IS_SUSPENDED}
        order by q.message_id, q.id limit ${BATCH} for update of q skip locked
      ), parked as (
        update queue q set state = 'suspended' from waiting w where q.message_id = w.message_id and q.id = w.id
      )
      select message_id, id from waiting order by message_id, id`;
    await this.#walk(text, domain);
  }

  /** Frees parked rows whose destination is not suspended. The ramp: recipient k, from 0, is due after log2(1 + k/100) × 5 s. */
  async unpark(domain?: string): Promise<boolean> {
    const text = `
      with parked as (
        select q.message_id, q.id from queue q
        where q.state = 'suspended' and q.owner is null and (q.message_id, q.id) > ($2::uuid, $3::uuid)
          and ($1::text is null or address_domain(q.address) = $1) and not ${IS_SUSPENDED}
        order by q.message_id, q.id limit ${BATCH} for update of q skip locked
      ), numbered as (
        select p.message_id, p.id, $4::float8 + row_number() over (order by p.message_id, p.id) - 1 as k from parked p
      ), freed as (
        update queue q set state = 'queued', next_attempt_at = now()
          + make_interval(secs => ln(1 + n.k / ${RAMP.first}) / ln(2) * ${RAMP.doublesEverySeconds})
        from numbered n where q.message_id = n.message_id and q.id = n.id
      )
      select message_id, id from parked order by message_id, id`;
    return (await this.#walk(text, domain, true)) > 0;
  }

  /** Batch after batch in the order of the rows, so that the queue is walked once; answers how many there were. */
  async #walk(text: string, domain: string | undefined, isNumbered = false): Promise<number> {
    let count = 0;
    let last = { message_id: NONE, id: NONE };
    for (;;) {
      const { rows } = await query<typeof last>(this.#pool, {
        text,
        values: [domain ?? null, last.message_id, last.id, ...(isNumbered ? [count] : [])],
      });
      count += rows.length;
      last = rows.at(-1) ?? last;
      if (rows.length < BATCH) return count;
    }
  }

  /** For every gateway now and then: what a process that died left half done. */
  async keepHouse(): Promise<void> {
    await this.park();
    await this.unpark();
  }

  /** Domains that are suspended, or that mail waits for; the largest queues first. Walks the whole queue. */
  async list(limit: number): Promise<readonly DestinationSummary[]> {
    const { rows } = await query<SummaryRow>(this.#pool, {
      text: `
        select coalesce(q.domain, d.domain) as domain, coalesce(q.recipients, 0)::int as recipients, q.oldest,
          d.actor, d.reason, d.suspended_at
        from (select address_domain(address) as domain, count(*) as recipients, min(accepted_at) as oldest
              from queue group by 1) q
          full join suspended_destination d on d.domain = q.domain
        order by d.domain is null, recipients desc, 1 limit $1`,
      values: [limit],
    });
    return rows.map(({ domain, recipients, oldest, actor, reason, suspended_at: since }) => ({
      domain,
      recipients,
      ...(oldest === null ? {} : { oldestAcceptedAt: oldest }),
      ...(actor === null || since === null
        ? {}
        : { suspended: { domain, actor, since, ...(reason === null ? {} : { reason }) } }),
    }));
  }

  /** What waits for one domain. Walks the whole queue. */
  async queueOf(domain: string): Promise<DestinationQueue> {
    const { rows } = await query<GroupRow>(this.#pool, {
      text: `select ${ROW_STATE} as state, q.route, q.last_reply, count(*)::int as recipients, min(q.accepted_at) as oldest,
               min(q.next_attempt_at) filter (where q.state = 'queued' and q.owner is null) as next
             from queue q where address_domain(q.address) = $1 group by 1, 2, 3`,
      values: [domain],
    });
    const states = counted(rows, ({ state }) => state);
    const routes = counted(rows, ({ route }) => route);
    const replies = counted(rows, ({ last_reply: reply }) => reply ?? '');
    return {
      recipients: rows.reduce((sum, row) => sum + row.recipients, 0),
      states: Object.fromEntries(states),
      routes: Object.fromEntries(routes),
      lastReplies: [...replies]
        .toSorted(([, one], [, other]) => other - one)
        .slice(0, MOST_REPLIES)
        .map(([reply, recipients]) => ({ reply, recipients })),
      ...earliest(
        'oldestAcceptedAt',
        rows.map((row) => row.oldest),
      ),
      ...earliest(
        'nextAttemptAt',
        rows.map((row) => row.next),
      ),
    };
  }
}

/** Millions of rows take longer than somebody waits; a failure after that is the housekeeping's to mend. */
async function soon(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, WAIT_MS);
  });
  work.catch(() => undefined);
  await Promise.race([work, late]).finally(() => {
    clearTimeout(timer);
  });
}

interface GroupRow {
  [column: string]: unknown;
  state: string;
  route: string;
  last_reply: string | null;
  recipients: number;
  oldest: Date;
  next: Date | null;
}

/** Recipients by something; what is empty is left out. */
function counted(rows: readonly GroupRow[], by: (row: GroupRow) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const key = by(row);
    if (key !== '') counts.set(key, (counts.get(key) ?? 0) + row.recipients);
  }
  return counts;
}

function earliest<Name extends string>(
  name: Name,
  times: readonly (Date | null)[],
): Partial<Readonly<Record<Name, Date>>> {
  const known = times.filter((at) => at !== null).toSorted((one, other) => one.getTime() - other.getTime());
  return known[0] === undefined ? {} : ({ [name]: known[0] } as Record<Name, Date>);
}

function suspendedOf(row: SuspendedRow): SuspendedDestination {
  const { domain, actor, reason, suspended_at: since } = row;
  return { domain, actor, since, ...(reason === null ? {} : { reason }) };
}
