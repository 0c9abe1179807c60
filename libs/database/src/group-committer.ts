/**
 * Group commit: everything that arrived while the last commit ran goes into the next one. No timer delays a
 * message; groups form by themselves under load, and a single session pays one commit.
 *
 * INVARIANT (nothing before commit): a promise of accept() resolves only after the server confirmed the commit of the
 * group that holds the message. A lost connection or a time-out rejects it: an unknown outcome is never success.
 * Audit events are never dropped silently: see append().
 */
import type { Pool } from 'pg';
import type { AuditEvent } from '#audit';
import type { MessageToStore } from '#delivery';
import type { AuditChains } from './audit-chain.js';
import { auditRow, type AuditRow } from './audit-rows.js';
import { AuditBuffer, type AuditBatch } from './audit-buffer.js';
import { uuidArray } from './binary-array.js';
import { withClient } from './connections.js';
import type { LeaseRecovery } from './lease-recovery.js';
import {
  isConflict,
  isDataError,
  isMissingPartition,
  OperationalError,
  toOperationalError,
} from './operational-error.js';
import type { Watch } from './watch.js';
import { acceptStatement, appendStatement, rowsOf } from './write-statements.js';

/** A commit that takes longer makes us ask whether the database is still there. */
const SLOW_COMMIT_MS = 500;
/** Audit rows without a message wait this long for one. */
const ROWS_WAIT_MS = 20;
const MAX_ROWS_PER_GROUP = 2_000;

interface Pending {
  readonly message: MessageToStore;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface CommitterOptions {
  readonly pool: Pool;
  readonly watch: Watch;
  readonly chains: AuditChains;
  readonly recovery: Pick<LeaseRecovery, 'acceptLost'>;
  readonly groupMessages: number;
  readonly groupBytes: number;
  readonly groupsInFlight: number;
  readonly auditBufferEvents: number;
  /** This node's incarnation, null before it joined. */
  readonly owner: () => number | null;
  readonly makePartitions: (ids: readonly string[]) => Promise<void>;
}

export class GroupCommitter {
  readonly #options: CommitterOptions;
  readonly #buffer: AuditBuffer;
  #pending: Pending[] = [];
  #inFlight = 0;
  #scheduled = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  /** Groups committed, for tests and measurements. */
  commits = 0;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#buffer = new AuditBuffer(options.auditBufferEvents);
    options.watch.onHealth((healthy, why) => {
      if (healthy) this.#pump();
      else {
        this.#rejectPending(why ?? unavailable());
        this.#buffer.abandon(why ?? unavailable());
      }
    });
  }

