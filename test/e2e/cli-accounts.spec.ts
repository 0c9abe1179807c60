/** `postern account`, the built program against a real API. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { passwordFits } from '#database';
import { ApiUnderTest } from './admin-api-support.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');
const PASSWORD = 'pass wörd from a pipe';

let api: ApiUnderTest;
let workspace: Workspace;

beforeAll(async () => {
  workspace = new Workspace('cli-accounts');
  api = await ApiUnderTest.start();
  mkdirSync(workspace.path('data'));
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

async function ok(args: readonly string[], stdin = ''): Promise<string> {
  const result = await postern(args, stdin);
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
  return result.stdout;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of every shape
const json = async (...args: readonly string[]): Promise<any> => JSON.parse(await ok([...args, '--json']));

async function signsIn(name: string, password: string): Promise<boolean> {
  const { account } = await api.database.accounts.authView(name);
  return account !== undefined && passwordFits(account.passwordHash, password);
}

test('add, list, show, set, disable, enable, password, remove', async () => {
  const added = await ok([
    'account',
    'add',
    'ann',
    '--identity',
    'ann@example.com',
    '--identity',
    '*@sales.example.com',
    '--reason',
    'neu ☕',
  ]);
  const password = /password: +(\S+)/u.exec(added)?.[1] ?? '';
  expect(added).toContain('keep it now: it is not shown again');
  expect(await signsIn('ann', password)).toBe(true);
  expect(await ok(['account', 'list'])).toMatch(
    /^ACCOUNT +STATE +IDENTITIES.*\nann +enabled +ann@example.com, \*@sales.example.com/u,
  );
  expect(await ok(['account', 'show', 'ANN'])).not.toContain(password);

  await ok(['account', 'set', 'ann', '--identity', 'ann@example.com', '--note', 'third floor', '--expires', '90d']);
  expect(await json('account', 'show', 'ann')).toMatchObject({ identities: ['ann@example.com'], note: 'third floor' });
  expect(await json('account', 'set', 'ann', '--note', '', '--no-expires')).not.toHaveProperty('expires');

  expect(await ok(['account', 'disable', 'ann', '--reason', 'on leave'])).toBe('ann is disabled\n');
  expect(await signsIn('ann', password)).toBe(false);
  expect(await ok(['account', 'list'])).toMatch(/ann +disabled/u);
  expect(await ok(['account', 'enable', 'ann'])).toBe('ann is enabled\n');

  const { password: another } = await json('account', 'password', 'ann');
  expect([await signsIn('ann', password), await signsIn('ann', another as string)]).toEqual([false, true]);

  expect(await ok(['account', 'remove', 'ann'])).toBe('ann is removed\n');
  expect(await ok(['account', 'list'])).toBe('there are no accounts\n');
  const { data } = await api.database.audit.events({ kinds: ['account.changed'], limit: 50 });
  expect(data.map((event) => event.data)).toContainEqual(
    expect.objectContaining({ operation: 'create', reason: 'neu ☕' }),
  );
});

test('a password of one’s own comes from standard input, and is not shown', async () => {
  const added = await ok(['account', 'add', 'piped', '--ask'], `${PASSWORD}\n`);
  expect(added).not.toContain('password:');
  expect(await signsIn('piped', PASSWORD)).toBe(true);
  await ok(['account', 'password', 'piped', '--ask'], `another ${PASSWORD}`);
  expect(await signsIn('piped', `another ${PASSWORD}`)).toBe(true);
});

test('what goes wrong is told in a sentence', async () => {
  expect(await postern(['account', 'show', 'nobody'])).toMatchObject({
    code: 1,
    stderr: 'postern: there is no account `nobody`\n',
  });
  expect(await postern(['account', 'add', 'short', '--ask'], 'short\n')).toMatchObject({
    code: 1,
    stderr: 'postern: expected 10 to 256 printable characters\n',
  });
  expect(await postern(['account', 'add', 'none', '--ask'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is empty'),
  });
  expect(await postern(['account', 'add', 'x', '--identity', 'nonsense'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('`nonsense` is not an address'),
  });
  expect((await postern(['account', 'add', 'x', '--password', PASSWORD])).code).toBe(2);
});
