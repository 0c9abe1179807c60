/** A question that may be answered at once or later. A synchronous answer costs no microtask. */
import type { MaybePromise } from './hooks.js';

interface Settling<T> {
  readonly take: (value: T) => void;
  /** What `ask` or `take` threw. */
  readonly fail: (error: unknown) => void;
  /** After `take` or `fail`, when the answer came later. */
  readonly done: () => void;
}

/** Calls `ask` and hands over what it gives; true when that comes later. Throws nothing. */
export function settle<T>(ask: () => MaybePromise<T>, { take, fail, done }: Settling<T>): boolean {
  try {
    const value = ask();
    if (value instanceof Promise) {
      value.then(take).then(done, (error: unknown) => {
        fail(error);
        done();
      });
      return true;
    }
    take(value);
  } catch (error) {
    fail(error);
  }
  return false;
}
