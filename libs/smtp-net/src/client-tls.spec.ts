import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CertificateAuthority, selfSigned } from '../../../test/support/certificates.js';
import type { Credentials } from '../../../test/support/certificates.js';
import { ForeignMx } from '../../../test/support/foreign-mx.js';
import type { MxScript, MxTls } from '../../../test/support/foreign-mx.js';
import { connectSmtp, SmtpConnectFault, tlsContext } from './index.js';
import type { SmtpConnection, SmtpConnectOptions, SmtpTlsOptions } from './index.js';

const CONTENT = Buffer.from('Subject: hi\r\n\r\nbody\r\n');
const NAME = 'mx.foreign.test';
const SHORT = { connectMs: 2000, bannerMs: 300, ehloMs: 300, tlsMs: 300, authMs: 300, mailMs: 300, contentMs: 500 };

let authority: CertificateAuthority;
let good: Credentials;
const open: ForeignMx[] = [];
const connections: SmtpConnection[] = [];

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  good = await authority.issue({ names: [NAME] });
});

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  for (const mx of open.splice(0)) await mx.close();
});

const serving = (credentials: Credentials, more: Partial<MxTls> = {}): MxTls => ({
  server: { cert: credentials.certificate, key: credentials.key },
  ...more,
});

function trusting(require: SmtpTlsOptions['require'], more: Partial<SmtpTlsOptions> = {}): SmtpTlsOptions {
  const context = tlsContext({ authorities: authority.certificate });
  return { mode: 'starttls', require, serverName: NAME, context, ...more };
}

async function foreign(script: MxScript): Promise<ForeignMx> {
  const mx = await ForeignMx.listen(script);
  open.push(mx);
  return mx;
}

async function connect(mx: ForeignMx, options: Partial<SmtpConnectOptions>): Promise<SmtpConnection> {
  const base = { host: NAME, address: '127.0.0.1', port: mx.port, heloName: 'gw.test', timeouts: SHORT };
  const connection = await connectSmtp({ ...base, ...options });
  connections.push(connection);
  return connection;
}

async function deliver(connection: SmtpConnection, recipients = ['b@there.test']): Promise<string[]> {
  const message = { sender: 'a@here.test', recipients, content: CONTENT, sizeBytes: CONTENT.length, body8bit: false };
  const result = await connection.send(message);
  return result.recipients.map((told) =>
    'reply' in told ? `${told.stage} ${String(told.reply.code)}` : `${told.stage} ${told.fault.message}`,
  );
}

/** `stage: message` of the fault, with the reply when there was one. */
async function failure(mx: ForeignMx, options: Partial<SmtpConnectOptions>): Promise<string> {
  const fault = await connect(mx, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(fault instanceof SmtpConnectFault)) return 'no failure';
  return `${fault.stage}: ${fault.reply === undefined ? fault.message : String(fault.reply.code)}`;
}

