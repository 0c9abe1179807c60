/** The liar as a target: one process, killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { canConnect } from '../../test/support/smtp-sink.js';
import { freePort } from '../../test/support/free-port.js';
import { waitFor } from '../../test/support/wait.js';
import type { Target } from './target.js';

export async function liarTarget(hopPort: number, project: string): Promise<Target> {
  const port = await freePort();
  const start = async (): Promise<ChildProcess> => {
    const file = join(project, 'dist/bench/faults/liar.js');
    const child = spawn(process.execPath, [file, String(port), String(hopPort)], { stdio: 'ignore' });
    await waitFor('the liar to listen', () => canConnect('127.0.0.1', port));
    return child;
  };
  let child = await start();
  const end = async (): Promise<void> => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return {
    name: 'a server that says 250 before it stores',
    ports: () => [port],
    victims: { liar: 1 },
    kill: async () => {
      await end();
      child = await start();
    },
    audit: () => Promise.resolve([]),
    stop: end,
  };
}
