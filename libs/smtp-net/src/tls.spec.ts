import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { CertificateAuthority, selfSigned } from '../../../test/support/certificates.js';
import type { Credentials } from '../../../test/support/certificates.js';
import { dial, dialTls, keep, serveWith } from '../../../test/support/smtp-fixture.js';
import { SmtpPeer, eventually } from '../../../test/support/smtp-peer.js';
import { createServerContext } from './index.js';
import type { ServerSession, SmtpServerHooks, TlsSettings } from './index.js';

let authority: CertificateAuthority;
let mx: Credentials;
let other: Credentials;
let settings: TlsSettings;

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  mx = await authority.issue({ names: ['mx.test'] });
  other = await authority.issue({ names: ['other.test'] });
  const contexts = new Map([mx, other].map((one) => [one, contextOf(one)]));
  settings = {
    mode: 'starttls',
    secureContext: (name) => contexts.get(name === 'other.test' ? other : mx) ?? contextOf(mx),
  };
});

function contextOf({ certificate, key }: Credentials): ReturnType<typeof createServerContext> {
  return createServerContext({ cert: certificate, key, ca: authority.certificate });
}

/** What a session was at its last `mail`. */
function observed(): { readonly hooks: SmtpServerHooks; readonly seen: ServerSession[]; readonly ended: string[] } {
  const seen: ServerSession[] = [];
  const ended: string[] = [];
  const hooks: SmtpServerHooks = {
    connect: (session) => {
      seen.push(session);
      return { effect: 'accept' };
    },
    message: () => {
      ended.push('message');
      return { effect: 'accept' };
    },
    transactionEnded: (_, why) => ended.push(why),
    sessionEnded: (_, reason) => ended.push(`session ${reason}`),
  };
  return { hooks, seen, ended };
}