describe('STARTTLS', () => {
  it('verified: the session begins anew inside, and what TLS proved is told', async () => {
    const mx = await foreign({ tls: serving(good) });
    const connection = await connect(mx, { tls: trusting('verified') });
    expect(connection.tls).toEqual({
      version: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_/),
      verified: true,
      fingerprint: good.fingerprint,
    });
    expect(connection.extensions.startTls).toBe(false);
    expect(await deliver(connection)).toEqual(['content 250']);
    expect(await deliver(connection)).toEqual(['content 250']);
    expect(mx.commands.slice(0, 4)).toEqual([
      'EHLO gw.test',
      'STARTTLS',
      'EHLO gw.test',
      'MAIL FROM:<a@here.test> SIZE=21',
    ]);
    expect(mx.accepted.map(({ encrypted, content }) => [encrypted, content.equals(CONTENT)])).toEqual([
      [true, true],
      [true, true],
    ]);
  });

  it.each<[string, () => Promise<Credentials>, string]>([
    ['for another name', () => authority.issue({ names: ['other.test'] }), `the certificate is not for ${NAME}`],
    [
      'that has expired',
      () => authority.issue({ names: [NAME], notBefore: new Date(1e12), notAfter: new Date(1.1e12) }),
      'the certificate has expired',
    ],
    [
      'of an unknown authority',
      async () => (await CertificateAuthority.create('Somebody')).issue({ names: [NAME] }),
      'the certificate is signed by an authority that is not trusted',
    ],
    ['that is self-signed', () => selfSigned({ names: [NAME] }), 'the certificate is self-signed'],
  ])('with a certificate %s: refused where verified is asked, told otherwise', async (_name, make, why) => {
    const mx = await foreign({ tls: serving(await make()) });
    expect(await failure(mx, { tls: trusting('verified') })).toBe(`tls: TLS is not verified: ${why}`);
    expect(mx.commands).toEqual(['EHLO gw.test', 'STARTTLS']);
    for (const require of ['encrypted', 'opportunistic'] as const) {
      const connection = await connect(mx, { tls: trusting(require) });
      expect(connection.tls).toMatchObject({ verified: false, why });
      expect(await deliver(connection)).toEqual(['content 250']);
    }
  });

  it('an address is checked as an address', async () => {
    const mx = await foreign({ tls: serving(await authority.issue({ addresses: ['127.0.0.1'] })) });
    const connection = await connect(mx, { tls: trusting('verified', { serverName: '127.0.0.1' }) });
    expect(connection.tls?.verified).toBe(true);
  });

  it('that is not offered: plaintext only where that was allowed, and why is told', async () => {
    const mx = await foreign({});
    for (const require of ['encrypted', 'verified'] as const) {
      expect(await failure(mx, { tls: trusting(require) })).toBe('tls: the server does not offer STARTTLS');
    }
    const connection = await connect(mx, { tls: trusting('opportunistic') });
    expect([connection.tls, connection.plaintextBecause]).toEqual([undefined, 'the server does not offer STARTTLS']);
    expect(await deliver(connection)).toEqual(['content 250']);
  });

  it('that is refused likewise', async () => {
    const mx = await foreign({ tls: serving(good), at: { starttls: '454 4.7.0 Not now\r\n' } });
    expect(await failure(mx, { tls: trusting('encrypted') })).toBe('tls: 454');
    const connection = await connect(mx, { tls: trusting('opportunistic') });
    expect(connection.plaintextBecause).toBe('the server refused STARTTLS with 454');
    expect(await deliver(connection)).toEqual(['content 250']);
  });

  it('is not needed by a server that only knows HELO, unless TLS is', async () => {
    const mx = await foreign({ at: { ehlo: '500 5.5.1 What\r\n' } });
    expect(await failure(mx, { tls: trusting('encrypted') })).toBe('tls: the server does not offer STARTTLS');
    expect((await connect(mx, { tls: trusting('opportunistic') })).tls).toBeUndefined();
  });

  const injected = 'tls: the server sent octets between its reply to STARTTLS and TLS';
  it.each<[string, MxScript, string]>([
    ['octets behind the 220', { at: { starttls: '220 2.0.0 Go\r\n250-evil\r\n250 AUTH PLAIN\r\n' } }, injected],
    ['half a line behind the 220', { at: { starttls: '220 2.0.0 Go\r\n25' } }, injected],
    ['a 250 instead of 220', { at: { starttls: '250 2.0.0 Go\r\n' } }, 'tls: unexpected reply 250'],
    ['no TLS after 220', { tls: { server: {}, instead: '220 mx.foreign.test ESMTP\r\n' } }, 'tls: '],
    ['silence after 220', { tls: { server: {}, instead: { kind: 'hang' } } }, 'tls: TLS handshake timed out'],
    [
      'disconnect after 220',
      { tls: { server: {}, instead: { kind: 'drop' } } },
      'tls: TLS handshake failed: connection closed by the server',
    ],
    ['an old version only', { tls: { server: { maxVersion: 'TLSv1.1' } } }, 'tls: TLS handshake failed: '],
    ['no answer to STARTTLS', { at: { starttls: { kind: 'hang' } } }, 'tls: no reply in time, waited for starttls'],
    ['disconnect at STARTTLS', { at: { starttls: { kind: 'drop' } } }, 'tls: connection'],
    [
      'a refusal inside TLS',
      { at: { ehlo: ({ encrypted }) => (encrypted ? '421 4.3.2 Bye\r\n' : undefined) } },
      'ehlo: 421',
    ],
  ])('%s: no session, whatever is required', async (_name, script, expected) => {
    const server = {
      cert: good.certificate,
      key: good.key,
      minVersion: 'TLSv1' as const,
      ciphers: 'DEFAULT@SECLEVEL=0',
    };
    const tls = { ...script.tls, server: { ...server, ...script.tls?.server } };
    const mx = await foreign({ ...script, tls });
    for (const require of ['opportunistic', 'verified'] as const) {
      expect(await failure(mx, { tls: trusting(require) })).toContain(expected);
    }
    expect(mx.transactions).toEqual([]);
  });

  it('that ends in the middle of a session ends the session', async () => {
    const mx = await foreign({ tls: serving(good), at: { mail: { kind: 'drop' } } });
    const connection = await connect(mx, { tls: trusting('verified') });
    expect(await deliver(connection)).toEqual([expect.stringMatching(/^mail connection (closed|reset)/)]);
    expect(connection.usable).toBe(false);
  });
});

describe('implicit TLS', () => {
  it('speaks TLS from the first octet, and never anything else', async () => {
    const mx = await foreign({ tls: serving(good, { mode: 'implicit' }) });
    const connection = await connect(mx, { tls: trusting('verified', { mode: 'implicit' }) });
    expect(connection.tls?.verified).toBe(true);
    expect(await deliver(connection)).toEqual(['content 250']);
    expect(mx.commands[0]).toBe('EHLO gw.test');
    const plain = await foreign({});
    expect(await failure(plain, { tls: trusting('encrypted', { mode: 'implicit' }) })).toMatch(/^tls: TLS handshake/);
    expect(plain.commands).toEqual([]);
  });
});

describe('a client certificate', () => {
  it('is shown to a server that asks', async () => {
    const mx = await foreign({ tls: serving(good, { requestCertificate: true }) });
    const { certificate, key } = await authority.issue({ commonName: 'gateway' });
    const context = tlsContext({ authorities: authority.certificate, certificate: { chain: certificate, key } });
    const connection = await connect(mx, { tls: trusting('verified', { context }) });
    await deliver(connection);
    expect(mx.accepted[0]?.clientName).toBe('gateway');
  });
});

describe('a connection given up at any moment of its handshake', () => {
  it.each(['starttls', 'implicit'] as const)('harms nobody (%s)', async (mode) => {
    const mx = await foreign({ tls: serving(good, { mode }) });
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, async (_, at) => {
        const giveUp = new AbortController();
        const options = { signal: giveUp.signal, tls: trusting('encrypted', { mode }) };
        const attempt = failure(mx, options);
        for (let turns = 0; turns < at; turns += 1) await new Promise(setImmediate);
        giveUp.abort();
        return attempt;
      }),
    );
    expect(outcomes).toHaveLength(30);
    // The process is there to tell: Node 20 crashes when a socket and the TLS over it are destroyed wrongly.
    expect(await failure(mx, { tls: trusting('encrypted', { mode }) })).toBe('no failure');
  });
});
