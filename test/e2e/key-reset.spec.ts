/** Whoever lost the admin key makes a new one on the machine itself, whether Postern runs or not. */
import { afterAll, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RunningPostern } from '../support/running-postern.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { testPolicy } from '../support/test-policy.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');
const workspace = new Workspace('key-reset');
const dataDir = (): string => workspace.path('data');
const keyFile = (): string => join(dataDir(), 'admin-key');

afterAll(() => workspace.close(), 60_000);

function reset(...args: string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, 'key', 'reset', '--data-dir', dataDir(), ...args], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdin: Buffer.alloc(0),
    cwd: workspace.folder,
  });
}

async function status(api: string, key: string): Promise<number> {
  const answer = await fetch(new URL('/v1/gateways', api), { headers: { Authorization: `Bearer ${key}` } });
  await answer.text();
  return answer.status;
}

test('while Postern runs, and while it does not', async () => {
  const first = workspace.use(await RunningPostern.start({ dataDir: dataDir(), policy: testPolicy() }));
  const old = readFileSync(keyFile(), 'utf8').trim();
  expect(await status(first.api.url, old)).toBe(200);
  rmSync(keyFile());

  const done = await reset();
  expect(done).toMatchObject({ code: 0, stderr: '' });
  const made = readFileSync(keyFile(), 'utf8').trim();
  expect(done.stdout).toContain(made);
  expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
  expect([await status(first.api.url, old), await status(first.api.url, made)]).toEqual([401, 200]);
  await first.stop();

  rmSync(keyFile());
  const again = await reset('--json');
  expect(again.code).toBe(0);
  const { adminKey } = JSON.parse(again.stdout) as { adminKey: string };
  expect(existsSync(join(dataDir(), 'supervisor.lock'))).toBe(false);
  const second = workspace.use(await RunningPostern.start({ dataDir: dataDir(), policy: testPolicy() }));
  expect([await status(second.api.url, made), await status(second.api.url, adminKey)]).toEqual([401, 200]);
}, 180_000);

test('where there is no installation, nothing is made', async () => {
  mkdirSync(workspace.path('empty'));
  for (const place of [workspace.path('empty'), '/nowhere/at/all']) {
    const result = await reset('--data-dir', place);
    expect(result).toMatchObject({ code: 1, stderr: expect.stringMatching(/there is no (database|installation) in/u) });
  }
  expect(existsSync(workspace.path('empty', 'postgres'))).toBe(false);
});