describe('STARTTLS', () => {
  it('is offered, and a message comes through it', async () => {
    const { hooks, seen, ended } = observed();
    const listener = await serveWith(hooks, { tls: settings });
    const plain = dial(listener);
    await plain.reply();
    expect((await plain.say('EHLO client.test'))[0]).toContain('250-STARTTLS');
    expect(seen[0]?.tls).toBeUndefined();
    const peer = keep(await plain.startTls({ servername: 'mx.test' }));
    expect(await peer.say('MAIL FROM:<>')).toEqual(['503 5.5.1 Send EHLO or HELO first']);
    expect(seen[0]?.helo).toBeUndefined();
    const [ehlo = ''] = await peer.say('EHLO client.test');
    expect(ehlo).not.toContain('STARTTLS');
    await peer.say('MAIL FROM:<a@client.test>', 'RCPT TO:<b@mx.test>');
    await peer.say('DATA');
    expect(await peer.say('Subject: x\r\n\r\ntext\r\n.')).toEqual(['250 2.0.0 Accepted']);
    expect(seen[0]?.tls).toMatchObject({ version: 'TLSv1.3', serverName: 'mx.test' });
    expect(await peer.say('STARTTLS')).toEqual(['503 5.5.1 TLS is active already']);
    expect(await peer.say('QUIT')).toEqual(['221 2.0.0 Goodbye']);
    await peer.closed();
    expect(ended).toEqual(['message', 'session quit']);
    await eventually(() => listener.server.connections === 0, 'the place is free');
  });

  it('asks for the certificate at each handshake, by the name that the client gives', async () => {
    const asked: (string | undefined)[] = [];
    const secureContext: TlsSettings['secureContext'] = (name) => {
      asked.push(name);
      return settings.secureContext(name);
    };
    const listener = await serveWith({}, { tls: { mode: 'implicit', secureContext } });
    const shown = async (servername?: string): Promise<unknown> => {
      const peer = keep(await dialTls(listener, servername === undefined ? {} : { servername }));
      return peer.socket.getPeerCertificate().subject.CN;
    };
    expect([await shown('other.test'), await shown('unknown.test'), await shown()]).toEqual([
      'other.test',
      'mx.test',
      'mx.test',
    ]);
    expect(new Set(asked)).toEqual(new Set(['other.test', 'unknown.test', undefined]));
  });

  it('a renewed certificate applies to the next handshake; sessions under way notice nothing', async () => {
    let current = contextOf(mx);
    const listener = await serveWith({}, { tls: { mode: 'implicit', secureContext: () => current } });
    const before = keep(await dialTls(listener));
    await before.begin('ehlo');
    const renewed = await authority.issue({ names: ['mx.test'] });
    current = contextOf(renewed);
    const after = keep(await dialTls(listener));
    const fingerprint = after.socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
    expect(fingerprint).toBe(renewed.fingerprint);
    expect(await before.say('NOOP')).toEqual(['250 2.0.0 OK']);
  });

  it('commands sent along with STARTTLS end the session before TLS begins', async () => {
    const { hooks, ended } = observed();
    const listener = await serveWith(hooks, { tls: settings });
    const peer = dial(listener);
    await peer.begin('ehlo');
    peer.write('STARTTLS\r\nMAIL FROM:<evil@client.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n');
    expect(await peer.reply()).toBe('554 5.5.0 Wait for the reply before you go on');
    await peer.closed();
    expect(ended).toEqual(['session protocol-error']);
  });

  it('commands sent in the clear behind STARTTLS are never carried out', async () => {
    const { hooks, ended } = observed();
    const mails: unknown[] = [];
    const listener = await serveWith({ ...hooks, mail: (_, path) => { mails.push(path); return { effect: 'accept' }; } }, { tls: settings }); // prettier-ignore
    const peer = dial(listener);
    await peer.begin('ehlo');
    expect(await peer.say('STARTTLS')).toEqual(['220 2.0.0 Ready to start TLS']);
    peer.write('EHLO evil.test\r\nMAIL FROM:<evil@client.test>\r\n');
    expect(await peer.reply()).toBe('closed');
    await eventually(() => ended.length > 0, 'the session ended');
    expect([mails, ended]).toEqual([[], ['session lost']]);
  });

  it('is 502 where no certificate is', async () => {
    const peer = dial(await serveWith({}, {}));
    await peer.begin('ehlo');
    expect(await peer.say('STARTTLS')).toEqual(['502 5.5.1 Command not implemented']);
  });

  it('required: no mail before it', async () => {
    const listener = await serveWith({}, { tls: { ...settings, required: true } });
    const plain = dial(listener);
    await plain.begin('ehlo');
    expect(await plain.say('MAIL FROM:<>')).toEqual(['530 5.7.0 Must issue a STARTTLS command first']);
    const peer = keep(await plain.startTls());
    await peer.say('EHLO client.test');
    expect(await peer.say('MAIL FROM:<>')).toEqual(['250 2.1.0 Sender OK']);
  });

  it('a certificate that cannot be had ends that handshake only', async () => {
    const bugs: unknown[] = [];
    const secureContext = (): never => {
      throw new Error('file gone');
    };
    const { hooks, ended } = observed();
    const listener = await serveWith(hooks, { tls: { mode: 'starttls', secureContext } }, (error) => bugs.push(error));
    const peer = dial(listener);
    await peer.begin('ehlo');
    await expect(peer.startTls()).rejects.toThrow();
    await eventually(() => ended.length > 0, 'the session ended');
    expect([bugs, ended]).toEqual([[new Error('file gone')], ['session lost']]);
    expect(await dial(listener).reply()).toBe('220 mx.test ESMTP');
    await eventually(() => listener.server.connections === 1, 'the place is free');
  });
});

describe('implicit TLS', () => {
  it('greets through TLS, and says nothing in the clear', async () => {
    const { hooks, seen } = observed();
    const listener = await serveWith(hooks, { name: 'smtps', tls: { ...settings, mode: 'implicit' } });
    const peer = await dialTls(listener, { servername: 'MX.test', maxVersion: 'TLSv1.2' });
    expect(await peer.reply()).toBe('220 mx.test ESMTP');
    expect((await peer.say('EHLO client.test'))[0]).not.toContain('STARTTLS');
    expect([seen[0]?.listener, seen[0]?.tls]).toEqual([
      'smtps',
      { version: 'TLSv1.2', cipher: expect.stringMatching(/GCM|POLY1305/) as unknown, serverName: 'mx.test' },
    ]);
    const plain = dial(listener);
    plain.write('EHLO client.test\r\n');
    expect(await plain.reply()).toBe('closed');
  });

  it.each(['TLSv1.1', 'TLSv1'] as const)('refuses %s', async (version) => {
    const turned: string[] = [];
    const listener = await serveWith(
      { turnedAway: (_, why) => turned.push(why) },
      { tls: { ...settings, mode: 'implicit' } },
    );
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
    await expect(dialTls(listener, old)).rejects.toThrow();
    await eventually(() => listener.server.connections === 0, 'the place is free');
    expect(turned).toEqual(['tls-failed']);
  });
});

