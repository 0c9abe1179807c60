import { beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { selfSigned } from '../../../test/support/certificates.js';
import { NO, dial, dialTls, held, keep, serveWith } from '../../../test/support/smtp-fixture.js';
import { eventually, handshake } from '../../../test/support/smtp-peer.js';
import { createServerContext } from './index.js';
import type { ServerSession, SmtpServerHooks, TlsSettings } from './index.js';

const BANNER = '220 mx.test ESMTP';
const HEADER = 'PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n';
const SIGNATURE = '0d0a0d0a000d0a515549540a';

let tls: TlsSettings;
beforeAll(async () => {
  const { certificate, key } = await selfSigned({ names: ['mx.test'] });
  const context = createServerContext({ cert: certificate, key });
  tls = { mode: 'implicit', secureContext: () => context };
});

function watched(): { readonly hooks: SmtpServerHooks; readonly sessions: ServerSession[]; readonly turned: string[] } {
  const sessions: ServerSession[] = [];
  const turned: string[] = [];
  const hooks: SmtpServerHooks = {
    connect: (session) => {
      sessions.push(session);
      return { effect: 'accept' };
    },
    turnedAway: (client, why, listener) => turned.push(`${listener} ${client.address} ${why}`),
  };
  return { hooks, sessions, turned };
}

const yes = (): boolean => true;

describe('a listener behind a balancer', () => {
  it('takes the client from the header, whatever way it is cut', async () => {
    const { hooks, sessions } = watched();
    const listener = await serveWith(hooks, { proxyFrom: yes });
    for (const header of [HEADER, `${HEADER}EHLO early.test\r\n`]) {
      const peer = dial(listener);
      for (const letter of header) {
        peer.write(letter);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await peer.reply()).toBe(BANNER);
    }
    expect(sessions.map(({ client, peer }) => [client, peer.address])).toEqual([
      [{ address: '192.0.2.7', port: 54321 }, '127.0.0.1'],
      [{ address: '192.0.2.7', port: 54321 }, '127.0.0.1'],
    ]);
  });

  it('reads version 2, and takes the balancer for itself at LOCAL', async () => {
    const { hooks, sessions } = watched();
    const listener = await serveWith(hooks, { proxyFrom: yes });
    const local = dial(listener);
    local.write(Buffer.from(`${SIGNATURE}20000000`, 'hex'));
    expect(await local.reply()).toBe(BANNER);
    const other = dial(listener);
    other.write(Buffer.from(`${SIGNATURE}2111000cc0000207c6336401d4310019`, 'hex'));
    expect(await other.reply()).toBe(BANNER);
    expect(sessions.map(({ client }) => client.address)).toEqual(['127.0.0.1', '192.0.2.7']);
  });

  it('cuts everybody else without a word', async () => {
    const { hooks, sessions, turned } = watched();
    const listener = await serveWith(hooks, { name: 'in', proxyFrom: (address) => address === '192.0.2.1' });
    const peer = dial(listener);
    peer.write(HEADER);
    expect(await peer.reply()).toBe('closed');
    expect([sessions, turned]).toEqual([[], ['in 127.0.0.1 not-a-proxy']]);
  });

  it.each([
    ['no header', 'EHLO client.test\r\n'],
    ['a broken one', 'PROXY TCP4 evil\r\n'],
    ['nothing in time', ''],
    ['half of one in time', 'PROXY TCP4 '],
  ])('answers nothing to %s', async (_, sent) => {
    const { hooks, sessions, turned } = watched();
    const listener = await serveWith(hooks, { proxyFrom: yes, limits: { proxyHeaderTimeoutMs: 100 } });
    const peer = dial(listener);
    peer.write(sent);
    expect(await peer.reply()).toBe('closed');
    expect([sessions, turned]).toEqual([[], [' 127.0.0.1 bad-proxy-header']]);
    await eventually(() => listener.server.connections === 0, 'the place is free');
  });

  it('a header that ends with the connection', async () => {
    const { hooks, turned } = watched();
    const listener = await serveWith(hooks, { proxyFrom: yes });
    dial(listener).socket.end('PROXY ');
    await eventually(() => turned.length > 0, 'it was turned away');
    await eventually(() => listener.server.connections === 0, 'the place is free');
  });

  it('a second header is no command', async () => {
    const listener = await serveWith({}, { proxyFrom: yes });
    const peer = dial(listener);
    peer.write(HEADER);
    expect(await peer.reply()).toBe(BANNER);
    peer.write(HEADER);
    expect(await peer.reply()).toMatch(/^(?:500|421|554) /);
  });

  it('a listener without balancers does not know the header', async () => {
    const { hooks, sessions } = watched();
    const listener = await serveWith(hooks, {});
    const peer = dial(listener);
    await peer.reply();
    peer.write(HEADER);
    expect(await peer.reply()).toMatch(/^(?:500|421|554) /);
    expect(sessions[0]?.client.address).toBe('127.0.0.1');
  });

  it('counts the clients, not the balancer', async () => {
    const { hooks, turned } = watched();
    const listener = await serveWith(hooks, { proxyFrom: yes, limits: { maxConnectionsPerAddress: 1 } });
    const greeted = async (address: string): Promise<string> => {
      const peer = dial(listener);
      peer.write(`PROXY TCP4 ${address} 198.51.100.1 54321 25\r\n`);
      return peer.reply();
    };
    expect([await greeted('192.0.2.7'), await greeted('192.0.2.8')]).toEqual([BANNER, BANNER]);
    expect(await greeted('192.0.2.7')).toBe('421 4.7.0 Too many connections');
    expect(turned).toEqual([' 192.0.2.7 too-many-connections']);
  });

  it('the header comes before TLS', async () => {
    const { hooks, sessions } = watched();
    const listener = await serveWith(hooks, { proxyFrom: yes, tls });
    const raw = connect({ port: listener.port, host: '127.0.0.1' });
    raw.write(HEADER);
    const peer = keep(await handshake({ socket: raw }));
    expect(await peer.reply()).toBe(BANNER);
    expect([sessions[0]?.client.address, sessions[0]?.tls?.version]).toEqual(['192.0.2.7', 'TLSv1.3']);
    // Inside TLS it is no header.
    await expect(dialTls(listener)).rejects.toThrow();
  });
});

describe('XCLIENT', () => {
  it('is offered to listed peers only', async () => {
    const listener = await serveWith({}, { xclientFrom: (address) => address !== '127.0.0.1' });
    const peer = dial(listener);
    await peer.reply();
    expect((await peer.say('EHLO client.test'))[0]).not.toContain('XCLIENT');
    expect((await peer.say('XCLIENT ADDR=192.0.2.7'))[0]).toMatch(/^5\d\d /);
  });

  it('makes another client of the session, which is asked for again', async () => {
    const asked: unknown[] = [];
    const session: ServerSession[] = [];
    const listener = await serveWith(
      {
        connect: (which) => {
          session.push(which);
          asked.push([which.client, which.xclient?.name, which.helo]);
          return { effect: 'accept' };
        },
      },
      { xclientFrom: yes },
    );
    const peer = dial(listener);
    await peer.begin('ehlo');
    const port = session[0]?.client.port;
    expect(await peer.say('XCLIENT NAME=mail.client.test ADDR=192.0.2.7 PORT=1234 HELO=client.test LOGIN=ann')).toEqual(
      [BANNER],
    );
    expect(asked).toEqual([
      [{ address: '127.0.0.1', port }, undefined, undefined],
      [{ address: '192.0.2.7', port: 1234 }, 'mail.client.test', 'client.test'],
    ]);
    expect(session[0]?.peer).toEqual({ address: '127.0.0.1', port });
    expect(await peer.say('MAIL FROM:<>')).toEqual(['503 5.5.1 Send EHLO or HELO first']);
    await peer.say('EHLO front.test');
    expect(await peer.say('XCLIENT ADDR=IPV6:2001:DB8::7 NAME=[UNAVAILABLE]')).toEqual([BANNER]);
    expect(session[0]?.local).toEqual({ address: '127.0.0.1', port: listener.port });
    expect([session[0]?.client, session[0]?.xclient]).toEqual([
      { address: '2001:db8::7', port: 0 },
      { helo: 'client.test', login: 'ann' },
    ]);
  });

  it('says where the client connected to', async () => {
    const { hooks, sessions } = watched();
    const listener = await serveWith(hooks, { xclientFrom: yes });
    const peer = dial(listener);
    await peer.begin('ehlo');
    expect(await peer.say('XCLIENT DESTADDR=192.0.2.25 DESTPORT=25')).toEqual([BANNER]);
    expect(sessions[0]?.local).toEqual({ address: '192.0.2.25', port: 25 });
    expect(sessions[0]?.client.address).toBe('127.0.0.1');
  });

  it('a client refused there is refused', async () => {
    const listener = await serveWith(
      { connect: ({ client }) => (client.address === '192.0.2.66' ? NO : { effect: 'accept' }) },
      { xclientFrom: yes },
    );
    const peer = dial(listener);
    await peer.begin('ehlo');
    expect(await peer.say('XCLIENT ADDR=192.0.2.66')).toEqual(['550 5.7.1 No']);
    await peer.closed();
  });

  it.each(['ADDR=client.test', 'ADDR=192.0.2.300', 'ADDR=IPV6:fe80::1%25eth0', 'ADDR=192.0.2.7 PORT=70000'])(
    '%s is refused, and changes nothing',
    async (attributes) => {
      const { hooks, sessions } = watched();
      const listener = await serveWith(hooks, { xclientFrom: yes });
      const peer = dial(listener);
      await peer.begin('ehlo');
      expect((await peer.say(`XCLIENT ${attributes}`))[0]).toMatch(/^501 /);
      expect([sessions.length, sessions[0]?.client.address, sessions[0]?.xclient]).toEqual([1, '127.0.0.1', undefined]);
    },
  );

  it('counts the new client', async () => {
    const listener = await serveWith({}, { xclientFrom: yes, limits: { maxConnectionsPerAddress: 3 } });
    const peers = [dial(listener), dial(listener), dial(listener)];
    for (const peer of peers) await peer.begin('ehlo');
    expect(await dial(listener).reply()).toBe('421 4.7.0 Too many connections');
    for (const peer of peers) expect(await peer.say('XCLIENT ADDR=192.0.2.7')).toEqual([BANNER]);
    const fourth = dial(listener);
    await fourth.begin('ehlo');
    expect(await fourth.say('XCLIENT ADDR=192.0.2.7')).toEqual(['421 4.7.0 Too many connections']);
  });
});

describe('the greeting delay', () => {
  it('lets a client wait, and tells of one that does not', async () => {
    const seen: boolean[] = [];
    const listener = await serveWith(
      { connect: (session) => (seen.push(session.earlyTalker), { effect: 'accept' }) },
      { greetingDelayMs: 150 },
    );
    const startedMs = performance.now();
    const patient = dial(listener);
    expect(await patient.reply()).toBe(BANNER);
    expect(performance.now() - startedMs).toBeGreaterThan(140);
    const early = dial(listener);
    early.write('EHLO early.test\r\n');
    expect(await early.reply()).toBe(BANNER);
    expect(await early.reply()).toMatch(/^250-mx\.test/);
    expect(seen).toEqual([false, true]);
  });

  it('an early talker may be refused', async () => {
    const listener = await serveWith(
      { connect: ({ earlyTalker }) => (earlyTalker ? NO : { effect: 'accept' }) },
      { greetingDelayMs: 50 },
    );
    const early = dial(listener);
    early.write('EHLO early.test\r\nMAIL FROM:<>\r\n');
    expect(await early.reply()).toBe('550 5.7.1 No');
    await early.closed();
  });

  it('ends with the client, and with the listener', async () => {
    const ended: string[] = [];
    const listener = await serveWith({ sessionEnded: (_, why) => ended.push(why) }, { greetingDelayMs: 60_000 });
    const gone = dial(listener);
    await eventually(() => listener.server.connections === 1, 'it is there');
    await gone.destroy();
    await eventually(() => ended.length === 1, 'the session ended');
    const waiting = dial(listener);
    await eventually(() => listener.server.connections === 1, 'it is there');
    await listener.stop(0);
    await waiting.closed();
    expect(ended).toEqual([expect.stringMatching(/^(?:eof|lost)$/), 'shutdown']);
  });

  it('comes after TLS', async () => {
    const listener = await serveWith({}, { tls, greetingDelayMs: 100 });
    const peer = await dialTls(listener);
    const startedMs = performance.now();
    expect(await peer.reply()).toBe(BANNER);
    expect(performance.now() - startedMs).toBeGreaterThan(60);
  });
});

describe('caps', () => {
  it('one network', async () => {
    const { hooks, turned } = watched();
    const limits = { maxConnectionsPerNetwork: 3, maxConnectionsPerAddress: 2 };
    const listener = await serveWith(hooks, { proxyFrom: yes, limits });
    const greeted = async (address: string): Promise<string> => {
      const peer = dial(listener);
      peer.write(`PROXY TCP4 ${address} 198.51.100.1 1 25\r\n`);
      return peer.reply();
    };
    for (const last of [1, 2, 3]) expect(await greeted(`192.0.2.${String(last)}`)).toBe(BANNER);
    expect(await greeted('192.0.2.4')).toBe('421 4.7.0 Too many connections');
    expect(await greeted('192.0.3.4')).toBe(BANNER);
    expect(turned).toEqual([' 192.0.2.4 too-many-connections']);
  });

  it('one listener has its own, the server another', async () => {
    const first = await serveWith({}, { limits: { maxConnections: 1 } });
    const second = await first.server.listen({ host: '127.0.0.1', port: 0 });
    expect(await dial(first).reply()).toBe(BANNER);
    expect(await dial(second).reply()).toBe(BANNER);
    expect(await dial(first).reply()).toBe('421 4.7.0 Too many connections');
    expect(await dial(second).reply()).toBe(BANNER);
    first.server.setLimits({ maxConnections: 3 });
    expect(await dial(second).reply()).toBe('421 4.7.0 Too many connections');
  });

  it('a full listener with implicit TLS says nothing that could not be read', async () => {
    const listener = await serveWith({}, { tls, limits: { maxConnections: 1 } });
    const first = await dialTls(listener);
    await first.reply();
    await expect(dialTls(listener)).rejects.toThrow();
  });
});

describe('settings changed while a listener is open', () => {
  it('apply to sessions that begin from then on', async () => {
    const listener = await serveWith({}, { name: 'old' });
    const before = dial(listener);
    await before.begin('ehlo');
    listener.setOptions({ name: 'new', tls: { ...tls, mode: 'starttls' }, limits: { maxMessageBytes: 1000 } });
    expect((await before.say('EHLO client.test'))[0]).not.toContain('STARTTLS');
    const after = dial(listener);
    await after.reply();
    const [ehlo = ''] = await after.say('EHLO client.test');
    expect([ehlo.includes('STARTTLS'), ehlo.includes('SIZE 1000')]).toEqual([true, true]);
    listener.setOptions({ tls: undefined });
    const last = dial(listener);
    await last.reply();
    expect((await last.say('EHLO client.test'))[0]).not.toContain('STARTTLS');
    expect((await last.say('EHLO client.test'))[0]).toContain('SIZE 1000');
  });

  it('what is not to be offered is neither offered nor taken', async () => {
    const peer = dial(await serveWith({}, { offers: { dsn: false, chunking: false } }));
    await peer.reply();
    const [ehlo = ''] = await peer.say('EHLO client.test');
    expect([ehlo.includes('DSN'), ehlo.includes('CHUNKING'), ehlo.includes('SMTPUTF8')]).toEqual([false, false, true]);
    expect(await peer.say('MAIL FROM:<> RET=FULL')).toEqual([expect.stringMatching(/^555 /)]);
  });

  it('to implicit TLS and back', async () => {
    const listener = await serveWith({}, {});
    listener.setOptions({ tls });
    expect(await (await dialTls(listener)).reply()).toBe(BANNER);
    listener.setOptions({ tls: undefined });
    expect(await dial(listener).reply()).toBe(BANNER);
  });

  it('a hook that waits still ends with the stop of its listener', async () => {
    const gate = held<{ effect: 'accept' }>();
    const listener = await serveWith({ connect: () => gate.promise }, {});
    const peer = dial(listener);
    await eventually(() => listener.server.connections === 1, 'it is there');
    const stopped = listener.stop(20);
    await peer.closed();
    gate.release({ effect: 'accept' });
    await stopped;
  });
});
