/**
 * A next hop nobody here wrote: Postfix's smtp-sink. It counts what it accepts and, when asked to, keeps each message
 * in a file. Its dumps have LF line ends and a few `X-…-Args` lines of its own before the content.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { programPath } from './program-path.js';
import { freePort } from './free-port.js';
import { HopelessError, waitFor } from './wait.js';

export interface SinkOptions {
  readonly host?: string;
  readonly port?: number;
  readonly hostname?: string;
  /** Folder for one file per message; nothing is kept without it. */
  readonly keepIn?: string;
  /** Commands answered with 450, as in `RCPT` or `.`. */
  readonly softReject?: string;
  /** Commands answered with 500. */
  readonly hardReject?: string;
  readonly moreArguments?: readonly string[];
}

/** One message as the sink kept it. `content` is what came after DATA, with CRLF line ends restored. */
export interface SunkMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly helo: string;
  readonly content: Buffer;
}

export interface RunningSink {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** Messages whose final dot was answered with 250. */
  count(): number;
  messages(): SunkMessage[];
  stop(): Promise<void>;
}

export async function startSink(options: SinkOptions = {}): Promise<RunningSink> {
  const host = options.host ?? '127.0.0.1';
  const port = options.port ?? (await freePort(host));
  if (options.keepIn !== undefined) {
    mkdirSync(options.keepIn, { recursive: true });
    chmodSync(options.keepIn, 0o777);
  }
  const child = spawn(programPath('smtp-sink') ?? 'smtp-sink', sinkArguments(options, host, port), { stdio: 'pipe' });
  let accepted = 0;
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const counts = chunk.toString('latin1').match(/mesg=(\d+)/g);
    if (counts !== null) accepted = Number(counts.at(-1)?.slice('mesg='.length));
  });
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  await waitFor(`smtp-sink on port ${String(port)}`, () => {
    if (child.exitCode !== null) throw new HopelessError(`smtp-sink ended: ${said}`);
    return canConnect(host, port);
  });
  return {
    host,
    port,
    pid: child.pid ?? 0,
    count: () => accepted,
    messages: () => (options.keepIn === undefined ? [] : readKept(options.keepIn)),
    stop: () => stopChild(child),
  };
}

function sinkArguments(options: SinkOptions, host: string, port: number): string[] {
  return [
    '-c',
    ...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []),
    ...['-h', options.hostname ?? 'sink.test', '-m', '1000'],
    ...(options.keepIn === undefined ? [] : ['-d', join(options.keepIn, 'message.')]),
    ...(options.softReject === undefined ? [] : ['-r', options.softReject]),
    ...(options.hardReject === undefined ? [] : ['-f', options.hardReject]),
    ...(options.moreArguments ?? []),
    ...[`inet:${host.includes(':') ? `[${host}]` : host}:${String(port)}`, '1000'],
  ];
}

function readKept(folder: string): SunkMessage[] {
  return readdirSync(folder).map((name) => parseDump(readFileSync(join(folder, name))));
}

/** The sink's own lines come first: X-Client-Addr, X-Client-Proto, X-Helo-Args, X-Mail-Args, X-Rcpt-Args…, Received. */
function parseDump(dump: Buffer): SunkMessage {
  const lines = dump.toString('latin1').split('\n');
  const first = lines.findIndex((line) => !/^X-(Client|Helo|Mail|Rcpt)-/.test(line));
  const received = lines.findIndex((line, index) => index > first && !/^[ \t]/.test(line));
  const values = (name: string): string[] =>
    lines.slice(0, first).flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []));
  return {
    sender: addressOf(values('X-Mail-Args')[0] ?? ''),
    recipients: values('X-Rcpt-Args').map(addressOf),
    helo: values('X-Helo-Args')[0] ?? '',
    // The dump ends with one empty line of the sink's own.
    content: Buffer.from(lines.slice(received, -2).concat('').join('\r\n'), 'latin1'),
  };
}

function addressOf(args: string): string {
  return /<([^>]*)>/.exec(args)?.[1] ?? args;
}

export function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

async function stopChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
