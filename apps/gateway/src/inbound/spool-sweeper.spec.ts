import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLogger } from '../log.js';
import { SpoolSweeper } from './spool-sweeper.js';

const QUEUED = '01a20445-2fe2-7090-9e90-ca9588d58b31';
const DELIVERED = '01a20445-2fe2-7090-9e90-ca9588d58b32';
const ARRIVING = '01a20445-2fe2-7090-9e90-ca9588d58b33';
const LEFT_BY_A_CRASH = '01a20445-2fe2-7090-9e90-ca9588d58b34';

describe('spool sweeper', () => {
  let spoolDir: string;
  beforeEach(async () => {
    spoolDir = await mkdtemp(join(tmpdir(), 'postern-sweep-'));
    for (const name of [QUEUED, DELIVERED, ARRIVING, LEFT_BY_A_CRASH, 'not-ours.txt']) {
      await writeFile(join(spoolDir, name), 'x');
    }
    const yesterday = new Date(Date.now() - 86_400_000);
    await utimes(join(spoolDir, LEFT_BY_A_CRASH), yesterday, yesterday);
  });
  afterEach(async () => {
    await rm(spoolDir, { recursive: true });
  });

  it('removes what was delivered and what a crash left, and nothing that may still be needed', async () => {
    const asked: string[] = [];
    const sweeper = new SpoolSweeper({
      spoolDir,
      queue: {
        committed: (ids) => {
          asked.push('committed');
          return Promise.resolve(new Set(ids.filter((id) => id === QUEUED || id === DELIVERED)));
        },
        stillQueued: (ids) => {
          asked.push('queued');
          return Promise.resolve(new Set(ids.filter((id) => id === QUEUED)));
        },
      },
      nowMs: () => Date.now(),
      log: createLogger('silent', 'test'),
    });
    expect(await sweeper.sweep()).toBe(2);
    expect((await readdir(spoolDir)).sort()).toEqual([QUEUED, ARRIVING, 'not-ours.txt'].sort());
    // The other order would lose a message that is committed between the two questions.
    expect(asked).toEqual(['committed', 'queued']);
  });
});
