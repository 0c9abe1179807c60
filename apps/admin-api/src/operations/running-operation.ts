import type { Database, Operation, OperationEnd } from '#database';
import { Problem } from '../http/problem.js';
import { unforeseenProblem } from '../http/problem.filter.js';

/** Progress is stored so often at most; also how soon a cancellation is heard in another process. */
const BEAT_MS = 1_000;

/** What the work of an operation may use. */
export interface OperationRun {
  readonly id: string;
  /** Aborted when somebody cancels it, or the admin API stops: then throw `signal.reason`, with nothing changed. */
  readonly signal: AbortSignal;
  /** How far it is. Cheap: call it as often as you like. */
  progress(done: number, total?: number): void;
}

export type OperationWork = (run: OperationRun) => Promise<Readonly<Record<string, unknown>>>;

class Stopped extends Error {
  constructor(readonly state: 'cancelled' | 'interrupted') {
    super(`the operation was ${state}`);
  }
}

/** One operation of this process, from its begin to its end. */
export class RunningOperation implements OperationRun {
  readonly #stopping = new AbortController();
  readonly #database: () => Database;
  readonly #progress: { done: number; total?: number } = { done: 0 };
  readonly id: string;

  constructor({ id }: Operation, database: () => Database) {
    this.id = id;
    this.#database = database;
  }

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  progress(done: number, total?: number): void {
    this.#progress.done = done;
    if (total !== undefined) this.#progress.total = total;
  }

  stop(state: 'cancelled' | 'interrupted'): void {
    this.#stopping.abort(new Stopped(state));
  }

  /** Never rejects: the end is in the store. Answers a fault that nobody foresaw. */
  async carryOut(work: OperationWork): Promise<unknown> {
    const timer = setInterval(() => void this.#beat(), BEAT_MS);
    try {
      const result = await work(this);
      await this.#end({ state: 'succeeded', result });
      return undefined;
    } catch (error) {
      await this.#end(this.#failure(error));
      return error instanceof Problem || error instanceof Stopped ? undefined : error;
    } finally {
      clearInterval(timer);
    }
  }

  #failure(error: unknown): Pick<OperationEnd, 'state' | 'problem'> {
    if (error instanceof Stopped) return { state: error.state };
    const problem = error instanceof Problem ? error : unforeseenProblem(error);
    return { state: 'failed', problem: { ...problem.body(this.id) } };
  }

  /** That the database is away for a moment stops no work; the work itself will meet it. */
  async #beat(): Promise<void> {
    try {
      const { stop } = await this.#database().operations.beat(this.id, { ...this.#progress });
      if (stop) this.stop('cancelled');
    } catch {
      // the next beat tells
    }
  }

  async #end(end: Pick<OperationEnd, 'state' | 'result' | 'problem'>): Promise<void> {
    try {
      await this.#database().operations.end(this.id, { ...this.#progress, ...end });
    } catch {
      // nobody renews it now: it will be shown as interrupted
    }
  }
}
