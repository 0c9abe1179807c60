/**
 * Removes spool files that no queued mail needs any more: delivered content, and what a crash left between a file and
 * its row. A file is younger than its row, never the other way round, so only files older than any session are judged.
 */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../log.js';

const INTERVAL_MS = 60_000;
/** Longer than a session may take from the first octet of content to its commit. */
const MIN_AGE_MS = 4 * 3_600_000;
const BATCH = 500;

export interface SpoolQueue {
  /** Of these message ids, those that were committed. */
  committed(messageIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Of these message ids, those that still have recipients to deliver. */
  stillQueued(messageIds: readonly string[]): Promise<ReadonlySet<string>>;
}

export interface SpoolSweeperOptions {
  readonly spoolDir: string;
  readonly queue: SpoolQueue;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export class SpoolSweeper {
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: SpoolSweeperOptions) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.sweep().catch((error: unknown) => {
        this.options.log.warn({ err: error }, 'spool not swept');
      });
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at the files of these messages only; a failure is left to the next sweep. */
  sweepSome(messageIds: readonly string[]): void {
    this.#sweepBatch(messageIds).catch((error: unknown) => {
      this.options.log.warn({ err: error }, 'spool not swept');
    });
  }

  /** Returns how many files were removed. */
  async sweep(): Promise<number> {
    const names = await readdir(this.options.spoolDir);
    let removed = 0;
    for (let at = 0; at < names.length; at += BATCH) removed += await this.#sweepBatch(names.slice(at, at + BATCH));
    for (const name of names) if (COPY.test(name)) removed += await this.#sweepCopy(join(this.options.spoolDir, name));
    return removed;
  }

  /** A copy from the database that a crash cut off. */
  async #sweepCopy(file: string): Promise<number> {
    if (this.options.nowMs() - (await modifiedAtMs(file)) < MIN_AGE_MS) return 0;
    await rm(file, { force: true });
    return 1;
  }

  async #sweepBatch(names: readonly string[]): Promise<number> {
    const ids = names.filter((name) => UUID.test(name));
    // In this order: a message committed in between is then seen in the queue.
    const committed = await this.options.queue.committed(ids);
    const queued = await this.options.queue.stillQueued(ids);
    let removed = 0;
    for (const id of ids) {
      if (queued.has(id)) continue;
      const file = join(this.options.spoolDir, id);
      if (!committed.has(id) && this.options.nowMs() - (await modifiedAtMs(file)) < MIN_AGE_MS) continue;
      await rm(file, { force: true });
      removed += 1;
    }
    return removed;
  }
}

const COPY = /^[0-9a-f-]{36}\.copy$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function modifiedAtMs(file: string): Promise<number> {
  return (await stat(file)).mtimeMs;
}
