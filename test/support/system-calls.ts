/** What processes ask of the kernel, in the order in which it answers: by `strace`. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { waitFor } from './wait.js';

export interface SystemCall {
  readonly pid: number;
  readonly text: string;
}

export interface Trace {
  /** Ends the trace; the processes go on. */
  stop(): Promise<SystemCall[]>;
}

const CALLS = 'read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync';
const LONGEST_TEXT = '4096';

/** Undefined when the kernel allows it here; otherwise why not. */
export function whyNoTrace(): string | undefined {
  const { error, status, stderr } = spawnSync('strace', ['-e', 'trace=read', 'true'], { encoding: 'utf8' });
  if (error !== undefined) return 'strace not found; install the Debian package strace';
  return status === 0 ? undefined : `strace may not watch processes here: ${stderr.trim()}`;
}

/** Watches these processes, their threads, and those they start from now on. */
export async function traceCalls(pids: readonly number[], file: string): Promise<Trace> {
  const targets = pids.flatMap((pid) => ['-p', String(pid)]);
  const child = spawn('strace', ['-f', '-e', `trace=${CALLS}`, '-s', LONGEST_TEXT, '-o', file, ...targets], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await waitFor('strace to watch all', () => pids.every((pid) => said.includes(`Process ${String(pid)} attached`)));
  return {
    async stop() {
      const closed = once(child, 'close');
      child.kill('SIGINT');
      await closed;
      return readFileSync(file, 'utf8').split('\n').flatMap(parse);
    },
  };
}

/** `PID  call(…) = result`; a call that another interrupts in the listing has two lines. */
function parse(line: string): SystemCall[] {
  const match = /^(\d+) +(.*)$/.exec(line);
  return match === null ? [] : [{ pid: Number(match[1]), text: match[2] ?? '' }];
}
