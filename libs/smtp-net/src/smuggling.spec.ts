/** What a smuggler sends in, octet by octet as the next hop gets it: its lines are content there, too, or nothing comes. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { dial, serve } from '../../../test/support/smtp-fixture.js';
import { answerFor, collectMessages, relayToHost } from './index.js';

const EVIL = 'MAIL FROM:<evil@client.test>\r\nRCPT TO:<c@mx.test>\r\nDATA\r\nevil\r\n';
const nextHops: Server[] = [];

afterEach(() => {
  for (const hop of nextHops.splice(0)) hop.close();
});

/** Keeps every octet; takes CR LF . CR LF for the end, as it should. */
async function nextHop(): Promise<{ readonly port: number; readonly octets: () => string }> {
  let all = '';
  const server = createServer((socket) => {
    let inContent = false;
    let rest = '';
    socket.write('220 hop.test\r\n');
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('data', (text: string) => {
      all += text;
      rest += text;
      for (;;) {
        const end = inContent ? '\r\n.\r\n' : '\r\n';
        const at = rest.indexOf(end);
        if (at < 0) return;
        const line = rest.slice(0, at);
        rest = rest.slice(at + end.length);
        const isData = !inContent && line === 'DATA';
        socket.write(isData ? '354 go\r\n' : '250 ok\r\n');
        inContent = isData;
        if (isData) rest = `\r\n${rest}`;
      }
    });
  });
  nextHops.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, octets: () => all };
}

async function send(octets: string): Promise<{ readonly reply: string; readonly relayed: string }> {
  const hop = await nextHop();
  const relay = { heloName: 'relay.test', host: '127.0.0.1', port: hop.port };
  // Without a session no trace field: the content is compared whole.
  const take = collectMessages(async ({ session: _, ...message }) => answerFor(await relayToHost(message, relay)));
  const peer = dial(await serve(take));
  await peer.begin('rcpt');
  if (octets.startsWith('DATA')) await peer.say('DATA');
  peer.write(octets.replace(/^DATA\r\n/, ''));
  return { reply: await peer.reply(), relayed: hop.octets() };
}

const chunk = (content: string): string => `BDAT ${String(content.length)} LAST\r\n${content}`;
const ENVELOPE = 'EHLO relay.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n';

it.each([
  ['a terminator inside a chunk', chunk(`first\r\n.\r\n${EVIL}`), `first\r\n..\r\n${EVIL}.\r\n`],
  ['a chunk that is a terminator', chunk('.\r\n'), '..\r\n.\r\n'],
  ['a chunk that ends without a line end', chunk(`${EVIL}.`), `${EVIL}..\r\n.\r\n`],
  ['stuffed dots', `DATA\r\n..\r\n...\r\n${EVIL}.\r\n`, `..\r\n...\r\n${EVIL}.\r\n`],
])('%s', async (_name, octets, expected) => {
  const { reply, relayed } = await send(octets);
  expect(reply).toMatch(/^250 /);
  expect(relayed.replace(/QUIT\r\n$/, '')).toBe(ENVELOPE + expected);
});

it.each(['\n.\n', '\n.\r\n', '\r.\r', '\r.\r\n', '\r\n.\n', '\r\n.\r', '\r\n.\r\r\n', '\r\n\0.\r\n', '\r\r\n.\r\r\n'])(
  '%j: the next hop hears nothing',
  async (end) => {
    for (const octets of [`DATA\r\nfirst${end}${EVIL}\r\n.\r\n`, chunk(`first${end}${EVIL}`)]) {
      const { reply, relayed } = await send(octets);
      expect(reply).toMatch(/^550 5\.6\.11 /);
      expect(relayed).toBe('');
    }
  },
);
