/**
 * A server that takes mail and throws it away, in a process of its own: `node dist/bench/protocol-server.js KIND`.
 * KIND `smtp-net` is this project's library, `scanned` the same with the content looked through as the
 * gateway does for message rules, `smtp-server` the npm package. Speaks to its parent only: first
 * `{ port }`, then for each message received one `ProtocolReport`; counters start again with every report.
 */
import type { AddressInfo } from 'node:net';
import { StructureScanner } from '#mime';
import { createSmtpServer } from '#smtp-net';
import type { ContentSink } from '#smtp-net';
import { watchLoop } from './loop-watch.js';
import type { LoopBlocks } from './loop-watch.js';

export interface ProtocolReport {
  readonly messages: number;
  /** User and system time, milliseconds. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** Of the event loop; only told while it is watched, because watching costs. */
  readonly blocks?: LoopBlocks;
}

const MAX_MESSAGE_BYTES = 104_857_600;
let messages = 0;

async function startOurs(isScanned: boolean): Promise<number> {
  const server = createSmtpServer({
    hostname: 'bench.test',
    limits: { maxConnections: 20_000, maxConnectionsPerAddress: 20_000, maxMessageBytes: MAX_MESSAGE_BYTES },
    hooks: {
      data: () => ({ effect: 'accept', sink: isScanned ? scanning() : DISCARD }),
      message: () => {
        messages += 1;
        return { effect: 'accept' };
      },
    },
  });
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port;
}

const DISCARD: ContentSink = { write: () => undefined, abort: () => undefined };

function scanning(): ContentSink {
  const scanner = new StructureScanner({ structure: true });
  return {
    write: (chunk) => {
      scanner.write(chunk);
    },
    abort: () => undefined,
  };
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

const port = await (process.argv[2] === 'smtp-server' ? startSmtpServer() : startOurs(process.argv[2] === 'scanned'));
let before = process.cpuUsage();
let blocks: (() => LoopBlocks) | undefined;

process.on('message', (wanted: 'report' | 'watch') => {
  const used = process.cpuUsage(before);
  before = process.cpuUsage();
  globalThis.gc?.();
  if (wanted === 'watch') blocks ??= watchLoop();
  const report: ProtocolReport = {
    messages,
    cpuMs: (used.user + used.system) / 1000,
    rssBytes: process.memoryUsage.rss(),
    ...(blocks === undefined ? {} : { blocks: blocks() }),
  };
  messages = 0;
  process.send?.(report);
});
process.once('disconnect', () => process.exit(0));
process.send?.({ port });
