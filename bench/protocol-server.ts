/**
 * A server that takes mail and throws it away, in a process of its own: `node dist/bench/protocol-server.js KIND`.
 * KIND `smtp-net` is this project's library, `smtp-server` the npm package. Speaks to its parent only: first
 * `{ port }`, then for each message received one `ProtocolReport`; counters start again with every report.
 */
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createSmtpServer } from '#smtp-net';

export interface ProtocolReport {
  readonly messages: number;
  /** User and system time, milliseconds. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** The longest time the event loop did not turn, milliseconds. */
  readonly longestBlockMs: number;
}

const MAX_MESSAGE_BYTES = 104_857_600;
let messages = 0;

async function startOurs(): Promise<number> {
  const server = createSmtpServer({
    hostname: 'bench.test',
    limits: { maxConnections: 20_000, maxConnectionsPerAddress: 20_000, maxMessageBytes: MAX_MESSAGE_BYTES },
    hooks: {
      data: () => ({ effect: 'accept', sink: { write: () => undefined, abort: () => undefined } }),
      message: () => {
        messages += 1;
        return { effect: 'accept' };
      },
    },
  });
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port;
}

async function startSmtpServer(): Promise<number> {
  const { SMTPServer } = await import('smtp-server');
  const server = new SMTPServer({
    name: 'bench.test',
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    size: MAX_MESSAGE_BYTES,
    logger: false,
    onData: (stream, _session, done) => {
      stream.on('end', () => {
        messages += 1;
        done();
      });
      stream.resume();
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.server.address() as AddressInfo).port;
}

const port = await (process.argv[2] === 'smtp-server' ? startSmtpServer() : startOurs());
const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();
let before = process.cpuUsage();

process.on('message', () => {
  const used = process.cpuUsage(before);
  before = process.cpuUsage();
  globalThis.gc?.();
  const report: ProtocolReport = {
    messages,
    cpuMs: (used.user + used.system) / 1000,
    rssBytes: process.memoryUsage.rss(),
    longestBlockMs: delays.max / 1e6,
  };
  messages = 0;
  delays.reset();
  process.send?.(report);
});
process.once('disconnect', () => process.exit(0));
process.send?.({ port });
