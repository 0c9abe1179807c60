/**
 * How long the event loop stands still, by its own doing: the time between two ticks of a timer less the time that the
 * main thread stood in line for a processor (Linux, /proc/self/schedstat). Other programs on a busy machine do not
 * count, garbage collection and whatever else keeps the thread does.
 */
import { openSync, readSync } from 'node:fs';

export interface LoopBlocks {
  /** Milliseconds, the waiting for a processor left out. */
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
  const waitedMs = (): number => {
    const length = readSync(schedstat, text, 0, text.length, 0);
    return Number(text.toString('latin1', 0, length).split(' ')[1]) / 1e6;
  };
  let longestMs = 0;
  let longestWallMs = 0;
  let before = { nowMs: performance.now(), waitedMs: waitedMs() };
  const tick = (): void => {
    const now = { nowMs: performance.now(), waitedMs: waitedMs() };
    const wallMs = now.nowMs - before.nowMs - TICK_MS;
    longestWallMs = Math.max(longestWallMs, wallMs);
    longestMs = Math.max(longestMs, wallMs - (now.waitedMs - before.waitedMs));
    before = now;
    setTimeout(tick, TICK_MS);
  };
  setTimeout(tick, TICK_MS);
  return () => {
    const blocks = { longestMs, longestWallMs };
    longestMs = 0;
    longestWallMs = 0;
    // What the one who asks has done meanwhile is no block.
    before = { nowMs: performance.now(), waitedMs: waitedMs() };
    return blocks;
  };
}
