/** Processes as Linux shows them in /proc: who is whose child, and how much processor time each has used. */
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** Command line, arguments separated by spaces. */
  readonly command: string;
  /** User and system time of the process itself and of its children that have ended. */
  readonly cpuSeconds: number;
}

/** The kernel's USER_HZ, the unit of times in /proc: 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** All living processes; a zombie is not living, but what it used is counted. */
export function listProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)));
}

/** The process, its children, their children, and so on; empty when it has ended. */
export function treeOf(pid: number, all: readonly ProcessInfo[] = listProcesses()): ProcessInfo[] {
  const root = all.find((process) => process.pid === pid);
  if (root === undefined) return [];
  return [root, ...all.filter((process) => process.parent === pid).flatMap((child) => treeOf(child.pid, all))];
}

/**
 * Processor time of whole trees. It only grows while the roots live: what ended is in its parent's figure.
 */
export function cpuSecondsOf(roots: readonly number[]): number {
  const all = listProcesses();
  const counted = new Map(roots.flatMap((pid) => treeOf(pid, all)).map((process) => [process.pid, process.cpuSeconds]));
  return [...counted.values()].reduce((sum, seconds) => sum + seconds, 0);
}

export function isAlive(pid: number): boolean {
  return readProcess(pid).length > 0;
}

function readProcess(pid: number): ProcessInfo[] {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    // The name in parentheses may hold anything; fields are counted after its last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return [];
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return [
      {
        pid,
        parent: Number(fields[1]),
        command: readFileSync(`/proc/${String(pid)}/cmdline`, 'latin1')
          .replaceAll('\0', ' ')
          .trim(),
        cpuSeconds: ticks / TICKS_PER_SECOND,
      },
    ];
  } catch {
    return []; // it ended while we looked
  }
}
