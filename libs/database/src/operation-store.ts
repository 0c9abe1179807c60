/**
 * Long work of the admin API. Who does it renews its row; one that is renewed no longer was interrupted. Whoever does
 * the work keeps what it changes in one transaction, so that an interrupted operation has changed nothing, or says how far it came.
 */
import type { Pool } from 'pg';
import { query } from './connections.js';
import { newId } from './new-id.js';
import type { Operation, OperationEnd, Page } from './types.js';

const ALIVE = `interval '30 seconds'`;
const KEPT = `interval '30 days'`;
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

const SHOWN = `id, kind, actor, done, total, result, problem, cancel_requested_by, started_at, ended_at,
  case when state = 'running' and alive_until < now() then 'interrupted' else state end as state`;

interface OperationRow {
  id: string;
  kind: string;
  actor: string;
  state: Operation['state'];
  done: string;
  total: string | null;
  result: Record<string, unknown> | null;
  problem: Record<string, unknown> | null;
  cancel_requested_by: string | null;
  started_at: Date;
  ended_at: Date | null;
}

export class OperationStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async begin(given: { readonly kind: string; readonly actor: string; readonly id?: string }): Promise<Operation> {
    await query(this.#pool, { text: `delete from operation where started_at < now() - ${KEPT}`, values: [] });
    const { rows } = await query<OperationRow>(this.#pool, {
      text: `insert into operation (id, kind, actor, alive_until) values ($1, $2, $3, now() + ${ALIVE}) returning ${SHOWN}`,
      values: [given.id ?? newId(), given.kind, given.actor],
    });
    return operationOf(rows[0]);
  }

  /** Says how far it is, and that it goes on. Answers whether somebody wants it to stop, or it has ended already. */
  async beat(
    id: string,
    progress: { readonly done: number; readonly total?: number },
  ): Promise<{ readonly stop: boolean }> {
    const { rows } = await query<{ stop: boolean }>(this.#pool, {
      text: `update operation set done = $2, total = $3, alive_until = now() + ${ALIVE}
             where id = $1 and state = 'running' returning cancel_requested_by is not null as stop`,
      values: [id, progress.done, progress.total ?? null],
    });
    return { stop: rows[0]?.stop ?? true };
  }

  /** What it came to. One that ended before stays as it ended. */
  async end(id: string, { state, done, total, result, problem }: OperationEnd): Promise<void> {
    await query(this.#pool, {
      text: `update operation set state = $2, done = $3, total = $4, result = $5::jsonb, problem = $6::jsonb, ended_at = now()
             where id = $1 and state = 'running'`,
      values: [id, state, done, total ?? null, jsonOrNull(result), jsonOrNull(problem)],
    });
  }

  async get(id: string): Promise<Operation | undefined> {
    const { rows } = await query<OperationRow>(this.#pool, {
      text: `select ${SHOWN} from operation where id = $1`,
      values: [id],
    });
    return rows[0] === undefined ? undefined : operationOf(rows[0]);
  }

  /** Newest first; `after` is the `next` of the page before. */
  async list(given: { limit?: number; after?: string } = {}): Promise<Page<Operation>> {
    const limit = given.limit ?? 50;
    const { rows } = await query<OperationRow>(this.#pool, {
      text: `select ${SHOWN} from operation where id < $1 order by id desc limit $2`,
      values: [given.after ?? LAST_ID, limit + 1],
    });
    const data = rows.slice(0, limit).map(operationOf);
    return { data, ...(rows.length > limit ? { next: data.at(-1)?.id ?? '' } : {}) };
  }

  /** Asks it to stop; whoever does the work hears of it with the next beat. */
  async cancel(id: string, actor: string): Promise<Operation | undefined> {
    const { rows } = await query<OperationRow>(this.#pool, {
      text: `update operation set cancel_requested_by = coalesce(cancel_requested_by, case when state = 'running' then $2 end)
             where id = $1 returning ${SHOWN}`,
      values: [id, actor],
    });
    return rows[0] === undefined ? undefined : operationOf(rows[0]);
  }
}

function jsonOrNull(value: Readonly<Record<string, unknown>> | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function operationOf(row: OperationRow | undefined): Operation {
  if (row === undefined) throw new Error('an operation that was just begun is not there');
  return {
    id: row.id,
    kind: row.kind,
    actor: row.actor,
    state: row.state,
    done: Number(row.done),
    startedAt: row.started_at,
    ...(row.total === null ? {} : { total: Number(row.total) }),
    ...(row.result === null ? {} : { result: row.result }),
    ...(row.problem === null ? {} : { problem: row.problem }),
    ...(row.cancel_requested_by === null ? {} : { cancelRequestedBy: row.cancel_requested_by }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
  };
}
