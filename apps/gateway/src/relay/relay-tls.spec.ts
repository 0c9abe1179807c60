import { beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RouteTls, SmtpRoute } from '#delivery';
import { CertificateAuthority, selfSigned } from '../../../../test/support/certificates.js';
import type { Credentials } from '../../../../test/support/certificates.js';
import type { ForeignMx, MxScript } from '../../../../test/support/foreign-mx.js';
import { FAST, hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';
import type { StoryRow } from '../../../../test/support/relay-harness.js';
import { waitFor } from '../../../../test/support/wait.js';

const relay = useRelay();
let authority: CertificateAuthority;
let good: Credentials;

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  good = await authority.issue({ addresses: ['127.0.0.1'] });
});

/** A route to one host, with our test authority as the only one it trusts. */
async function routeTo(mx: ForeignMx, tls: RouteTls, more: Partial<SmtpRoute> = {}): Promise<void> {
  await keep('inside', { 'ca.pem': authority.certificate });
  const wanted = { authorities: 'inside', ...tls };
  relay.routes['out'] = hosts([hostAt(mx.port)], { ...FAST, firstMs: 60_000 }, { tls: wanted, ...more });
}

async function keep(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  const directory = join(relay.directory, 'certificates', name);
  await mkdir(directory, { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text);
}

const speaking = (credentials: Credentials, script: MxScript = {}): MxScript => ({
  tls: { server: { cert: credentials.certificate, key: credentials.key } },
  ...script,
});

async function firstRow(): Promise<StoryRow> {
  const message = await relay.accept();
  const [row] = await waitFor('an attempt', async () => {
    const rows = await relay.story(message.id);
    return rows.length > 0 && rows;
  });
  if (row === undefined) throw new Error('no attempt was told');
  return row;
}

describe('TLS to a next hop', () => {
  it('is in the audit of every attempt, with what it proved', async () => {
    const mx = await relay.remote(speaking(good));
    await routeTo(mx, { require: 'verified' });
    const row = await firstRow();
    expect(row.kind).toBe('delivery.succeeded');
    expect(row.data['tls']).toEqual({
      version: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_/),
      verified: true,
      fingerprint: good.fingerprint,
    });
    expect(mx.accepted[0]?.encrypted).toBe(true);
  });

  it('that cannot be verified holds mail back where it must be, and is told where it need not', async () => {
    const mx = await relay.remote(speaking(await selfSigned({ addresses: ['127.0.0.1'] })));
    await routeTo(mx, { require: 'verified' });
    const row = await firstRow();
    expect(row).toMatchObject({
      kind: 'delivery.deferred',
      data: { stage: 'tls', enhanced: '4.7.5', reply: 'TLS is not verified: the certificate is self-signed' },
    });
    expect(mx.transactions).toEqual([]);
    await routeTo(mx, { require: 'encrypted' });
    const taken = await firstRow();
    expect(taken.data['tls']).toMatchObject({ verified: false, why: 'the certificate is self-signed' });
    expect(mx.accepted[0]?.encrypted).toBe(true);
  });

  it('that is not there: no mail below the floor', async () => {
    const mx = await relay.remote();
    for (const require of ['encrypted', 'verified'] as const) {
      await routeTo(mx, { require });
      const row = await firstRow();
      expect(told([row])).toEqual(['delivery.deferred tls']);
      expect(row.data).toMatchObject({ enhanced: '4.7.4', reply: 'the server does not offer STARTTLS' });
    }
    expect(mx.transactions).toEqual([]);
    await routeTo(mx, { require: 'opportunistic' });
    const row = await firstRow();
    expect(row.kind).toBe('delivery.succeeded');
    expect(row.data['tls']).toEqual({ verified: false, why: 'the server does not offer STARTTLS' });
  });

  it('that breaks: opportunistic mail goes on a new connection without, and says why; other mail waits', async () => {
    const mx = await relay.remote({ tls: { server: {}, instead: { kind: 'drop' } } });
    await routeTo(mx, { require: 'encrypted' });
    expect((await firstRow()).data).toMatchObject({
      stage: 'tls',
      reply: 'TLS handshake failed: connection closed by the server',
    });
    await routeTo(mx, { require: 'opportunistic' });
    const row = await firstRow();
    expect(row.kind).toBe('delivery.succeeded');
    expect(row.data['tls']).toEqual({
      verified: false,
      why: 'TLS handshake failed: connection closed by the server',
    });
    expect(mx.accepted.map(({ encrypted }) => encrypted)).toEqual([false]);
    expect(mx.connections).toBe(3);
  });

  it('with octets injected behind the 220: nobody gets the mail, whatever the route allows', async () => {
    const mx = await relay.remote(speaking(good, { at: { starttls: '220 Go\r\n250-evil\r\n250 8BITMIME\r\n' } }));
    for (const require of ['opportunistic', 'verified'] as const) {
      await routeTo(mx, { require });
      const row = await firstRow();
      expect(row.data).toMatchObject({
        stage: 'tls',
        reply: 'the server sent octets between its reply to STARTTLS and TLS',
      });
    }
    expect(mx.transactions).toEqual([]);
  });

  it('from the first octet, and with a certificate of ours', async () => {
    const tls = {
      server: { cert: good.certificate, key: good.key },
      mode: 'implicit',
      requestCertificate: true,
    } as const;
    const mx = await relay.remote({ tls });
    const ours = await authority.issue({ commonName: 'gw.test' });
    await keep('ours', { 'certificate.pem': ours.certificate, 'key.pem': ours.key });
    await routeTo(mx, { require: 'verified', mode: 'implicit', certificate: 'ours' });
    expect((await firstRow()).data['tls']).toMatchObject({ verified: true });
    expect(mx.accepted[0]?.clientName).toBe('gw.test');
  });

  it('that is not set up here holds mail back and names the file', async () => {
    const mx = await relay.remote(speaking(good));
    await routeTo(mx, { require: 'verified', authorities: 'elsewhere' });
    const row = await firstRow();
    expect(row.data).toMatchObject({ stage: 'tls', enhanced: '4.3.5' });
    expect(row.data.reply).toContain('certificates/elsewhere/ca.pem` does not exist');
    expect(mx.connections).toBe(0);
  });
});

