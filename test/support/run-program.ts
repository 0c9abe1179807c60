/** Runs one foreign program to its end and gives back everything it said. */
import { spawn } from 'node:child_process';
import { programPath } from './program-path.js';

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly deadlineMs?: number;
}

/** Never rejects for a non-zero exit; rejects when the program cannot be started or outlives its deadline. */
export function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<ProgramResult> {
  const { deadlineMs = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(programPath(program) ?? program, args, {
      stdio: 'pipe',
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const said = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout.on('data', (chunk: Buffer) => said.stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => said.stderr.push(chunk));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${program} still ran after ${String(deadlineMs)} ms: ${textOf(said.stderr)}`));
    }, deadlineMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: textOf(said.stdout), stderr: textOf(said.stderr) });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.stdin);
  });
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}
