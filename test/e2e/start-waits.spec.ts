/** `npm start` that waits for something: Ctrl-C ends it at once, and leaves to the next start what it could not wait for. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from '../support/processes.js';
import { launch, RunningPostern } from '../support/running-postern.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('start-waits');
const policy = testPolicy();

afterAll(() => workspace.close(), 60_000);

/** Interrupts it when it says `word`; how long it took to end, in milliseconds. */
async function interrupted(how: Parameters<typeof launch>[0], word: string): Promise<{ tookMs: number; said: string }> {
  const { child, said } = launch(how);
  workspace.use({ stop: () => Promise.resolve(child.kill('SIGKILL')) });
  await waitFor(word, () => said().includes(word), { deadlineMs: 60_000 });
  const startedAt = performance.now();
  child.kill('SIGINT');
  await waitFor('the supervisor to end', () => child.exitCode !== null, { deadlineMs: 60_000 });
  expect({ code: child.exitCode, said: said() }).toMatchObject({ code: 0 });
  return { tookMs: performance.now() - startedAt, said: said() };
}

describe('Ctrl-C', () => {
  it('ends the wait for processes of an earlier run; the next start waits for them again', async () => {
    const dataDir = workspace.path('left-over');
    const first = workspace.use(await RunningPostern.start({ dataDir, policy }));
    const gateway = first.processId('gateway') ?? 0;
    process.kill(gateway, 'SIGSTOP'); // it cannot notice that its supervisor is gone
    try {
      process.kill(first.pid, 'SIGKILL');
      const { tookMs } = await interrupted({ dataDir, policy }, 'waiting for processes of an earlier run');
      expect(tookMs).toBeLessThan(10_000); // the whole wait takes 25 s
      expect(existsSync(join(dataDir, 'processes.json'))).toBe(true);
      expect(isAlive(gateway)).toBe(true);
    } finally {
      process.kill(gateway, 'SIGCONT');
    }
    const second = workspace.use(await RunningPostern.start({ dataDir, policy }));
    expect(isAlive(gateway)).toBe(false);
    await second.stop();
    expect(existsSync(join(dataDir, 'processes.json'))).toBe(false);
  }, 180_000);

  it('ends the wait for a database', async () => {
    const { tookMs } = await interrupted(
      { dataDir: workspace.path('away'), policy, env: { DATABASE_URL: 'postgresql://postern@127.0.0.1:1/postern' } },
      'waiting for the database',
    );
    expect(tookMs).toBeLessThan(10_000); // the whole wait takes 30 s
  }, 120_000);

  it('ends the making of a database, and the next start makes it', async () => {
    const dataDir = workspace.path('made');
    await interrupted({ dataDir, policy }, 'starting PostgreSQL');
    const running = workspace.use(await RunningPostern.start({ dataDir, policy }));
    await running.stop();
  }, 180_000);
});
