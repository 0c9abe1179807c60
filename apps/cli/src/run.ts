import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { ApiClient } from './api-client.js';
import { findConnection } from './connection.js';
import type { CommandContext } from './context.js';
import { CommandError, EXIT, type ExitCode } from './failure.js';
import { createProgram, type GlobalOptions } from './program.js';
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

function contextFor(invocation: Invocation, options: () => GlobalOptions): CommandContext {
  let client: ApiClient | undefined;
  return {
    terminal: invocation.terminal,
    json: () => options().json === true,
    api: () => (client ??= new ApiClient(findConnection({ ...options(), ...invocation }))),
    read: readInput,
  };
}

function readInput(file: string): string {
  try {
    const octets = readFileSync(file === '-' ? 0 : file);
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch (error) {
    if (error instanceof TypeError) throw new CommandError(EXIT.refused, `${file}: is not UTF-8 text`);
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'is a directory' : 'cannot be read';
    throw new CommandError(EXIT.usage, `${file}: ${why}`);
  }
}
