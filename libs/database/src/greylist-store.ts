/**
 * The memory of greylisting, shared between nodes. One statement reads and writes for everybody who asks at that moment;
 * only a first attempt, and a stay that has to be prolonged, write at all. Times are the database's.
 *
 * Its connections do not wait for the disk: what a crash of the server forgets is asked to come back once more.
 */
import type { Pool } from 'pg';
import { query } from './connections.js';

export interface GreylistQuestion {
  /** 16 octets. */
  readonly key: Buffer;
  readonly delayMs: number;
  /** How long somebody who came back is known, after the last time. */
  readonly rememberMs: number;
  /** How long somebody who has not is waited for, after the delay. */
  readonly retryWindowMs: number;
}

/** `new`: this is the first attempt. `waiting`: the delay is not over. */
export type GreylistState = 'new' | 'waiting' | 'passed';

export interface GreylistStore {
  /** What is known of each, in the order of the questions; whoever is not known is from now on. */
  recall(questions: readonly GreylistQuestion[]): Promise<readonly GreylistState[]>;
}

interface Row {
  [column: string]: unknown;
  state: GreylistState;
}

/**
 * Keys are locked in their order, and what somebody else holds is left to him: two nodes never wait for each other.
 * A stay is prolonged only when a twentieth of it is over: mail that comes often does not write each time.
 */
const RECALL = `
  with asked as (
    select key, delay_ms * interval '1 millisecond' as delay, remember_ms * interval '1 millisecond' as remember,
           window_ms * interval '1 millisecond' as retry_window, place
    from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
      with ordinality as asked (key, delay_ms, remember_ms, window_ms, place)
  ), known as (
    select asked.place, asked.key, entry.first_seen_at + asked.delay <= now() as passed, entry.expires_at, asked.remember
    from asked join greylist_entry entry using (key) where entry.expires_at > now()
  ), added as (
    insert into greylist_entry (key, expires_at)
    select key, now() + min(least(remember, delay + retry_window))
    from asked where key not in (select key from known) group by key order by key
    on conflict (key) do update set first_seen_at = now(), expires_at = excluded.expires_at
      where greylist_entry.expires_at <= now()
  ), stale as (
    select entry.key from greylist_entry entry
    where entry.key in (select key from known where passed and expires_at < now() + remember * 0.95)
    order by entry.key for update skip locked
  ), prolonged as (
    update greylist_entry entry set expires_at = now() + (select max(remember) from known where known.key = entry.key)
    from stale where entry.key = stale.key
  )
  select case when known.key is null then 'new' when known.passed then 'passed' else 'waiting' end as state
  from asked left join known using (place) order by asked.place`;

export class PostgresGreylistStore implements GreylistStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async recall(questions: readonly GreylistQuestion[]): Promise<readonly GreylistState[]> {
    const { rows } = await query<Row>(this.#pool, {
      text: RECALL,
      values: [
        questions.map(({ key }) => key),
        questions.map(({ delayMs }) => delayMs),
        questions.map(({ rememberMs }) => rememberMs),
        questions.map(({ retryWindowMs }) => retryWindowMs),
      ],
    });
    return rows.map(({ state }) => state);
  }

  /** Not all at once: a flood of strangers must not hold up housekeeping. */
  async removeExpired(): Promise<void> {
    await query(this.#pool, {
      text: `delete from greylist_entry where key in (
               select key from greylist_entry where expires_at <= now() limit $1 for update skip locked)`,
      values: [REMOVED_AT_ONCE],
    });
  }
}

const REMOVED_AT_ONCE = 20_000;
