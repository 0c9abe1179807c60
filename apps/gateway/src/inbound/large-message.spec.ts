/**
 * 25 MB through the real server into the real buffer, with a store that is slower than the client: what the session holds
 * at any moment, in octets. RFC 5321 s4.5.3.1.7.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { createSmtpServer } from '#smtp-net';
import type { ServerSession } from '#smtp-net';
import type { BodyStore } from './body-store.js';
import { ContentBuffer } from './content-buffer.js';
import { MemoryBudget } from './memory-budget.js';

const MESSAGE_BYTES = 25 * 1024 * 1024;
const MAX_HELD_BYTES = 2 * 1024 * 1024;

class SlowStore implements BodyStore {
  storedBytes = 0;

  create(): ReturnType<BodyStore['create']> {
    return Promise.resolve({
      write: async (block: Buffer) => {
        // The client has all the time it wants to send more.
        for (let turns = 0; turns < 20; turns += 1) await turn();
        this.storedBytes += block.length;
      },
      finish: () => Promise.resolve('stored'),
      abort: () => Promise.resolve(),
    });
  }
}

it('a message of 25 MB is streamed: its session never holds more than 2 MiB of it', async () => {
  const budget = new MemoryBudget(268_435_456);
  const bodies = new SlowStore();
  let session: ServerSession | undefined;
  let content: ContentBuffer | undefined;
  let mostHeldBytes = 0;
  let mostUnstoredBytes = 0;
  const observe = (): void => {
    mostHeldBytes = Math.max(mostHeldBytes, budget.usedBytes);
    mostUnstoredBytes = Math.max(mostUnstoredBytes, (session?.counters.bytesIn ?? 0) - bodies.storedBytes);
  };
  const server = createSmtpServer({
    hostname: 'mx.test',
    hooks: {
      data: (which) => {
        session = which;
        const traceHeader = Buffer.from('Received: here\r\n');
        content = new ContentBuffer({ id: 'm', bodies, inlineLimitBytes: 65_536, budget, traceHeader });
        const buffer = content;
        return {
          effect: 'accept',
          sink: {
            write: async (chunk) => {
              const written = buffer.write(chunk);
              observe();
              await written;
              observe();
            },
            abort: () => {
              buffer.abort();
            },
          },
        };
      },
      message: async () => {
        await content?.finish();
        return { effect: 'accept' };
      },
    },
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = connect({ port, host: '127.0.0.1' });
  const replies: string[] = [];
  client.on('data', (bytes) => replies.push(bytes.toString()));
  const told = async (code: string): Promise<void> => {
    while (!replies.join('').includes(`\r\n${code} `)) await once(client, 'data');
  };
  replies.push('\r\n');
  await told('220');
  client.write('EHLO client.test\r\n');
  await told('250');
  client.write('MAIL FROM:<a@client.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n');
  await told('354');
  const line = `${'x'.repeat(76)}\r\n`;
  const block = Buffer.from(line.repeat(840));
  for (let sent = 0; sent < MESSAGE_BYTES; sent += block.length) if (!client.write(block)) await once(client, 'drain');
  client.write('.\r\n');
  while (!replies.join('').includes('250 2.0.0 Accepted')) await once(client, 'data');
  client.destroy();
  await server.close(0);
  expect(content?.receivedBytes).toBeGreaterThanOrEqual(MESSAGE_BYTES);
  expect(mostHeldBytes).toBeLessThan(MAX_HELD_BYTES);
  expect(mostUnstoredBytes).toBeLessThan(MAX_HELD_BYTES);
  // The window of the spool, and what one read brought: far below the bound.
  expect(mostHeldBytes).toBeLessThan(600_000);
  expect(budget.usedBytes).toBe(0);
}, 60_000);
