/**
 * Waiting without sleeping: polls a condition until it holds or a deadline passes. Nothing in the tests waits a fixed
 * time and hopes.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** Thrown by a condition that can never hold any more: waiting ends at once. */
export class HopelessError extends Error {}

/** Returned by a condition that does not hold yet. */
type NotYet = undefined | false | null;

export interface WaitOptions {
  readonly deadlineMs?: number;
  readonly everyMs?: number;
}

/** Resolves with the first value that is neither undefined, null nor false; rejects naming `what` at the deadline. */
export async function waitFor<T>(
  what: string,
  condition: () => T | NotYet | Promise<T | NotYet>,
  options: WaitOptions = {},
): Promise<T> {
  const { deadlineMs = 25_000, everyMs = 20 } = options;
  const endsAt = performance.now() + deadlineMs;
  for (;;) {
    const { value, error } = await tryOnce(condition);
    if (value !== undefined && value !== null && value !== false) return value;
    if (error instanceof HopelessError) throw error;
    if (performance.now() >= endsAt) {
      throw new Error(`gave up after ${String(deadlineMs)} ms waiting for ${what}`, { cause: error });
    }
    await delay(everyMs);
  }
}

async function tryOnce<T>(condition: () => T | Promise<T>): Promise<{ value?: T; error?: unknown }> {
  try {
    return { value: await condition() };
  } catch (error) {
    return { error };
  }
}
