import { describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { NO, dial, held, serve } from '../../../test/support/smtp-fixture.js';
import { eventually } from '../../../test/support/smtp-peer.js';
import type { ContentSink, ServerSession, SmtpServerHooks } from './index.js';

const DISCARD: ContentSink = { write: () => undefined, abort: () => undefined };

describe('a session over a socket', () => {
  it('hands envelope and content to the hooks and tells their answers', async () => {
    const seen: unknown[] = [];
    const content: Buffer[] = [];
    const listener = await serve({
      connect: (session) => { seen.push(session.client.address); return { effect: 'accept' }; }, // prettier-ignore
      helo: (_, verb, domain) => { seen.push([verb, domain]); return { effect: 'accept' }; }, // prettier-ignore
      mail: (_, path, params) => { seen.push([path, params]); return { effect: 'accept' }; }, // prettier-ignore
      rcpt: (_, path) => (path.kind === 'postmaster' ? NO : { effect: 'accept' }),
      data: () => ({
        effect: 'accept',
        sink: { write: (chunk) => { content.push(Buffer.from(chunk)); }, abort: () => undefined }, // prettier-ignore
      }),
      message: (session, { sizeBytes }) => {
        seen.push(session.helo, session.protocol, sizeBytes);
        return { effect: 'accept', reply: { code: 250, enhanced: '2.0.0', lines: ['Accepted id1'] } };
      },
    });
    const peer = dial(listener);
    expect(await peer.reply()).toBe('220 mx.test ESMTP');
    await peer.say('EHLO client.test');
    const envelope = ['MAIL FROM:<> SIZE=99', 'RCPT TO:<postmaster>', 'RCPT TO:<b@mx.test>', 'DATA'] as const;
    expect(await peer.say(...envelope)).toEqual([
      '250 2.1.0 Sender OK',
      '550 5.7.1 No',
      '250 2.1.5 Recipient OK',
      '354 End data with <CR><LF>.<CR><LF>',
    ]);
    peer.write('..x\r\n.\r\n');
    expect(await peer.reply()).toBe('250 2.0.0 Accepted id1');
    expect(Buffer.concat(content).toString()).toBe('.x\r\n');
    expect(seen).toEqual([
      '127.0.0.1',
      ['EHLO', 'client.test'],
      [{ kind: 'null' }, { sizeBytes: 99 }],
      'client.test',
      'ESMTP',
      4,
    ]);
  });

  it('sends the replies of one chunk in one write', async () => {
    const listener = await serve({});
    const peer = dial(listener);
    await peer.begin('ehlo');
    const chunks: string[] = [];
    peer.socket.on('data', (bytes) => chunks.push(bytes.toString()));
    await peer.say(
      'MAIL FROM:<>',
      ...Array.from({ length: 50 }, (_, at) => `RCPT TO:<u${String(at)}@mx.test>`),
      'DATA',
    );
    expect(chunks).toHaveLength(1);
  });

  it('spends no microtask on synchronous answers', async () => {
    let microtasks = 0;
    const seenAt: number[] = [];
    const listener = await serve({
      mail: () => {
        queueMicrotask(() => (microtasks += 1));
        return { effect: 'accept' };
      },
      rcpt: () => {
        seenAt.push(microtasks);
        return { effect: 'accept' };
      },
    });
    const peer = dial(listener);
    await peer.begin('ehlo');
    await peer.say('MAIL FROM:<>', 'RCPT TO:<b@mx.test>', 'RCPT TO:<c@mx.test>');
    expect(seenAt).toEqual([0, 0]);
  });

  it('keeps order when answers come late', async () => {
    const listener = await serve({
      mail: () => Promise.resolve({ effect: 'accept' }),
      rcpt: (_, path) =>
        new Promise((resolve) => setTimeout(() => { resolve(path.kind === 'postmaster' ? NO : { effect: 'accept' }); }, 3)), // prettier-ignore
    });
    const peer = dial(listener);
    await peer.begin('ehlo');
    expect(await peer.say('MAIL FROM:<>', 'RCPT TO:<postmaster>', 'RCPT TO:<b@mx.test>', 'NOOP')).toEqual([
      '250 2.1.0 Sender OK',
      '550 5.7.1 No',
      '250 2.1.5 Recipient OK',
      '250 2.0.0 OK',
    ]);
  });

  it('answers what was sent before the client closed its side', async () => {
    const listener = await serve({ message: () => Promise.resolve({ effect: 'accept' }) });
    const peer = dial(listener);
    await peer.begin('data');
    peer.socket.end('text\r\n.\r\n');
    expect(await peer.reply()).toBe('250 2.0.0 Accepted');
    await peer.closed();
  });

  it('throws out a client that speaks before the greeting', async () => {
    const gate = held<{ effect: 'accept' }>();
    let session: ServerSession | undefined;
    const connect: SmtpServerHooks['connect'] = (which) => {
      session = which;
      return gate.promise;
    };
    const listener = await serve({ connect });
    const peer = dial(listener);
    peer.write('EHLO client.test\r\n');
    await eventually(() => session?.counters.bytesIn === 18, 'it was heard');
    gate.release({ effect: 'accept' });
    expect(await peer.reply()).toBe('554 5.5.0 You spoke before the greeting');
    await peer.closed();
  });
});

describe('bugs of the hooks', () => {
  it.each([
    ['throws', { mail: () => { throw new Error('boom'); } }, 'MAIL FROM:<>'], // prettier-ignore
    ['rejects', { mail: () => Promise.reject(new Error('boom')) }, 'MAIL FROM:<>'],
    ['contradicts itself', { helo: () => ({ ...NO, effect: 'accept' as const }) }, 'EHLO again.test'],
  ] satisfies [string, SmtpServerHooks, string][])('a hook that %s costs its command only', async (_, hooks, line) => {
    const bugs: unknown[] = [];
    let armed = false;
    const faulty: SmtpServerHooks = hooks;
    const listener = await serve(
      {
        helo: (...args) => (armed ? faulty.helo?.(...args) : undefined) ?? { effect: 'accept' },
        mail: (...args) => (armed ? faulty.mail?.(...args) : undefined) ?? { effect: 'accept' },
        traceOf: () => 'TRACE0',
      },
      {},
      (error) => bugs.push(error),
    );
    // Outside of a transaction the owner of the hooks says what it is to be found by.
    const [broken, other] = [dial(listener), dial(listener)];
    await broken.begin('ehlo');
    await other.begin('ehlo');
    armed = true;
    expect(await broken.say(line)).toEqual(['451 4.3.0 Temporary system problem, try again later [TRACE0]']);
    armed = false;
    for (const peer of [broken, other]) expect(await peer.say('MAIL FROM:<>')).toEqual(['250 2.1.0 Sender OK']);
    expect(bugs).toHaveLength(1);
  });

  it('a sink that throws costs its message, and is told to let go; what follows is content still', async () => {
    const ended: string[] = [];
    let aborted = 0;
    let messages = 0;
    const sinks = [
      { write: () => Promise.reject(new Error('disk gone')), abort: () => (aborted += 1) },
      { write: () => undefined, abort: () => undefined },
    ];
    const listener = await serve(
      {
        mail: () => ({ effect: 'accept', trace: 'TRACE1' }),
        data: () => ({ effect: 'accept', sink: sinks.shift() ?? { write: () => undefined, abort: () => undefined } }),
        message: () => ((messages += 1), { effect: 'accept' }),
        transactionEnded: (_, why, reply) => ended.push(`${why} ${String(reply?.code)}`),
      },
      {},
      () => undefined,
    );
    const peer = dial(listener);
    await peer.begin('data');
    peer.write('text\r\n');
    peer.write('RSET\r\n.\r\n');
    expect(await peer.reply()).toBe('451 4.3.0 Temporary system problem, try again later [TRACE1]');
    expect([ended, aborted, messages]).toEqual([['fault 451'], 1, 0]);
    await peer.say('MAIL FROM:<a@client.test>', 'RCPT TO:<b@mx.test>');
    await peer.say('DATA');
    expect(await peer.say('text\r\n.')).toEqual([expect.stringMatching(/^250 /)]);
    expect(messages).toBe(1);
  });

  it('a message whose hook throws is refused for now, with its trace; the transaction is told of', async () => {
    const ended: string[] = [];
    const listener = await serve(
      {
        mail: () => ({ effect: 'accept', trace: 'TRACE2' }),
        message: () => {
          throw new Error('boom');
        },
        transactionEnded: (_, why, reply) => ended.push(`${why} ${String(reply?.lines[0])}`),
      },
      {},
      () => undefined,
    );
    const peer = dial(listener);
    await peer.begin('data');
    expect(await peer.say('text\r\n.')).toEqual(['451 4.3.0 Temporary system problem, try again later [TRACE2]']);
    expect(ended).toEqual(['fault Temporary system problem, try again later [TRACE2]']);
    expect(await peer.say('NOOP')).toEqual(['250 2.0.0 OK']);
  });

  it('a `connect` that throws is no banner: 421, and the end', async () => {
    const listener = await serve({ connect: () => Promise.reject(new Error('boom')) }, {}, () => undefined);
    const peer = dial(listener);
    expect(await peer.reply()).toBe('421 4.3.0 Internal error');
    await peer.closed();
  });
});

describe('the end of sessions and transactions', () => {
  it('a client that vanishes in content: the sink aborts, the transaction is lost, the session ends last', async () => {
    const told: string[] = [];
    const listener = await serve({
      data: () => ({ effect: 'accept', sink: { write: () => undefined, abort: () => told.push('abort') } }),
      transactionEnded: (_, why) => told.push(why),
      sessionEnded: (_, reason) => told.push(`session ${reason}`),
    });
    const peer = dial(listener);
    await peer.begin('data');
    peer.write('half');
    peer.socket.resetAndDestroy();
    await eventually(() => told.length === 3, 'three endings');
    expect(told.slice(0, 2)).toEqual(['abort', 'lost']);
    expect(told[2]).toMatch(/^session (?:lost|eof)$/);
  });

  it('a hook still pending when the client vanishes is waited for before the session ends', async () => {
    const gate = held<{ effect: 'accept' }>();
    const told: string[] = [];
    let asked = false;
    const listener = await serve({
      message: () => {
        asked = true;
        return gate.promise;
      },
      transactionEnded: (_, why) => told.push(why),
      sessionEnded: () => told.push('session'),
    });
    const peer = dial(listener);
    await peer.begin('data');
    peer.write('text\r\n.\r\n');
    await eventually(() => asked, 'the message was asked for');
    peer.socket.resetAndDestroy();
    await eventually(() => listener.server.connections === 0, 'the socket is gone');
    expect(told).toEqual([]);
    gate.release({ effect: 'accept' });
    await eventually(() => told.length > 0, 'the session ended');
    expect(told).toEqual(['session']);
  });

  it('a sink given to a session that is closed already is let go', async () => {
    const gate = held<{ effect: 'accept'; sink: ContentSink }>();
    let session: ServerSession | undefined;
    let aborted = 0;
    const listener = await serve({
      data: (which) => {
        session = which;
        return gate.promise;
      },
    });
    const peer = dial(listener);
    await peer.begin('rcpt');
    peer.write('DATA\r\n');
    await eventually(() => session !== undefined, 'data was asked');
    session?.close();
    gate.release({ effect: 'accept', sink: { ...DISCARD, abort: () => (aborted += 1) } });
    expect(await peer.reply()).toBe('421 4.3.2 Shutting down');
    expect(aborted).toBe(1);
  });
});

describe('a message whose end is never asked for', () => {
  it('a sink that fails on the last octets: `message` is not asked', async () => {
    let asked = 0;
    const ended: string[] = [];
    const listener = await serve(
      {
        data: () => ({ effect: 'accept', sink: { ...DISCARD, write: () => Promise.reject(new Error('disk gone')) } }),
        message: () => {
          asked += 1;
          return { effect: 'accept' };
        },
        transactionEnded: (_, why) => ended.push(why),
      },
      {},
      () => undefined,
    );
    const peer = dial(listener);
    await peer.begin('data');
    peer.write('text\r\n.\r\n');
    expect(await peer.reply()).toBe('451 4.3.0 Temporary system problem, try again later');
    expect([asked, ended]).toEqual([0, ['fault']]);
  });

  it('a session closed while its sink still writes', async () => {
    const gate = held<undefined>();
    let session: ServerSession | undefined;
    let asked = 0;
    let arrived = false;
    const told: string[] = [];
    const listener = await serve({
      data: (which) => {
        session = which;
        const write = (): Promise<undefined> => {
          arrived = true;
          return gate.promise;
        };
        return { effect: 'accept', sink: { write, abort: () => told.push('abort') } };
      },
      message: () => {
        asked += 1;
        return { effect: 'accept' };
      },
      transactionEnded: (_, reason) => told.push(reason),
      sessionEnded: () => told.push('session'),
    });
    const peer = dial(listener);
    await peer.begin('data');
    peer.write('text\r\n.\r\n');
    await eventually(() => arrived, 'content arrived');
    session?.close();
    gate.release(undefined);
    await eventually(() => told.includes('session'), 'the session ended');
    expect([asked, told]).toEqual([0, ['abort', 'closed', 'session']]);
  });
});

describe('back-pressure', () => {
  it('reads no further while the sink asks for patience', async () => {
    const gate = held<undefined>();
    let received = 0;
    let session: ServerSession | undefined;
    const listener = await serve({
      data: (which) => {
        session = which;
        const write = (chunk: Uint8Array): Promise<void> => {
          received += chunk.length;
          return gate.promise;
        };
        return { effect: 'accept', sink: { write, abort: () => undefined } };
      },
    });
    const peer = dial(listener);
    await peer.begin('data');
    const line = `${'x'.repeat(998)}\r\n`;
    peer.write(`${line.repeat(20_000)}.\r\n`);
    await eventually(() => received > 0, 'content arrived');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(session?.counters.bytesIn).toBeLessThan(300_000);
    gate.release(undefined);
    expect(await peer.reply()).toBe('250 2.0.0 Accepted');
    expect(received).toBe(20_000 * 1000);
  });

  it('reads no further from a client that does not read its replies, and leaves it in time', async () => {
    const reply = { code: 550, enhanced: '5.1.1', lines: ['x'.repeat(480)] };
    let session: ServerSession | undefined;
    const listener = await serve(
      {
        connect: (which) => {
          session = which;
          return { effect: 'accept' };
        },
        rcpt: () => ({ effect: 'refuse', reply }),
      },
      { commandTimeoutMs: 300 },
    );
    const socket = connect({ port: listener.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.pause();
      socket.write('EHLO x\r\n');
      setTimeout(() => socket.write(`MAIL FROM:<>\r\n${'RCPT TO:<a@b>\r\n'.repeat(400_000)}`), 50);
    });
    await eventually(() => session?.counters.transactions === 1, 'the flood began');
    await eventually(() => listener.server.connections === 0, 'the client was left');
    expect(session?.counters.bytesIn).toBeLessThan(2_000_000);
    socket.destroy();
  });
});
