/** `postern secret`, the built program against a real API, with the key file beside it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileSecretKeys, newSecretKeyLine } from '#database';
import { ApiUnderTest } from './admin-api-support.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');

let api: ApiUnderTest;
let workspace: Workspace;
const keyFile = (): string => workspace.path('data', 'secret-key');

beforeAll(async () => {
  workspace = new Workspace('cli-secrets');
  mkdirSync(workspace.path('data'));
  writeFileSync(keyFile(), `${newSecretKeyLine()}\n`, { mode: 0o600 });
  api = await ApiUnderTest.start({ secretKeys: fileSecretKeys(keyFile(), { readFile, stat }) });
  writeFileSync(workspace.path('data', 'run.json'), JSON.stringify({ api: api.url }));
  writeFileSync(workspace.path('data', 'admin-key'), `${api.key}\n`);
});
afterAll(async () => {
  await api.stop();
  await workspace.close();
});

function postern(args: readonly string[], stdin = ''): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: workspace.path('data') },
    stdin: Buffer.from(stdin),
    cwd: workspace.folder,
  });
}

const valueOf = async (name: string): Promise<string | undefined> => {
  const found = await api.database.secrets.reveal(name);
  return found.ok ? found.value : undefined;
};

test('set from standard input, list, set again, remove', async () => {
  expect(await postern(['secret', 'list'])).toMatchObject({ code: 0, stdout: 'there are no secrets\n' });
  expect(await postern(['secret', 'set', 'provider', '--note', 'relay.example'], 'hush hush\n')).toMatchObject({
    code: 0,
    stdout: 'provider is set\n',
  });
  expect(await valueOf('provider')).toBe('hush hush');
  await postern(['secret', 'set', 'provider'], 'other');
  expect(await valueOf('provider')).toBe('other');
  const listed = await postern(['secret', 'list']);
  expect(listed.stdout).toMatch(/^SECRET +READABLE +SET.*\nprovider +yes/u);
  expect(listed.stdout).not.toContain('other');
  expect(await postern(['secret', 'remove', 'provider'])).toMatchObject({ code: 0, stdout: 'provider is removed\n' });
  expect(await postern(['secret', 'remove', 'provider'])).toMatchObject({ code: 1 });
  expect((await postern(['secret', 'set', 'provider', 'as-argument'])).code).toBe(2);
});

test('rotate: the file has a new key and no other, values stay', async () => {
  const before = readFileSync(keyFile(), 'utf8');
  await postern(['secret', 'set', 'kept'], 'kept value');
  expect((await postern(['secret', 'rotate', '--keep-old'])).stdout).toContain('still in it');
  expect(readFileSync(keyFile(), 'utf8').endsWith(before)).toBe(true);
  const rotated = await postern(['secret', 'rotate', '--json']);
  expect(JSON.parse(rotated.stdout)).toMatchObject({ resealed: 1, unreadable: [], keptOld: false });
  expect(readFileSync(keyFile(), 'utf8')).toMatch(/^[^\n]{44}\n$/u);
  expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
  expect(await valueOf('kept')).toBe('kept value');
});

test('rotate: what no key opens stays as it is, and so do the old keys', async () => {
  await postern(['secret', 'set', 'stuck'], 'x');
  await api.postgres.query(`update secret set key_id = 'feedfeedfeedfeed' where name = 'stuck'`);
  const result = await postern(['secret', 'rotate']);
  expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('not sealed with the new key: stuck') });
  expect(readFileSync(keyFile(), 'utf8').trim().split('\n')).toHaveLength(2);
  expect(await valueOf('kept')).toBe('kept value');
});
