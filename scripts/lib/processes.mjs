/** Facts about processes of this machine that Node does not offer: is this the same process, where does it run. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/** @param {number} pid @returns {boolean} true also for a live process of another user */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  return !isZombie(pid);
}

/** A killed process whose parent does not wait for it (no init in a container) stays as a zombie; it holds nothing. */
function isZombie(pid) {
  return /^\d+ \(.*\) Z /s.test(read(`/proc/${pid}/stat`) ?? '');
}

function read(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}

function ps(pid, column) {
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return undefined;
  }
}

/** A text that differs between two processes which had the same id one after the other; undefined when not known. */
export function birthOf(pid) {
  if (process.platform !== 'linux') return ps(pid, 'lstart') || undefined;
  const stat = read(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces; the 20th field after it is the start time in ticks since boot.
  const ticks = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return ticks === undefined ? undefined : `${read('/proc/sys/kernel/random/boot_id')?.trim()}/${ticks}`;
}

/** Whether `pid` is a PostgreSQL server on the cluster in `directory`. */
export function isPostgresOn(pid, directory) {
  if (process.platform !== 'linux') return (ps(pid, 'command') ?? '').includes(directory);
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory; // the server changes into its cluster
  } catch {
    return (read(`/proc/${pid}/cmdline`) ?? '').split('\0').includes(directory);
  }
}

/** Polls until `condition` holds. @returns {Promise<boolean>} false when the deadline passed first */
export async function holdsWithin(deadlineMs, condition, everyMs = 20) {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return true;
}
