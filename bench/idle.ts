/**
 * `node dist/bench/idle.js [CONNECTIONS]`: what an idle session costs in memory, and how long a new client waits for the
 * banner beside thousands of them. Server and clients are processes of their own; nothing but smtp-net is measured.
 *
 * An idle session has been greeted and has said EHLO. Memory is what the process and its heap grew by, after garbage
 * collection; the kernel's socket buffers are not in it.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createSmtpServer } from '#smtp-net';

const FILE = fileURLToPath(import.meta.url);
const CONNECTIONS = 10_000;
const AT_A_TIME = 100;
const NEW_CLIENTS = 50;

interface Memory {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

if (process.argv[1] === FILE) {
  if (process.argv[2] === '--clients') await beClients(Number(process.argv[3]), Number(process.argv[4]));
  else await measure(Number(process.argv[2] ?? CONNECTIONS));
}

async function measure(connections: number): Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const room = connections + NEW_CLIENTS + 1_000;
  const limits = { maxConnections: room, maxConnectionsPerAddress: room };
  const server = createSmtpServer({ hostname: 'mx.test', limits, hooks: {} });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  // What the first connections load and compile belongs to no connection.
  await stop(await startClients(port, AT_A_TIME));
  const before = memoryAfter(gc);
  const clients = await startClients(port, connections);
  const after = memoryAfter(gc);
  if (server.connections !== connections) throw new Error(`${String(server.connections)} sessions are open`);
  const waits = await newClients(port);
  report(connections, before, after, waits);
  await stop(clients);
  await server.close(0);
}

function memoryAfter(gc: () => void): Memory {
  for (let round = 0; round < 3; round += 1) gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, external };
}

function report(connections: number, before: Memory, after: Memory, waits: readonly number[]): void {
  const each = (key: keyof Memory): string => ((after[key] - before[key]) / connections / 1024).toFixed(2);
  const sorted = waits.toSorted((a, b) => a - b);
  const [median = 0, worst = 0] = [sorted[sorted.length >> 1], sorted.at(-1)];
  process.stdout.write(
    [
      `${String(connections)} idle sessions, Node ${process.versions.node}`,
      `resident memory   ${each('rss')} KiB each`,
      `of it heap        ${each('heap')} KiB, buffers outside it ${each('external')} KiB`,
      `a new client is greeted after ${median.toFixed(1)} ms (median of ${String(waits.length)}), at most ${worst.toFixed(1)} ms`,
      '',
    ].join('\n'),
  );
}

/** Milliseconds from connecting to the banner. */
async function newClients(port: number): Promise<readonly number[]> {
  const waits: number[] = [];
  for (let client = 0; client < NEW_CLIENTS; client += 1) {
    const startedAt = performance.now();
    const socket = connect({ port, host: '127.0.0.1' });
    await once(socket, 'data');
    waits.push(performance.now() - startedAt);
    socket.destroy();
  }
  return waits;
}

async function startClients(port: number, count: number): Promise<ChildProcess> {
  const child = fork(FILE, ['--clients', String(port), String(count)], { execArgv: [] });
  await once(child, 'message');
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** The child: opens them all, says so, and holds them. */
async function beClients(port: number, count: number): Promise<void> {
  const open: Socket[] = [];
  while (open.length < count) {
    const some = Math.min(AT_A_TIME, count - open.length);
    open.push(...(await Promise.all(Array.from({ length: some }, () => idleSession(port)))));
  }
  process.send?.('open');
}

async function idleSession(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'data');
  socket.write('EHLO client.test\r\n');
  await once(socket, 'data');
  return socket;
}