describe('client certificates', () => {
  const facts = async (
    clientCertificates: 'none' | 'request',
    shown?: Credentials,
    version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3',
  ): Promise<unknown> => {
    const { hooks, seen } = observed();
    const listener = await serveWith(hooks, { tls: { ...settings, mode: 'implicit', clientCertificates } });
    const peer = await dialTls(listener, {
      maxVersion: version,
      ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.key }),
    });
    await peer.reply();
    await peer.destroy();
    return seen[0]?.tls?.clientCertificate;
  };

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('one that our authority signed is authorized (%s)', async (version) => {
    const client = await authority.issue({ commonName: 'Ann', names: ['Client.test'], emails: ['ann@client.test'] });
    expect(await facts('request', client, version)).toEqual({
      commonName: 'Ann',
      names: ['client.test', 'ann@client.test'],
      fingerprint: client.fingerprint,
      authorized: true,
    });
  });

  it('a stranger’s is told, not authorized', async () => {
    const strange = await (await CertificateAuthority.create()).issue({ commonName: 'Ann' });
    expect(await facts('request', strange)).toMatchObject({ fingerprint: strange.fingerprint, authorized: false });
    const own = await selfSigned({ commonName: 'Ann' });
    expect(await facts('request', own)).toMatchObject({ fingerprint: own.fingerprint, authorized: false });
  });

  it('one that has expired is not authorized', async () => {
    const expired = await authority.issue({ commonName: 'Ann', notAfter: new Date(Date.now() - 1000) });
    expect(await facts('request', expired)).toMatchObject({ commonName: 'Ann', authorized: false });
  });

  it('none is demanded, and none is looked at unless asked for', async () => {
    expect(await facts('request')).toBeUndefined();
    expect(await facts('none', await authority.issue({ commonName: 'Ann' }))).toBeUndefined();
  });

  it('a client that comes again with its old session is asked again', async () => {
    const client = await authority.issue({ commonName: 'Ann' });
    const { hooks, seen } = observed();
    const listener = await serveWith(hooks, {
      tls: { ...settings, mode: 'implicit', clientCertificates: 'request' },
    });
    const sessions: Buffer[] = [];
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (let round = 0; round < 2; round += 1) {
        const session = sessions.pop();
        const peer = await dialTls(listener, {
          maxVersion: version,
          cert: client.certificate,
          key: client.key,
          ...(session === undefined ? {} : { session }),
        });
        peer.socket.on('session', (next: Buffer) => sessions.push(next));
        await peer.reply();
        await peer.say('QUIT');
        await peer.destroy();
      }
      sessions.length = 0;
    }
    expect(seen.map((session) => session.tls?.clientCertificate?.authorized)).toEqual([true, true, true, true]);
  });
});

