import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createProgram } from './program.js';
import { run } from './run.js';
import type { Terminal } from './terminal.js';

const PROJECT = resolve(import.meta.dirname, '../../..');

interface Recorded extends Terminal {
  readonly said: { out: string; err: string };
}

function recorder(): Recorded {
  const said = { out: '', err: '' };
  return {
    said,
    out: (lines) => void (said.out += lines.map((line) => `${line}\n`).join('')),
    err: (lines) => void (said.err += lines.map((line) => `${line}\n`).join('')),
    raw: (text) => void (said.out += text),
  };
}

async function postern(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const terminal = recorder();
  const environment = { POSTERN_DATA_DIR: '/nowhere' };
  const code = await run({ arguments: args, environment, programDir: import.meta.dirname, terminal });
  return { code, ...terminal.said };
}

/** Names of all commands that do something, as they are typed. */
function commandsOf(command: Command, above: readonly string[] = []): string[][] {
  return command.commands.flatMap((inner) => {
    const path = [...above, inner.name()];
    return inner.commands.length === 0 ? [path] : commandsOf(inner, path);
  });
}

const never = (): never => {
  throw new Error('no command is run here');
};
const program = createProgram(
  () => ({
    terminal: recorder(),
    json: () => false,
    api: never,
    read: never,
    octets: never,
    secret: never,
    secretKeyFile: never,
    runScript: never,
    write: never,
  }),
  recorder(),
);
const COMMANDS = commandsOf(program);

describe('usage', () => {
  test.each([
    [[]],
    [['nonsense']],
    [['policy']],
    [['policy', 'nonsense']],
    [['policy', 'apply']],
    [['policy', 'apply', 'a', 'b']],
    [['policy', 'rollback', 'one']],
    [['policy', 'history', '--limit', '0']],
    [['policy', 'test']],
    [['policy', 'explain', 'x.yaml']],
    [['policy', 'explain', 'x.yaml', '--given', 'nonsense']],
    [['policy', 'fmt', 'a.yaml', 'b.yaml']],
    [['policy', 'fmt', '-', '--write']],
    [['policy', 'fmt', 'a.yaml', '--write', '--check']],
    [['tx', 'explain', 'x', '--against', 'one']],
    [['tx', 'list', '--nonsense']],
    [['tx', 'list', '--verdict', 'maybe']],
    [['tx', 'list', '--since', 'yesterday']],
    [['list', 'add', 'staff']],
    [['list', 'add', 'staff', 'a@b.example', '--expires', '2026-13-01']],
    [['key', 'create', 'x', '--role', 'root']],
  ])('%j is wrong: exit code 2, and something to read', async (args) => {
    const { code, out, err } = await postern(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toBe('');
  });

  test('a slip of the pen is answered with a suggestion', async () => {
    expect((await postern(['polcy', 'check', 'x'])).err).toContain('policy');
  });

  test.each(COMMANDS.map((path) => [path.join(' '), path] as const))(
    '%s has help with the options of all',
    async (_name, path) => {
      const { code, out } = await postern([...path, '--help']);
      expect(code).toBe(0);
      for (const option of ['--json', '--api', '--key-file', '--data-dir']) expect(out).toContain(option);
    },
  );

  test('docs/cli.md has every command, and no other', () => {
    const text = readFileSync(join(PROJECT, 'docs/cli.md'), 'utf8');
    const block = /```\n(postern policy check[^]*?)\n```/u.exec(text)?.[1] ?? '';
    const told = block
      .split('\n')
      .flatMap((line) => /^postern ((?:[a-z]+ ?)+?)(?=$| [^a-z]|\s{2})/u.exec(`${line} `)?.[1]?.trim() ?? []);
    expect(told.sort()).toEqual(COMMANDS.map((path) => path.join(' ')).sort());
  });
});

test('without Postern here, a command says so and what to do', async () => {
  const { code, err } = await postern(['lists']);
  expect(code).toBe(3);
  expect(err).toContain('/nowhere/run.json');
  expect(err).toContain('npm start');
});

test('tells its version', async () => {
  const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
  expect(await postern(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
});
