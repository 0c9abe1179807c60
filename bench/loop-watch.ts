/**
 * How long the event loop stands still, by its own doing: the processor time that the main thread uses between two ticks
 * of a timer (Linux, /proc/self/schedstat). Other programs on a busy machine do not count, garbage collection and whatever
 * else keeps the thread does. Exact to a tick of the kernel, 4 ms at most.
 */
import { openSync, readSync } from 'node:fs';

export interface LoopBlocks {
  /** Milliseconds of processor time. */
  readonly longestMs: number;
  /** By the clock on the wall. */
  readonly longestWallMs: number;
}

/** Timers are no more exact than this. */
const TICK_MS = 1;

/** Watches from now on; what it returns tells the longest block since it was last asked. */
export function watchLoop(): () => LoopBlocks {
  const schedstat = openSync('/proc/self/schedstat', 'r');
  const text = Buffer.alloc(128);
  const usedMs = (): number => {
    const length = readSync(schedstat, text, 0, text.length, 0);
    return Number(text.toString('latin1', 0, length).split(' ')[0]) / 1e6;
  };
  let longestMs = 0;
  let longestWallMs = 0;
  let before = { nowMs: performance.now(), usedMs: usedMs() };
  const tick = (): void => {
    const now = { nowMs: performance.now(), usedMs: usedMs() };
    const wallMs = now.nowMs - before.nowMs - TICK_MS;
    longestWallMs = Math.max(longestWallMs, wallMs);
    longestMs = Math.max(longestMs, now.usedMs - before.usedMs);
    before = now;
    setTimeout(tick, TICK_MS);
  };
  setTimeout(tick, TICK_MS);
  return () => {
    const blocks = { longestMs, longestWallMs };
    longestMs = 0;
    longestWallMs = 0;
    // What the one who asks has done meanwhile is no block.
    before = { nowMs: performance.now(), usedMs: usedMs() };
    return blocks;
  };
}