describe('when TLS ends, the session ends', () => {
  /** Ends TLS in the middle of something, then speaks in the clear on the same connection. */
  async function downgrade(upTo: 'data' | 'bdat'): Promise<{ readonly ended: string[]; readonly answer: string }> {
    const { hooks, ended } = observed();
    const listener = await serveWith(hooks, { tls: settings });
    const plain = dial(listener);
    await plain.begin('ehlo');
    const raw = plain.socket;
    const peer = keep(await plain.startTls());
    await peer.say('EHLO client.test');
    await peer.say('MAIL FROM:<a@client.test>', 'RCPT TO:<b@mx.test>');
    if (upTo === 'data') await peer.say('DATA');
    else peer.write('BDAT 4000\r\n');
    peer.write('half a message\r\n');
    // close_notify, and no FIN: the connection below stays open.
    raw.end = () => raw;
    raw.destroySoon = () => raw;
    peer.socket.end();
    let answer = '';
    raw.removeAllListeners('data');
    await eventually(() => ended.length > 0 || raw.closed, 'the session ended');
    raw.on('data', (bytes: Buffer) => (answer += bytes.toString('latin1')));
    if (!raw.destroyed) raw.write('the other half\r\n.\r\nMAIL FROM:<evil@client.test>\r\n');
    await eventually(() => listener.server.connections === 0 || raw.closed, 'the connection is gone');
    return { ended, answer };
  }

  it.each(['data', 'bdat'] as const)('in the middle of %s: the rest in the clear is not accepted', async (upTo) => {
    const { ended, answer } = await downgrade(upTo);
    expect(ended[0]).toBe('lost');
    expect(ended).not.toContain('message');
    expect(answer).not.toMatch(/^\d{3} /m);
  });

  it('renegotiation is refused', async () => {
    const { hooks, ended } = observed();
    const listener = await serveWith(hooks, { tls: { ...settings, mode: 'implicit' } });
    const peer = await dialTls(listener, { maxVersion: 'TLSv1.2' });
    await peer.begin('ehlo');
    const refused = await new Promise<boolean>((resolve) => {
      peer.socket.once('error', () => { resolve(true); }); // prettier-ignore
      peer.socket.once('close', () => { resolve(true); }); // prettier-ignore
      const begun = peer.socket.renegotiate({ rejectUnauthorized: false }, (error) => { resolve(error !== null); }); // prettier-ignore
      if (begun === false) resolve(true);
    });
    expect(refused).toBe(true);
    expect(ended.filter((end) => end === 'message')).toEqual([]);
  });
});

describe('handshakes', () => {
  it('one that stalls is ended in time', async () => {
    const turned: string[] = [];
    const listener = await serveWith(
      { turnedAway: (_, why) => turned.push(why) },
      { tls: { ...settings, mode: 'implicit' }, limits: { handshakeTimeoutMs: 100 } },
    );
    const peer = dial(listener);
    await peer.closed();
    const half = dial(listener);
    half.socket.end(Buffer.from('16030100', 'hex'));
    await half.closed();
    await eventually(() => listener.server.connections === 0, 'the places are free');
    expect(turned).toEqual(['tls-failed', 'tls-failed']);
  });

  it.each(['starttls', 'implicit'] as const)(
    'a client that leaves in the middle is not waited for (%s)',
    async (mode) => {
      const listener = await serveWith({}, { tls: { ...settings, mode }, limits: { handshakeTimeoutMs: 60_000 } });
      const peer = dial(listener);
      if (mode === 'starttls') {
        await peer.begin('ehlo');
        await peer.say('STARTTLS');
      }
      peer.socket.end(Buffer.from('16030100', 'hex'));
      await peer.closed();
      await eventually(() => listener.server.connections === 0, 'the place is free');
    },
  );

  it('too many at a time: the oldest makes room', async () => {
    const listener = await serveWith({}, { tls: { ...settings, mode: 'implicit' }, limits: { maxHandshakes: 2 } });
    const stalled = [dial(listener), dial(listener)];
    await eventually(() => listener.server.connections === 2, 'both are there');
    const peer = await dialTls(listener);
    expect(await peer.reply()).toBe('220 mx.test ESMTP');
    await stalled[0]?.closed();
    expect(listener.server.connections).toBe(2);
  });

  it('do not keep a listener from stopping', async () => {
    const listener = await serveWith({}, { tls: settings });
    const peer = dial(listener);
    await peer.begin('ehlo');
    await peer.say('STARTTLS');
    await listener.stop(50);
    await peer.closed();
  });

  it('a client that reads nothing under TLS is not written to for ever', async () => {
    const reply = { code: 550, enhanced: '5.1.1', lines: ['x'.repeat(480)] };
    const { hooks, seen } = observed();
    const listener = await serveWith(
      { ...hooks, rcpt: () => ({ effect: 'refuse', reply }) },
      { tls: { ...settings, mode: 'implicit' }, limits: { commandTimeoutMs: 400 } },
    );
    const socket = connectTls({
      socket: connect({ port: listener.port, host: '127.0.0.1' }),
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    const peer = keep(new SmtpPeer(socket));
    await peer.begin('ehlo');
    socket.pause();
    socket.write(`MAIL FROM:<>\r\n${'RCPT TO:<a@b>\r\n'.repeat(200_000)}`);
    await eventually(() => seen[0]?.counters.transactions === 1, 'the flood began');
    await eventually(() => listener.server.connections === 0, 'the client was left');
    expect(seen[0]?.counters.bytesIn).toBeLessThan(2_500_000);
  });
});
