import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CommandError, EXIT } from './failure.js';

/** What a caller may say about where the API is; all of it can be left out on the machine where Postern runs. */
export interface ConnectionSources {
  readonly api?: string;
  readonly keyFile?: string;
  readonly dataDir?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Directory of this program; the project is the nearest directory above with a package.json. */
  readonly programDir: string;
}

export interface Connection {
  readonly api: URL;
  readonly key: string;
}

interface RunFile {
  readonly api?: unknown;
  readonly adminKeyFile?: unknown;
}

const START_IT = 'start it with `npm start`, or name another with POSTERN_API and POSTERN_API_KEY';

/**
 * Finds the API and a key: options, then POSTERN_API and POSTERN_API_KEY, then what the supervisor wrote to `run.json`.
 * The key of this machine's data directory is only ever sent to this machine.
 */
export function findConnection(sources: ConnectionSources): Connection {
  const { environment } = sources;
  const dataDir = findDataDir(sources);
  const named = sources.api ?? environment['POSTERN_API'];
  const run = readRunFile(dataDir);
  const api = apiAddress(named ?? runText(run?.api, dataDir));
  const keyFile = sources.keyFile;
  if (keyFile !== undefined) return { api, key: readKey(keyFile) };
  const key = environment['POSTERN_API_KEY']?.trim();
  if (key !== undefined && key !== '') return { api, key };
  if (named !== undefined && !isLoopback(api.hostname)) {
    throw new CommandError(EXIT.usage, `no key for ${api.origin}: set POSTERN_API_KEY or give --key-file`);
  }
  return { api, key: readKey(typeof run?.adminKeyFile === 'string' ? run.adminKeyFile : join(dataDir, 'admin-key')) };
}

/** The data directory of the installation here, whether it runs or not. */
export function findDataDir({ dataDir, environment, programDir }: ConnectionSources): string {
  return resolve(dataDir ?? environment['POSTERN_DATA_DIR'] ?? join(projectDir(programDir), 'data'));
}

/** The nearest directory above with a package.json. */
export function projectDir(programDir: string): string {
  let directory = programDir;
  while (directory !== dirname(directory)) {
    if (readText(join(directory, 'package.json')) !== undefined) return directory;
    directory = dirname(directory);
  }
  return process.cwd();
}

function readRunFile(dataDir: string): RunFile | undefined {
  const text = readText(join(dataDir, 'run.json'));
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function runText(value: unknown, dataDir: string): string {
  if (typeof value === 'string') return value;
  throw new CommandError(EXIT.unreachable, `Postern does not run here: there is no ${join(dataDir, 'run.json')}`, [
    START_IT,
  ]);
}

function apiAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CommandError(EXIT.usage, 'the address of the API must start with `http://` or `https://`');
  }
  return url;
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const why = code === 'EACCES' ? 'permission denied; use the account that started Postern' : 'it cannot be read';
    const cures = ['or set POSTERN_API_KEY'];
    if (code === 'ENOENT') cures.unshift('is the key lost? `postern key reset` makes a new one');
    throw new CommandError(
      EXIT.usage,
      `no API key: ${file}: ${code === 'ENOENT' ? 'there is no such file' : why}`,
      cures,
    );
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/u.test(hostname);
}

export { START_IT };
