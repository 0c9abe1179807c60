/**
 * Newest-first search over day partitions: a short window first, then windows four times as long, until the page is
 * full. So a page of recent events never touches old partitions, and a rare one is found with few questions.
 */
import type { Pool } from 'pg';
import { query } from './connections.js';
import { idFloor } from './new-id.js';

const DAY_MS = 86_400_000;
const GROWTH = 4;
/** When a search without index has taken this long, the page ends early, with a cursor to go on from. */
const BUDGET_MS = 6_000;
const CURSOR = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export interface WindowedSearch {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Ids from `from` (inclusive) to `to` (exclusive); at most `limit` rows wanted. */
export interface SearchWindow {
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

/** True for a `next` of an earlier page; anything else must not be given as `after`. */
export function isCursor(text: string): boolean {
  return CURSOR.test(text);
}

/** Rows carry their place in `cursor`. `next` is set when there may be more. */
export async function searchWindows<R extends { cursor: string }>(
  pool: Pool,
  search: WindowedSearch,
  fetch: (window: SearchWindow) => Promise<readonly R[]>,
): Promise<{ rows: R[]; next?: string }> {
  const oldest = await oldestDayMs(pool);
  const floorMs = Math.max(oldest, search.since?.getTime() ?? 0);
  const startedAtMs = performance.now();
  const rows: R[] = [];
  let to = startOf(search);
  let toMs = timeOf(to);
  for (let spanMs = DAY_MS; toMs > floorMs; spanMs *= GROWTH) {
    const fromMs = Math.max(floorMs, startOfDay(toMs - spanMs));
    const from = idFloor(fromMs);
    const wanted = search.limit - rows.length + 1;
    rows.push(...(await fetch({ from, to, limit: wanted })));
    if (rows.length > search.limit) {
      const page = rows.slice(0, search.limit);
      return { rows: page, next: page.at(-1)?.cursor ?? from };
    }
    to = from;
    toMs = fromMs;
    if (performance.now() - startedAtMs > BUDGET_MS && toMs > floorMs) return { rows, next: to };
  }
  return { rows };
}

function startOf({ after, until }: WindowedSearch): string {
  if (after !== undefined && !isCursor(after)) throw new TypeError(`\`${after}\` is no cursor of an earlier page`);
  // Clocks of other nodes may run ahead, not by a day; partitions further on are empty.
  const end = idFloor(Math.min(until?.getTime() ?? Infinity, Date.now() + DAY_MS));
  return after !== undefined && after < end ? after : end;
}

function timeOf(id: string): number {
  // One millisecond up: the id itself may lie anywhere in its own.
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) + 1;
}

function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}

/** Start of the oldest partition. */
async function oldestDayMs(pool: Pool): Promise<number> {
  const { rows } = await query<{ name: string | null }>(pool, {
    name: 'oldest-partition',
    text: `select min(c.relname) as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'audit_event'::regclass`,
  });
  const day = /_(\d{4})(\d\d)(\d\d)$/.exec(rows[0]?.name ?? '');
  return day === null ? Date.now() : Date.UTC(Number(day[1]), Number(day[2]) - 1, Number(day[3]));
}
