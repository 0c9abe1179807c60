/** What the worker asks of a destination, whichever way its mail leaves. */
import type { Job } from './job.js';

export interface Destination {
  readonly key: string;
  /** Jobs waiting or in flight. */
  readonly jobs: number;
  readonly heldBytes: number;
  /** How many more jobs it may hold without getting ahead of itself; 0: what is in the queue stays there for now. */
  readonly room: number;
  /** Mail gets through to it as fast as it can take it: no rate limit, no host that rests. */
  readonly works: boolean;
  add(job: Job): void;
  /** Open connections to this target. */
  connectionsTo(key: string): number;
  /** Once a second: idle connections are closed, rested hosts probed. */
  sweep(nowMs: number): void;
  /** Stops beginning; hands back every job that was not begun. */
  stop(): readonly Job[];
  /** Hands back jobs that were not begun and that `wanted` asks for. */
  recall(wanted: (job: Job) => boolean): readonly Job[];
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

  takeSome(wanted: (job: Job) => boolean): readonly Job[] {
    const taken: Job[] = [];
    const left: Job[] = [];
    for (const job of this.takeAll()) (wanted(job) ? taken : left).push(job);
    this.#jobs = left;
    return taken;
  }

  takeAll(): readonly Job[] {
    const jobs = this.#jobs.slice(this.#head);
    this.#jobs = [];
    this.#head = 0;
    return jobs;
  }
}
