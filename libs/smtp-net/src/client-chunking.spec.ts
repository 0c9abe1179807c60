import { afterEach, describe, expect, it } from '@jest/globals';
import { ForeignMx } from '../../../test/support/foreign-mx.js';
import type { MxScript } from '../../../test/support/foreign-mx.js';
import { collectMessages, connectSmtp, createSmtpServer } from './index.js';
import type { CollectedMessage, SmtpConnection, SmtpMessage } from './index.js';

const OFFERS = ['PIPELINING', '8BITMIME', 'CHUNKING'];
const DOTS = Buffer.from('.'.repeat(70).concat('\r\n').repeat(3000));

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function foreign(script: MxScript): Promise<ForeignMx> {
  const mx = await ForeignMx.listen({ extensions: OFFERS, ...script });
  closers.push(() => mx.close());
  return mx;
}

async function connect(port: number): Promise<SmtpConnection> {
  const timeouts = { contentMs: 300, blockMs: 300 };
  const connection = await connectSmtp({ host: 'mx', address: '127.0.0.1', port, heloName: 'gw.test', timeouts });
  closers.push(() => {
    connection.destroy();
  });
  return connection;
}

async function* pieces(content: Uint8Array, bytes: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.length; at += bytes) yield await Promise.resolve(content.subarray(at, at + bytes));
}

async function send(
  connection: SmtpConnection,
  content: SmtpMessage['content'],
  sizeBytes: number,
  body8bit = false,
): Promise<string[]> {
  const { recipients } = await connection.send({
    sender: 'a@b.test',
    recipients: ['c@d.test'],
    content,
    sizeBytes,
    body8bit,
  });
  return recipients.map((result) =>
    'reply' in result
      ? `${result.stage} ${String(result.reply.code)}`
      : `${result.stage} ${result.fault.reason} ${result.fault.message}`,
  );
}

describe('content by BDAT', () => {
  it('arrives octet for octet, unstuffed, in one chunk: from memory, streamed, 8-bit; small plain mail goes by DATA', async () => {
    const mx = await foreign({});
    const connection = await connect(mx.port);
    const umlauts = Buffer.from('Subject: ä\r\n\r\n.ö\r\n');
    const results = await Promise.all([
      send(connection, DOTS, DOTS.length),
      send(connection, pieces(DOTS, 9973), DOTS.length),
      send(connection, umlauts, umlauts.length, true),
      send(connection, Buffer.from('.\r\n'), 3),
    ]);
    expect(results.flat()).toEqual(Array<string>(4).fill('content 250'));
    expect(mx.accepted.map(({ content, chunked }) => [content.length, chunked])).toEqual([
      [DOTS.length, true],
      [DOTS.length, true],
      [umlauts.length, true],
      [3, undefined],
    ]);
    expect(mx.accepted[1]?.content.equals(DOTS)).toBe(true);
    expect(mx.commands.filter((line) => /^(BDAT|DATA)/.test(line))).toEqual([
      `BDAT ${String(DOTS.length)} LAST`,
      `BDAT ${String(DOTS.length)} LAST`,
      `BDAT ${String(umlauts.length)} LAST`,
      'DATA',
    ]);
  });

  it('is taken by our own server, many behind each other', async () => {
    const taken: CollectedMessage[] = [];
    const hooks = collectMessages((message) => {
      taken.push(message);
      return { effect: 'accept' };
    });
    const server = createSmtpServer({ hostname: 'mx.test', hooks });
    closers.push(() => server.close(0));
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const connection = await connect(port);
    expect(connection.extensions.chunking).toBe(true);
    const results = await Promise.all(
      Array.from({ length: 10 }, () => send(connection, pieces(DOTS, 5000), DOTS.length)),
    );
    expect(results.flat()).toEqual(Array<string>(10).fill('content 250'));
    expect(taken.every(({ content }) => Buffer.from(content).equals(DOTS))).toBe(true);
  });

  it.each([
    ['longer than its size', pieces(DOTS, 5000), DOTS.length - 1],
    ['shorter than its size', pieces(DOTS, 5000), DOTS.length + 1],
    ['with a bare LF at the end', pieces(Buffer.concat([DOTS, Buffer.from('\n')]), 5000), DOTS.length + 1],
    ['with a bare CR at the end', pieces(Buffer.concat([DOTS, Buffer.from('\r')]), 5000), DOTS.length + 1],
  ])('%s is never whole: the next hop has no message', async (_what, content, sizeBytes) => {
    const mx = await foreign({});
    expect(await send(await connect(mx.port), content, sizeBytes)).toEqual([
      expect.stringMatching(/^content content message content /),
    ]);
    expect(mx.transactions).toEqual([]);
  });

  it('that nobody reads is given up, and a refusal is told', async () => {
    const refusing = await foreign({ at: { content: '552 5.3.4 Too much\r\n' } });
    expect(await send(await connect(refusing.port), DOTS, DOTS.length)).toEqual(['content 552']);
    const nobody = await foreign({ at: { rcpt: '550 5.1.1 No\r\n' } });
    const connection = await connect(nobody.port);
    expect(await send(connection, DOTS, DOTS.length)).toEqual(['rcpt 550']);
    expect(nobody.commands.some((line) => line.startsWith('BDAT'))).toBe(false);
    const silent = await foreign({ at: { content: { kind: 'hang' } } });
    expect(await send(await connect(silent.port), DOTS, DOTS.length)).toEqual([
      'content timeout no reply in time, waited for content',
    ]);
  });
});
