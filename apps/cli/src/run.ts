import { spawn } from 'node:child_process';
import { readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { ApiClient } from './api-client.js';
import { findConnection, findDataDir, projectDir } from './connection.js';
import type { CommandContext } from './context.js';
import { CommandError, EXIT, type ExitCode } from './failure.js';
import { createProgram, type GlobalOptions } from './program.js';
import { readSecret } from './secret-input.js';
import type { Terminal } from './terminal.js';

export interface Invocation {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly programDir: string;
  readonly terminal: Terminal;
}

/** Runs one command and says how it ended. */
export async function run(invocation: Invocation): Promise<ExitCode> {
  const { terminal } = invocation;
  const program = createProgram((options) => contextFor(invocation, options), terminal);
  program.version(versionOf(invocation.programDir), '--version', 'print the version');
  try {
    await program.parseAsync([...invocation.arguments], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof CommandError)) throw error;
    if (program.opts<GlobalOptions>().json === true) {
      // Nothing twice: `problem: null` says that the answer is on standard output already.
      if (error.problem !== null)
        terminal.raw(`${JSON.stringify(error.problem ?? { detail: error.message }, null, 2)}\n`);
    } else {
      terminal.err([`postern: ${error.message}`, ...error.details]);
    }
    return error.exitCode;
  }
}

function versionOf(programDir: string): string {
  const text = readFileSync(join(projectDir(programDir), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function contextFor(invocation: Invocation, options: () => GlobalOptions): CommandContext {
  let client: ApiClient | undefined;
  return {
    terminal: invocation.terminal,
    json: () => options().json === true,
    api: () => (client ??= new ApiClient(findConnection({ ...options(), ...invocation }))),
    read: readInput,
    octets: readOctets,
    secret: readSecret,
    runScript: (name) =>
      runScript(
        join(projectDir(invocation.programDir), 'scripts', name),
        findDataDir({ ...options(), ...invocation }),
        options().json === true,
      ),
    secretKeyFile: () =>
      invocation.environment['POSTERN_SECRET_KEY_FILE'] ??
      join(findDataDir({ ...options(), ...invocation }), 'secret-key'),
    write: replaceFile,
  };
}

/** What it has to say it says itself. */
async function runScript(file: string, dataDir: string, json: boolean): Promise<void> {
  const child = spawn(process.execPath, [file, '--data-dir', dataDir, ...(json ? ['--json'] : [])], {
    stdio: 'inherit',
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  if (code !== 0) throw new CommandError(EXIT.refused, 'nothing was changed', [], null);
}

function readInput(file: string): string {
  const octets = readOctets(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw new CommandError(EXIT.refused, `${file}: is not UTF-8 text`);
  }
}

function readOctets(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'is a directory' : 'cannot be read';
    throw new CommandError(EXIT.usage, `${file}: ${why}`);
  }
}

/** Beside it first, then in its place: a full disk or a crash leaves the old text. A link stays a link. */
function replaceFile(file: string, text: string): void {
  let beside: string | undefined;
  try {
    const target = realpathSync(file);
    beside = `${target}.${process.pid}.tmp`;
    writeFileSync(beside, text, { mode: statSync(target).mode, flag: 'wx' });
    renameSync(beside, target);
  } catch {
    if (beside !== undefined) rmSync(beside, { force: true });
    throw new CommandError(EXIT.usage, `${file}: cannot be written`);
  }
}
