/**
 * The pools. Commit, queue and the rest are kept apart so that a slow search never delays a 250, nor one the other.
 *
 * The queue's connections run without sequential scans, merge and hash joins: on a hot small table statistics often say
 * "empty", and the plans chosen then cost 20 times as much (measured 2026-11).
 * Searches want the newest rows first, and every index ends in the id: without bitmap scans and sorts the planner
 * walks it backwards and stops at the limit, also in a partition that was never analyzed (900 ms → 2 ms).
 */
import { Pool, type PoolClient, type PoolConfig, type QueryConfig, type QueryResult, type QueryResultRow } from 'pg';
import { connectionTarget, type DatabaseConfig } from './database-config.js';
import { isConnectionError, OperationalError, toOperationalError } from './operational-error.js';

const QUEUE_OPTIONS = '-c enable_seqscan=off -c enable_mergejoin=off -c enable_hashjoin=off';
const SEARCH_OPTIONS = '-c enable_seqscan=off -c enable_bitmapscan=off -c enable_sort=off';
const IDLE_IN_TRANSACTION_MS = 30_000;
/** What a crash takes with it comes back by itself: the disk is not waited for. */
const FORGETFUL_OPTIONS = '-c synchronous_commit=off';
/** A client waits at RCPT TO. */
const GREYLIST_TIMEOUT_MS = 3_000;
/** One statement of a report: a day of the audit, sorted on disk if need be. */
const REPORT_TIMEOUT_MS = 600_000;

export interface Connections {
  readonly commit: Pool;
  readonly queue: Pool;
  readonly read: Pool;
  /** Newest-first searches. */
  readonly search: Pool;
  /** Walks of a whole table, one at a time. */
  readonly report: Pool;
  /** Imports of whole lists, one at a time. */
  readonly bulk: Pool;
  readonly greylist: Pool;
  close(): Promise<void>;
}

/** Settings shared by every connection of this library, with the server and the client both watching the time. */
export function clientSettings(config: DatabaseConfig, timeoutMs: number): PoolConfig {
  return {
    ...connectionTarget(config.url),
    application_name: config.applicationName,
    connectionTimeoutMillis: config.connectTimeoutMs,
    keepAlive: true,
    statement_timeout: Math.ceil(timeoutMs * 0.9),
    query_timeout: timeoutMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  };
}

export function openConnections(config: DatabaseConfig): Connections {
  const pool = (max: number, timeoutMs: number, options?: string): Pool => {
    const opened = new Pool({
      ...clientSettings(config, timeoutMs),
      max,
      idleTimeoutMillis: 60_000,
      ...(options === undefined ? {} : { options }),
    });
    // A connection that dies is replaced at the next use; without listeners its error would end the process.
    opened.on('error', ignore);
    opened.on('connect', (client) => client.on('error', ignore));
    return opened;
  };
  const commit = pool(config.commitConnections, config.statementTimeoutMs);
  const queue = pool(config.queueConnections, config.statementTimeoutMs, QUEUE_OPTIONS);
  const read = pool(config.readConnections, config.readTimeoutMs);
  const search = pool(config.searchConnections, config.readTimeoutMs, SEARCH_OPTIONS);
  const report = pool(1, REPORT_TIMEOUT_MS);
  const bulk = pool(1, REPORT_TIMEOUT_MS);
  const greylist = pool(2, GREYLIST_TIMEOUT_MS, FORGETFUL_OPTIONS);
  return {
    commit,
    queue,
    read,
    search,
    report,
    bulk,
    greylist,
    async close() {
      await Promise.all([commit, queue, read, search, report, bulk, greylist].map((each) => each.end()));
    },
  };
}

function ignore(): void {
  // The failure shows again, with its caller, at the next statement.
}

/** Runs `work` on one connection; a broken connection is thrown away. Failures leave as OperationalError. */
export async function withClient<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  if (pool.ending) throw new OperationalError('closed', 'the database was closed');
  let client: PoolClient;
  try {
    client = await pool.connect();
  } catch (error) {
    throw toOperationalError(error, false);
  }
  let broken = false;
  try {
    return await work(client);
  } catch (error) {
    broken = error instanceof OperationalError ? isConnectionError(error.cause) : isConnectionError(error);
    throw error instanceof OperationalError || isBug(error) ? error : toOperationalError(error);
  } finally {
    client.release(broken);
  }
}

/** TypeError and its kin come from our own code; they must not be mistaken for a database that is away. */
function isBug(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

export async function query<R extends QueryResultRow>(
  pool: Pool,
  statement: QueryConfig<unknown[]>,
): Promise<QueryResult<R>> {
  return withClient(pool, (client) => client.query<R>(statement));
}

/**
 * One transaction, read committed. Rolled back, and the error passed on, when `work` throws; rolled back too, and its
 * result given, for a dry run.
 */
export async function inTransaction<T>(
  pool: Pool,
  work: (client: PoolClient) => Promise<T>,
  { dryRun = false }: { readonly dryRun?: boolean | undefined } = {},
): Promise<T> {
  return withClient(pool, async (client) => {
    await client.query('begin');
    let result: T;
    try {
      result = await work(client);
    } catch (error) {
      if (!isConnectionError(error)) await client.query('rollback');
      throw error;
    }
    await client.query(dryRun ? 'rollback' : 'commit');
    return result;
  });
}
