/**
 * The built product, started as a user starts it: `node scripts/start.mjs --json …`. What tests know about it is what
 * it prints, its ports and its processes; nothing is imported from it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AdminApi } from './admin-api.js';
import { decidedOtherwise } from './decided-again.js';
import { isAlive, listProcesses, treeOf } from './processes.js';
import type { ProcessInfo } from './processes.js';
import { HopelessError, waitFor } from './wait.js';

export const PROJECT = resolve(import.meta.dirname, '../..');

export interface PosternOptions {
  /** Kept after `stop`, so that the same installation can be started again. */
  readonly dataDir: string;
  /** Policy of the first start, as a document or as text. */
  readonly policy: unknown;
  readonly apiPort?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  /** Folder of the built product; the project itself unless it was compiled elsewhere. */
  readonly project?: string;
}

export interface BoundListener {
  readonly listener: string;
  readonly address: string;
  readonly port: number;
}

interface ReadyLine {
  readonly smtp: readonly BoundListener[];
  readonly api: string;
  readonly dataDir: string;
  readonly adminKeyFile: string;
}

export type PosternProcess = 'gateway' | 'admin-api' | 'postgres' | 'supervisor';

export class RunningPostern {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ready: ReadyLine,
    private readonly said: () => string,
  ) {}

  static async start(options: PosternOptions): Promise<RunningPostern> {
    const { child, said, printed } = launch(options);
    const line = await waitFor(
      'Postern to be ready',
      () => {
        const end = printed().indexOf('\n');
        if (end >= 0) return printed().slice(0, end);
        if (child.exitCode !== null)
          throw new HopelessError(`npm start ended with ${String(child.exitCode)}: ${said()}`);
        return undefined;
      },
      { deadlineMs: options.deadlineMs ?? 120_000 },
    ).catch((error: unknown) => {
      child.kill('SIGTERM');
      throw error;
    });
    return new RunningPostern(child, JSON.parse(line) as ReadyLine, said);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get dataDir(): string {
    return this.ready.dataDir;
  }

  get listeners(): readonly BoundListener[] {
    return this.ready.smtp;
  }

  /** Port of a listener by its name in the policy. */
  port(listener: string): number {
    const found = this.ready.smtp.find((bound) => bound.listener === listener);
    if (found === undefined) throw new Error(`no listener \`${listener}\` among ${JSON.stringify(this.ready.smtp)}`);
    return found.port;
  }

  get api(): AdminApi {
    return new AdminApi(this.ready.api, readFileSync(this.ready.adminKeyFile, 'utf8').trim());
  }

  maildir(directory: string): string {
    return join(this.dataDir, 'mail', directory);
  }

  /** Progress on the terminal so far, and the ends of the logs of its processes: for messages of failed tests. */
  output(): string {
    return this.said();
  }

  log(process: 'gateway' | 'admin-api'): string {
    return readFileSync(join(this.dataDir, 'log', `${process}.log`), 'utf8');
  }

  /** Every process of this installation, PostgreSQL with its backends included. */
  processes(): ProcessInfo[] {
    const all = listProcesses();
    const trees = [this.pid, this.processId('postgres')].flatMap((pid) => (pid === undefined ? [] : treeOf(pid, all)));
    return [...new Map(trees.map((process) => [process.pid, process])).values()];
  }

  /** Undefined while it does not run. */
  processId(name: PosternProcess): number | undefined {
    if (name === 'supervisor') return isAlive(this.pid) ? this.pid : undefined;
    if (name === 'postgres') return postmasterOf(this.dataDir);
    return treeOf(this.pid).find(({ command }) => command.includes(`dist/apps/${name}/src/main.js`))?.pid;
  }

  /** Sends a signal to one of its processes; resolves when the signal was sent. */
  signal(name: PosternProcess, signal: NodeJS.Signals): void {
    const pid = this.processId(name);
    if (pid === undefined) throw new Error(`${name} does not run`);
    process.kill(pid, signal);
  }

  /** `kill -9` of everything at once: nothing gets a chance to tidy up. Resolves when all are gone. */
  async killEverything(): Promise<void> {
    const victims = this.processes().map(({ pid }) => pid);
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
      for (const pid of victims) sendSignal(pid, signal);
    }
    await waitFor('all processes to be gone', () => !victims.some(isAlive));
  }

  /** As Ctrl-C does. Resolves when everything has ended. Whatever it decided has to be decided so again before. */
  async stop(deadlineMs = 40_000): Promise<void> {
    const runs = this.processId('supervisor') !== undefined && this.processId('admin-api') !== undefined;
    const differing = runs ? await decidedOtherwise(this.api) : [];
    await this.#end(deadlineMs);
    if (differing.length > 0) throw new Error(`decided otherwise than recorded: ${differing.join('; ')}`);
  }

  async #end(deadlineMs: number): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await waitFor('Postern to stop', () => this.child.exitCode !== null || this.child.signalCode !== null, {
      deadlineMs,
    });
    const postgres = postmasterOf(this.dataDir);
    if (postgres !== undefined) sendSignal(postgres, 'SIGKILL');
  }

  get exitCode(): number | null {
    return this.child.exitCode;
  }
}

/** Starts it without waiting for anything, for starts that are expected to fail. */
export function launch(options: PosternOptions): { child: ChildProcess; said: () => string; printed: () => string } {
  mkdirSync(dirname(options.dataDir), { recursive: true });
  const policyFile = `${options.dataDir}.policy.yaml`;
  writeFileSync(
    policyFile,
    typeof options.policy === 'string' ? options.policy : JSON.stringify(options.policy, null, 2),
  );
  const child = spawn(
    process.execPath,
    [
      join(options.project ?? process.env['POSTERN_UNDER_TEST'] ?? PROJECT, 'scripts/start.mjs'),
      ...['--json', '--data-dir', options.dataDir, '--policy', policyFile],
      ...(options.env?.['ADMIN_API_PORT'] === undefined ? ['--api-port', String(options.apiPort ?? 0)] : []),
    ],
    { stdio: 'pipe', env: { ...cleanEnvironment(), ...options.env } },
  );
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
  return { child, said: () => err + out, printed: () => out };
}

/** Resolves with the exit code of a start that is expected to fail, and with everything it said. */
export async function startThatFails(options: PosternOptions): Promise<{ code: number | null; said: string }> {
  const { child, said } = launch(options);
  try {
    await waitFor('npm start to give up', () => child.exitCode !== null, { deadlineMs: options.deadlineMs ?? 60_000 });
  } finally {
    if (child.exitCode === null) child.kill('SIGTERM');
  }
  return { code: child.exitCode, said: said() };
}

/** What Jest, npm and other tests set must not reach the product. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(GATEWAY_|ADMIN_|POSTERN_|DATABASE_URL|TEST_|JEST_|NODE_OPTIONS|NODE_ENV|npm_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

function postmasterOf(dataDir: string): number | undefined {
  for (const home of [dataDir, noteOf(join(dataDir, 'postgres-home'))]) {
    const pid = home === undefined ? undefined : noteOf(join(home, 'postgres/postmaster.pid'));
    if (pid !== undefined && isAlive(Number(pid))) return Number(pid);
  }
  return undefined;
}

function noteOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended already.
  }
}
