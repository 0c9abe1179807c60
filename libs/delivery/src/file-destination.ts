/** One destination on disk: a few writers, each taking what waits as one batch, so that a directory is synced once for many. */
import { outcomeOf } from './attempt-outcome.js';
import type { AttemptReporter } from './attempt-report.js';
import { JobQueue } from './destination.js';
import type { Destination } from './destination.js';
import type { Job } from './job.js';
import type { FileStore, RelayEnvironment } from './ports.js';
import type { FileRoute } from './route.js';

export interface FileDestinationPorts {
  readonly environment: RelayEnvironment;
  readonly files: FileStore;
  readonly reporter: AttemptReporter;
  jobEnded(job: Job): void;
}

/** More writers do not help a disk; batches grow instead. */
const MAX_WRITERS = 4;
const MAX_BATCH = 64;
const MAX_WAITING = 1_000;

export class FileDestination implements Destination {
  readonly key: string;
  readonly definition: FileRoute;
  readonly works = true;
  readonly #ports: FileDestinationPorts;
  readonly #queue = new JobQueue();
  #writers = 0;
  #jobs = 0;
  #heldBytes = 0;

  constructor(key: string, definition: FileRoute, ports: FileDestinationPorts) {
    this.key = key;
    this.definition = definition;
    this.#ports = ports;
  }

  get jobs(): number {
    return this.#jobs;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get room(): number {
    return Math.max(0, MAX_WAITING - this.#queue.length);
  }

  add(job: Job): void {
    this.#jobs += 1;
    this.#heldBytes += job.heldBytes;
    this.#queue.push(job);
    if (this.#writers >= Math.min(MAX_WRITERS, this.definition.maxConnections)) return;
    this.#writers += 1;
    void this.#write();
  }

  connectionsTo(): number {
    return 0;
  }

  sweep(): void {
    // Nothing is kept open.
  }

  stop(): readonly Job[] {
    const jobs = this.#queue.takeAll();
    for (const job of jobs) this.#forget(job);
    return jobs;
  }

  recall(wanted: (job: Job) => boolean): readonly Job[] {
    const jobs = this.#queue.takeSome(wanted);
    for (const job of jobs) this.#forget(job);
    return jobs;
  }

  abort(): void {
    // A write to a local disk cannot be cut off; it ends by itself.
  }

  async #write(): Promise<void> {
    try {
      for (let batch = this.#takeBatch(); batch.length > 0; batch = this.#takeBatch()) await this.#deliver(batch);
    } finally {
      this.#writers -= 1;
    }
  }

  #takeBatch(): Job[] {
    const batch: Job[] = [];
    while (batch.length < MAX_BATCH) {
      const job = this.#queue.take();
      if (job === undefined) break;
      batch.push(job);
    }
    return batch;
  }

  async #deliver(batch: readonly Job[]): Promise<void> {
    const { environment, reporter } = this.#ports;
    const startedAtMs = environment.clock.nowMs();
    const written = await this.#written(batch);
    batch.forEach((job, at) => {
      const result = written[at] ?? {
        path: '',
        answer: {
          stage: 'file' as const,
          fault: { enhanced: '4.3.0', message: 'file was not written', progress: 'none' as const },
        },
      };
      const outcome = outcomeOf(result.answer);
      const results = job.recipients.map((recipient) => ({ recipient, stage: result.answer.stage, outcome }));
      reporter.report(job, { host: result.path, startedAtMs, handover: 'final' }, results);
      this.#forget(job);
      this.#ports.jobEnded(job);
    });
  }

  async #written(batch: readonly Job[]): Promise<Awaited<ReturnType<FileStore['deliver']>>> {
    try {
      return await this.#ports.files.deliver(this.definition, batch);
    } catch (error) {
      this.#ports.environment.warn(`files of ${this.key} cannot be written`, error);
      return [];
    }
  }

  #forget(job: Job): void {
    this.#jobs -= 1;
    this.#heldBytes -= job.heldBytes;
  }
}
