import { describe, expect, it } from '@jest/globals';
import { dial, held, serve } from '../../../test/support/smtp-fixture.js';
import { eventually } from '../../../test/support/smtp-peer.js';

describe('deadlines', () => {
  it('a silent client', async () => {
    const listener = await serve({}, { commandTimeoutMs: 500 });
    const peer = dial(listener);
    await peer.begin('rcpt');
    expect(await peer.reply()).toBe('421 4.4.2 Timeout');
    await peer.closed();
  });

  it('a command that drips in is judged from its first octet', async () => {
    const listener = await serve({}, { commandTimeoutMs: 60_000, lineTimeoutMs: 150 });
    const peer = dial(listener);
    await peer.begin('ehlo');
    const drip = setInterval(() => { peer.write('x'); }, 10); // prettier-ignore
    expect(await peer.reply()).toBe('421 4.4.2 Timeout');
    clearInterval(drip);
  });

  it('content that drips in falls below the minimum rate', async () => {
    const listener = await serve(
      {},
      { contentTimeoutMs: 60_000, contentGraceMs: 150, minContentBytesPerSecond: 10_000 },
    );
    const peer = dial(listener);
    await peer.begin('data');
    const drip = setInterval(() => { peer.write('x\r\n'); }, 10); // prettier-ignore
    expect(await peer.reply()).toBe('421 4.4.2 Timeout');
    clearInterval(drip);
  });

  it('a session that is too old, between transactions', async () => {
    const listener = await serve({}, { sessionTimeoutMs: 150 });
    const peer = dial(listener);
    await peer.begin('ehlo');
    const chat = setInterval(() => { peer.write('NOOP\r\n'); }, 10); // prettier-ignore
    let reply = '';
    while (!reply.startsWith('421')) reply = await peer.reply();
    clearInterval(chat);
    expect(reply).toBe('421 4.4.2 Timeout');
  });

  it('our own slowness is not the client’s', async () => {
    const gate = held<{ effect: 'accept' }>();
    const listener = await serve({ message: () => gate.promise }, { commandTimeoutMs: 600, contentTimeoutMs: 600 });
    const peer = dial(listener);
    await peer.begin('data');
    peer.write('text\r\n.\r\n');
    await new Promise((resolve) => setTimeout(resolve, 900));
    gate.release({ effect: 'accept' });
    expect(await peer.reply()).toBe('250 2.0.0 Accepted');
  });
});

describe('connections', () => {
  it('over the cap of one address get 421 at once', async () => {
    const listener = await serve({}, { maxConnectionsPerAddress: 2 });
    const [first, second, third] = [dial(listener), dial(listener), dial(listener)];
    expect(await first.reply()).toBe('220 mx.test ESMTP');
    expect(await second.reply()).toBe('220 mx.test ESMTP');
    expect(await third.reply()).toBe('421 4.7.0 Too many connections');
    await third.closed();
    await first.say('QUIT');
    await first.closed();
    await eventually(() => listener.server.connections === 1, 'the place is free');
    expect(await dial(listener).reply()).toBe('220 mx.test ESMTP');
  });

  it('over the cap of the listener get 421 at once', async () => {
    const listener = await serve({}, { maxConnections: 1 });
    const first = dial(listener);
    expect(await first.reply()).toBe('220 mx.test ESMTP');
    expect(await dial(listener).reply()).toBe('421 4.7.0 Too many connections');
  });

  it('2000 idle ones, and a new client is greeted', async () => {
    const listener = await serve({}, { maxConnectionsPerAddress: 5000 });
    const idle = Array.from({ length: 2000 }, () => dial(listener));
    for (const peer of idle) expect(await peer.reply()).toBe('220 mx.test ESMTP');
    expect(await dial(listener).reply()).toBe('220 mx.test ESMTP');
    expect(listener.server.connections).toBe(2001);
  });

  it('a port that is taken is told to the caller', async () => {
    const listener = await serve({});
    const again = listener.server.listen({ host: '127.0.0.1', port: listener.port });
    await expect(again).rejects.toThrow('EADDRINUSE');
  });
});

describe('stopping', () => {
  it('tells idle clients, lets a transaction end, takes no new ones', async () => {
    const listener = await serve({});
    const [idle, busy] = [dial(listener), dial(listener)];
    await idle.begin('ehlo');
    await busy.begin('data');
    const stopped = listener.stop(5_000);
    expect(await idle.reply()).toBe('421 4.3.2 Shutting down');
    await idle.closed();
    expect(await dial(listener).reply()).toBe('closed');
    busy.write('text\r\n.\r\n');
    expect(await busy.reply()).toBe('250 2.0.0 Accepted');
    expect(await busy.reply()).toBe('421 4.3.2 Shutting down');
    await busy.closed();
    await Promise.all([idle, busy].map((peer) => peer.destroy()));
    await stopped;
  });

  it('cuts what does not end in time', async () => {
    const ended: string[] = [];
    const listener = await serve({ transactionEnded: (_, why) => ended.push(why) });
    const peer = dial(listener);
    await peer.begin('data');
    await listener.stop(50);
    expect(ended).toEqual(['closed']);
    expect(await peer.reply()).toBe('421 4.3.2 Shutting down');
  });

  it('stops one listener and leaves the other', async () => {
    const first = await serve({});
    const second = await first.server.listen({ host: '127.0.0.1', port: 0 });
    const peer = dial(second);
    await peer.begin('ehlo');
    await first.stop(0);
    expect(await peer.say('NOOP')).toEqual(['250 2.0.0 OK']);
    expect(await dial(second).reply()).toBe('220 mx.test ESMTP');
  });
});
