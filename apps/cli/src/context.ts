import type { ApiClient } from './api-client.js';
import type { Terminal } from './terminal.js';

/** What every command needs. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** True: print what the API answered, for scripts. */
  json(): boolean;
  /** Finds API and key on first use: commands that work offline never ask. */
  api(): ApiClient;
  /** Text of a file, or of standard input for `-`. */
  read(file: string): string;
  /** The same as it is: mail need not be text. */
  octets(file: string): Buffer;
  /** Asks for a secret without showing it, or reads it from a pipe. */
  secret(what: string): Promise<string>;
  /** Runs a script of this checkout on the data directory here, on this terminal. */
  runScript(name: string): Promise<void>;
  /** The key that secrets of the installation here are sealed with. */
  secretKeyFile(): string;
  /** Replaces the text of a file that exists, wholly or not at all. */
  write(file: string, text: string): void;
}

/** Prints an answer: as JSON, or as lines for people. */
export function show(context: CommandContext, answer: unknown, lines: () => readonly string[]): void {
  if (context.json()) context.terminal.raw(`${JSON.stringify(answer, null, 2)}\n`);
  else context.terminal.out(lines());
}
