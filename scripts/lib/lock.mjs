/**
 * A lock held by a process, as a file with its id and birth. A lock whose process is gone is free, whatever became of
 * its id since (in a container the ids repeat at every start).
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { birthOf, isAlive } from './processes.mjs';

/** @returns {{ release: () => void } | { heldBy: number }} */
export function takeLock(file) {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, birth: birthOf(process.pid) }));
  try {
    for (;;) {
      if (isLinked(mine, file)) return { release: () => releaseLock(file) };
      const holder = readLock(file);
      if (holder !== undefined && isHeld(holder)) return { heldBy: holder.pid };
      removeStale(file, holder);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Linking is atomic: of several who try, one succeeds. */
function isLinked(mine, file) {
  try {
    linkSync(mine, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // just released
  }
}

export const isHeld = ({ pid, birth }) => isAlive(pid) && (birth === undefined || birth === birthOf(pid));

/** Takes the stale file away; if somebody's fresh lock took its place meanwhile, it is put back. */
function removeStale(file, stale) {
  const aside = `${file}.stale-${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const taken = readLock(aside);
  if (taken !== undefined && isHeld(taken) && taken.pid !== stale?.pid) isLinked(aside, file);
  rmSync(aside, { force: true });
}

function releaseLock(file) {
  if (readLock(file)?.pid === process.pid) rmSync(file, { force: true });
}
