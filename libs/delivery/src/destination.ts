/** What the worker asks of a destination, whichever way its mail leaves. */
import type { Job } from './job.js';

export interface Destination {
  readonly key: string;
  /** Jobs waiting or in flight. */
  readonly jobs: number;
  readonly heldBytes: number;
  add(job: Job): void;
  /** Once a second: idle connections are closed, rested hosts probed. */
  sweep(nowMs: number): void;
  /** Stops beginning; hands back every job that was not begun. */
  stop(): readonly Job[];
  /** Cuts what is in flight off; its outcomes are still reported. */
  abort(): void;
}

/** First in, first out, without moving the rest on every take. */
export class JobQueue {
  #jobs: Job[] = [];
  #head = 0;

  get length(): number {
    return this.#jobs.length - this.#head;
  }

  push(job: Job): void {
    this.#jobs.push(job);
  }

  /** Goes before everything else: it was begun once already. */
  putBack(job: Job): void {
    if (this.#head === 0) this.#jobs.unshift(job);
    else {
      this.#head -= 1;
      this.#jobs[this.#head] = job;
    }
  }

  /** The next ones to be taken, at most `count`. */
  first(count: number): readonly Job[] {
    return this.#jobs.slice(this.#head, this.#head + count);
  }

  take(): Job | undefined {
    const job = this.#jobs[this.#head];
    if (job === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#jobs.length || this.#head > 1024) {
      this.#jobs = this.#jobs.slice(this.#head);
      this.#head = 0;
    }
    return job;
  }

  takeAll(): readonly Job[] {
    const jobs = this.#jobs.slice(this.#head);
    this.#jobs = [];
    this.#head = 0;
    return jobs;
  }
}