describe('signing in at a next hop', () => {
  const AUTH = { extensions: ['PIPELINING', 'AUTH PLAIN LOGIN'] };
  const auth = { secret: 'provider', withoutVerifiedTls: false };

  it('uses the secret that the route names', async () => {
    const mx = await relay.remote(speaking(good, AUTH));
    relay.secrets.set('provider', 'us:pass:word');
    await routeTo(mx, { require: 'verified' }, { auth });
    expect((await firstRow()).kind).toBe('delivery.succeeded');
    expect(mx.commands).toContain(`AUTH PLAIN ${Buffer.from('\0us\0pass:word').toString('base64')}`);
    relay.secrets.set('provider', 'secret');
  });

  it.each<[string, MxScript, string | undefined, Record<string, unknown>]>([
    ['no such secret', AUTH, undefined, { enhanced: '4.3.5', reply: 'secret `provider`: there is no such secret' }],
    [
      'a secret without a name',
      AUTH,
      'word',
      { enhanced: '4.3.5', reply: 'secret `provider` is not of the form `username:password`' },
    ],
    ['AUTH not offered', {}, 'us:word', { enhanced: '4.7.0', reply: 'the server does not offer AUTH' }],
    [
      'a password that is refused',
      { ...AUTH, at: { auth: '535 5.7.8 No\r\n' } },
      'us:word',
      { code: 535, reply: '535 5.7.8 No' },
    ],
  ])('defers with %s', async (_name, script, secret, expected) => {
    const mx = await relay.remote(speaking(good, script));
    relay.secrets.delete('provider');
    if (secret !== undefined) relay.secrets.set('provider', secret);
    await routeTo(mx, { require: 'verified' }, { auth });
    const row = await firstRow();
    expect(row).toMatchObject({ kind: 'delivery.deferred', data: { stage: 'auth', ...expected } });
    expect(mx.transactions).toEqual([]);
  });

  it('is not done where TLS proved nothing', async () => {
    const mx = await relay.remote(speaking(await selfSigned({ addresses: ['127.0.0.1'] }), AUTH));
    relay.secrets.set('provider', 'us:word');
    await routeTo(mx, { require: 'encrypted' }, { auth });
    expect((await firstRow()).data).toMatchObject({ stage: 'auth', enhanced: '4.7.11' });
    expect(mx.commands.filter((line) => line.startsWith('AUTH'))).toEqual([]);
    await routeTo(mx, { require: 'encrypted' }, { auth: { ...auth, withoutVerifiedTls: true } });
    expect((await firstRow()).kind).toBe('delivery.succeeded');
  });
});

describe('LMTP', () => {
  it('has an outcome for each recipient, also after the dot', async () => {
    const mx = await relay.remote({
      at: {
        rcpt: ({ line }) => (line.includes('nobody') ? '550 5.1.1 No\r\n' : undefined),
        content: ({ line }) =>
          line.startsWith('full') ? '452 4.2.2 Full\r\n' : line.startsWith('no') ? '552 5.2.2 Never\r\n' : undefined,
      },
    });
    relay.routes['out'] = hosts([hostAt(mx.port)], { ...FAST, firstMs: 60_000 }, { protocol: 'lmtp' });
    const recipients = ['ann', 'nobody', 'full', 'no', 'bob'].map((name) => `${name}@x.test`);
    const message = await relay.accept({ recipients, rcpt: { notify: ['SUCCESS', 'FAILURE'] } });
    const rows = await waitFor('all outcomes', async () => {
      const story = await relay.story(message.id);
      return story.filter(({ kind }) => kind.startsWith('delivery.')).length === 5 && story;
    });
    const outcomes = rows.filter(({ kind }) => kind.startsWith('delivery.'));
    expect(Object.fromEntries(outcomes.map((row) => [row.recipient, told([row])[0]]))).toEqual({
      'ann@x.test': 'delivery.succeeded content',
      'bob@x.test': 'delivery.succeeded content',
      'full@x.test': 'delivery.deferred content',
      'no@x.test': 'delivery.failed content',
      'nobody@x.test': 'delivery.failed rcpt',
    });
    expect(mx.commands[0]).toBe('LHLO gw.test');
    const notices = await waitFor('two notices', async () => {
      const found = await relay.bounces();
      return found.length === 2 && found;
    });
    expect(notices.filter((text) => text.includes('\r\nAction: delivered\r\n'))).toHaveLength(1);
    expect(notices.filter((text) => text.includes('\r\nAction: failed\r\n'))).toHaveLength(1);
  });
});