  /** Resolves after COMMIT. Rejects with OperationalError; `data-refused` concerns this message alone. */
  accept(message: MessageToStore): Promise<void> {
    if (this.#closed) return Promise.reject(new OperationalError('closed', 'the database was closed'));
    if (!this.#options.watch.healthy) return Promise.reject(this.#options.watch.lastFailure ?? unavailable());
    if (message.leased && this.#options.owner() === null)
      return Promise.reject(new Error('a leased message needs a joined node'));
    return new Promise((resolve, reject) => {
      this.#pending.push({ message, resolve, reject });
      this.#schedule();
    });
  }

  /** False asks the caller to stop producing until flush() resolved; the events are kept all the same. */
  append(events: readonly AuditEvent[]): boolean {
    const room = this.#buffer.add(events.map((event) => auditRow(event)));
    if (this.#timer === undefined && !this.#closed) {
      this.#timer = setTimeout(() => this.#pump(), ROWS_WAIT_MS);
    }
    return room;
  }

  /** Resolves when every event appended so far is committed; rejects when that cannot be done now. */
  async flush(): Promise<void> {
    const stored = this.#buffer.whenStored();
    if (this.#options.watch.healthy) this.#pump();
    else this.#buffer.abandon(this.#options.watch.lastFailure ?? unavailable());
    await stored;
  }

  /** Commits what waits, if the database is there, and takes nothing more. */
  async close(): Promise<void> {
    await this.flush().catch(() => undefined);
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#rejectPending(new OperationalError('closed', 'the database was closed'));
  }

  /** After the current turn of the event loop: all that its sockets delivered joins one group. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#options.groupsInFlight) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#options.watch.healthy) return;
    while (this.#inFlight < this.#options.groupsInFlight && (this.#pending.length > 0 || this.#buffer.hasWaiting)) {
      void this.#commitGroup(this.#takeMessages());
    }
  }

  #takeMessages(): Pending[] {
    const { groupMessages, groupBytes } = this.#options;
    let bytes = 0;
    let count = 0;
    for (const { message } of this.#pending) {
      bytes += message.content.kind === 'inline' ? message.content.bytes.byteLength : 0;
      if (count > 0 && (count >= groupMessages || bytes > groupBytes)) break;
      count += 1;
    }
    if (count === this.#pending.length) {
      const all = this.#pending;
      this.#pending = [];
      return all;
    }
    return this.#pending.splice(0, count);
  }

  async #commitGroup(group: Pending[]): Promise<void> {
    this.#inFlight += 1;
    const batch = this.#buffer.take(MAX_ROWS_PER_GROUP, group.length > 0);
    const slow = setTimeout(() => this.#options.watch.suspect(), SLOW_COMMIT_MS);
    try {
      await this.#write(
        group.map(({ message }) => message),
        batch.rows,
        batch.again,
      );
      batch.stored();
      for (const { resolve } of group) resolve();
    } catch (error) {
      await this.#failed(group, batch, error);
    } finally {
      clearTimeout(slow);
      this.#inFlight -= 1;
      this.#pump();
    }
  }

  /** One statement, repeated once after a missing partition or a conflict. */
  async #write(messages: readonly MessageToStore[], appended: readonly AuditRow[], again: boolean): Promise<void> {
    const rows = rowsOf(messages, again ? await this.#notStored(appended) : appended);
    if (rows.length === 0 && messages.length === 0) return;
    try {
      await this.#commit(messages, rows);
    } catch (error) {
      if (isMissingPartition(error)) {
        await this.#options.makePartitions([...messages.map(({ id }) => id), ...rows.map(({ id }) => id)]);
      } else if (!isConflict(error)) throw error;
      await this.#commit(messages, rows);
    }
  }

  async #commit(messages: readonly MessageToStore[], rows: readonly AuditRow[]): Promise<void> {
    const { chains, pool } = this.#options;
    const owner = this.#options.owner();
    const writing = chains.withBlock(rows, (block) =>
      withClient(pool, async (client) => {
        if (messages.length === 0) await client.query(appendStatement(rows, block));
        else await client.query(acceptStatement({ messages, owner, audit: { rows, block } }));
      }),
    );
    try {
      await writing;
    } catch (error) {
      // Its caller gives the messages up: should they be stored after all, they are for whoever claims them.
      const unknown = error instanceof OperationalError && !error.outcomeKnown;
      if (owner !== null && messages.length > 0 && unknown) {
        this.#options.recovery.acceptLost(
          owner,
          messages.map(({ id }) => id),
        );
      }
      throw error;
    }
    this.commits += 1;
  }

  /** Of rows whose earlier commit ended unknown, those that are not there: a row and its block are stored or not, together. */
  async #notStored(rows: readonly AuditRow[]): Promise<readonly AuditRow[]> {
    const stored = await withClient(this.#options.pool, (client) =>
      client.query<{ id: string }>('select id from audit_event where id = any($1::uuid[])', [
        uuidArray(rows.map(({ id }) => id)),
      ]),
    );
    const ids = new Set(stored.rows.map(({ id }) => id));
    return rows.filter(({ id }) => !ids.has(id));
  }

  async #failed(group: Pending[], batch: AuditBatch, error: unknown): Promise<void> {
    if (isOurData(error)) {
      await this.#divide(group);
      await this.#storeRowsAlone(batch);
      return;
    }
    const failure = toOperationalError(error);
    if (failure.code === 'database-unavailable' || failure.code === 'database-timeout') this.#options.watch.suspect();
    batch.putBack(failure.outcomeKnown);
    this.#buffer.abandon(failure);
    for (const { reject } of group) reject(failure);
    if (this.#buffer.hasWaiting) await pause(ROWS_WAIT_MS * 5);
  }

  /** A group with a bad row is halved until the bad row stands alone; the others are stored. */
  async #divide(group: readonly Pending[]): Promise<void> {
    const middle = Math.ceil(group.length / 2);
    for (const part of [group.slice(0, middle), group.slice(middle)]) if (part.length > 0) await this.#commitPart(part);
  }

  async #commitPart(part: readonly Pending[]): Promise<void> {
    try {
      await this.#write(
        part.map(({ message }) => message),
        [],
        false,
      );
    } catch (error) {
      if (isOurData(error) && part.length > 1) {
        await this.#divide(part);
        return;
      }
      for (const { reject } of part) reject(isOurData(error) ? error : toOperationalError(error));
      return;
    }
    for (const { resolve } of part) resolve();
  }

  async #storeRowsAlone(batch: AuditBatch): Promise<void> {
    const refused: AuditRow[] = [];
    for (const row of batch.rows) {
      try {
        await this.#write([], [row], true);
      } catch (error) {
        if (!isOurData(error)) {
          batch.putBack(false);
          this.#buffer.abandon(error);
          return;
        }
        refused.push(row);
      }
    }
    batch.stored(refused);
  }

  #rejectPending(error: unknown): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(error);
  }
}

/** The database refused the values, or they could not even be encoded: divide and try the others. */
function isOurData(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || isDataError(error);
}

function unavailable(): OperationalError {
  return new OperationalError('database-unavailable', 'the database is not reachable');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
