/**
 * Audit rows waiting for a commit. Works like a stream's write buffer: add() says when the caller should wait, and
 * takes the rows all the same. Only far beyond that (four times the bound: a database long away and a caller that
 * does not listen) rows are given up, and then the loss itself becomes a row, `audit.gap`.
 */
import { newId } from './new-id.js';
import { auditRow, type AuditRow } from './audit-rows.js';

const HARD_FACTOR = 4;

interface Entry {
  readonly row: AuditRow;
  readonly sequence: number;
}

export interface AuditBatch {
  readonly rows: readonly AuditRow[];
  /** Some rows may be stored already: an earlier try ended unknown. */
  readonly again: boolean;
  /** Committed, save `refused`, which the database will never take. */
  stored(refused?: readonly AuditRow[]): void;
  putBack(outcomeKnown: boolean): void;
}

interface Gap {
  lost: number;
  readonly firstAtMs: number;
  lastAtMs: number;
  readonly reason: string;
}

interface Waiter {
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class AuditBuffer {
  readonly #bound: number;
  #entries: Entry[] = [];
  /** Rows whose earlier commit ended unknown; they go alone, and may be there already. */
  #uncertain: Entry[] = [];
  #sequence = 0;
  /** Sequence numbers not stored yet, ascending: a Set keeps the order of insertion. */
  readonly #outstanding = new Set<number>();
  #gap: Gap | undefined;
  #waiters: Waiter[] = [];

  constructor(bound: number) {
    this.#bound = bound;
  }

  get hasWaiting(): boolean {
    return this.#entries.length > 0 || this.#uncertain.length > 0;
  }

  /** True while there is room below the bound. */
  add(rows: readonly AuditRow[]): boolean {
    const held = this.#outstanding.size + rows.length;
    if (held > this.#bound * HARD_FACTOR) this.#lose(rows.length, 'the buffer was full');
    else for (const row of rows) this.#push(row);
    return held < this.#bound;
  }

  /** Rows for the next commit. Uncertain ones are only taken for a group without messages. */
  take(most: number, withMessages: boolean): AuditBatch {
    const again = !withMessages && this.#uncertain.length > 0;
    if (again) return this.#batch(this.#uncertain.splice(0, most), true);
    this.#recordGap();
    return this.#batch(this.#entries.splice(0, most), false);
  }

  /** Resolves when every row added so far is stored; rejected by abandon(). */
  whenStored(): Promise<void> {
    if (this.#outstanding.size === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ upTo: this.#sequence, resolve, reject });
    });
  }

  /** Tells everybody who waits that it will not happen now. The rows stay. */
  abandon(error: unknown): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  #push(row: AuditRow): void {
    this.#sequence += 1;
    this.#outstanding.add(this.#sequence);
    this.#entries.push({ row, sequence: this.#sequence });
  }

  #batch(entries: readonly Entry[], again: boolean): AuditBatch {
    return {
      rows: entries.map((entry) => entry.row),
      again,
      stored: (refused = []) => {
        if (refused.length > 0) this.#lose(refused.length, 'the database refused the row');
        for (const { sequence } of entries) this.#outstanding.delete(sequence);
        this.#tellWaiters();
      },
      putBack: (outcomeKnown) => {
        if (outcomeKnown && !again) this.#entries.unshift(...entries);
        else this.#uncertain.push(...entries);
      },
    };
  }

  #tellWaiters(): void {
    if (this.#waiters.length === 0) return;
    const [oldest = Infinity] = this.#outstanding;
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (oldest > waiter.upTo) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }

  #lose(count: number, reason: string): void {
    const nowMs = Date.now();
    if (this.#gap === undefined) this.#gap = { lost: count, firstAtMs: nowMs, lastAtMs: nowMs, reason };
    else {
      this.#gap.lost += count;
      this.#gap.lastAtMs = nowMs;
    }
  }

  #recordGap(): void {
    if (this.#gap === undefined) return;
    this.#push(auditRow({ id: newId(), kind: 'audit.gap', data: this.#gap }));
    this.#gap = undefined;
  }
}
