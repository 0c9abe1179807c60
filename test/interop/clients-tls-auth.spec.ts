/**
 * Clients nobody here wrote send to a small smtp-net server: in the clear, with STARTTLS and with implicit TLS, without
 * and with each mechanism of AUTH they know. They check the certificate; what arrives is compared octet by octet.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { collectMessages, createServerContext, createSmtpServer } from '#smtp-net';
import type { AuthSettings, ScramCredentials, SmtpListener, SmtpServer, TlsSettings } from '#smtp-net';
import { CertificateAuthority } from '../support/certificates.js';
import type { Credentials } from '../support/certificates.js';
import { available, availableAsRoot, describeIf } from '../support/foreign-programs.js';
import { startPostfix } from '../support/postfix.js';
import { curl, msmtp, nodeMailer, sClient, smtplib, swaks } from '../support/secure-senders.js';
import type { SecureMail, SecureSender, TlsMode } from '../support/secure-senders.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const ANN = { username: 'ann', password: 'correct horse' };
const MECHANISMS = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'];
const CONTENT = Buffer.from('Subject: hello\r\n\r\n.a dot\r\n..two\r\nlast\r\n');
const MODES: readonly TlsMode[] = ['none', 'starttls', 'implicit'];

interface Arrived {
  readonly sender: string;
  readonly content: string;
  readonly tls: string | undefined;
  readonly serverName: string | undefined;
  readonly certificate: string | undefined;
  readonly auth: string | undefined;
  readonly protocol: string;
}

const workspace = new Workspace('secure');
const arrived: Arrived[] = [];
let server: SmtpServer;
let listeners: Readonly<Record<TlsMode, SmtpListener>>;
let authorityFile: string;
let authority: CertificateAuthority;

function scramOf(password: string): ScramCredentials {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest();
  return { salt, iterations: 4096, storedKey, serverKey: createHmac('sha256', salted).update('Server Key').digest() };
}

function serverOf(): SmtpServer {
  const stored = scramOf(ANN.password);
  return createSmtpServer({
    hostname: 'localhost',
    hooks: collectMessages(
      ({ sender, content, session }) => {
        arrived.push({
          sender,
          content: content.toString('latin1'),
          tls: session.tls?.version,
          serverName: session.tls?.serverName,
          certificate: session.tls?.clientCertificate?.commonName,
          auth: session.auth?.mechanism,
          protocol: session.protocol,
        });
      },
      {
        authenticate: (_, { username, password }) =>
          username === ANN.username && password === ANN.password ? { effect: 'accept' } : { effect: 'refuse' },
        scramCredentials: (_, username) => (username === ANN.username ? stored : undefined),
      },
    ),
  });
}

async function listen({ certificate, key }: Credentials): Promise<Readonly<Record<TlsMode, SmtpListener>>> {
  const context = createServerContext({ cert: certificate, key, ca: authority.certificate });
  const tls = { secureContext: () => context, clientCertificates: 'request' } satisfies Partial<TlsSettings>;
  const auth: AuthSettings = { mechanisms: MECHANISMS };
  const where = { host: '127.0.0.1', port: 0 };
  return {
    none: await server.listen({ ...where, auth: { ...auth, withoutTls: true } }),
    starttls: await server.listen({ ...where, auth, tls: { ...tls, mode: 'starttls', required: true } }),
    implicit: await server.listen({ ...where, auth, tls: { ...tls, mode: 'implicit' } }),
  };
}

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  authorityFile = workspace.path('authority.pem');
  writeFileSync(authorityFile, authority.certificate);
  server = serverOf();
  workspace.use({ stop: () => server.close(1_000) });
  listeners = await listen(await authority.issue({ names: ['localhost'] }));
});
afterAll(() => workspace.close());

let count = 0;

function mailFor(client: string, tls: TlsMode, mechanism?: string): SecureMail {
  count += 1;
  return {
    port: listeners[tls].port,
    sender: `${client}-${String(count)}@client.test`,
    recipient: 'bob@localhost',
    content: CONTENT,
    tls,
    authority: authorityFile,
    ...(mechanism === undefined ? {} : { auth: { mechanism, ...ANN } }),
  };
}

function arrivalOf({ sender }: SecureMail): Arrived {
  const found = arrived.find((one) => one.sender === sender);
  if (found === undefined) throw new Error(`nothing came from ${sender}`);
  return found;
}

function expectArrival(mail: SecureMail): void {
  expect(arrivalOf(mail)).toEqual({
    sender: mail.sender,
    content: CONTENT.toString('latin1'),
    tls: mail.tls === 'none' ? undefined : expect.stringMatching(/^TLSv1\.[23]$/),
    serverName: mail.tls === 'none' || mail.sender.startsWith('swaks') ? undefined : 'localhost',
    certificate: undefined,
    auth: mail.auth?.mechanism,
    protocol: 'ESMTP',
  });
}

function itSends(client: string, send: SecureSender, mechanisms: readonly string[]): void {
  for (const tls of MODES) {
    test.each([undefined, ...mechanisms])(`TLS ${tls}, AUTH %s`, async (mechanism) => {
      const mail = mailFor(client, tls, mechanism);
      await send(mail);
      expectArrival(mail);
    });
  }

  test.each(mechanisms)('a wrong password is refused: %s', async (mechanism) => {
    const mail = mailFor(client, 'starttls', mechanism);
    await expect(send({ ...mail, auth: { mechanism, username: 'ann', password: 'wrong' } })).rejects.toThrow(
      /535|Login denied/,
    );
    expect(arrived.some(({ sender }) => sender === mail.sender)).toBe(false);
  });

  test('a certificate of a stranger is not sent to', async () => {
    const stranger = workspace.path(`stranger-${client}.pem`);
    writeFileSync(stranger, (await CertificateAuthority.create('Stranger')).certificate);
    const mail = { ...mailFor(client, 'implicit'), authority: stranger };
    await expect(send(mail)).rejects.toThrow();
    expect(arrived.some(({ sender }) => sender === mail.sender)).toBe(false);
  });
}

describeIf(available('swaks', 'perl-tls'), 'swaks', () => {
  itSends('swaks', swaks, ['PLAIN', 'LOGIN']);
});
describeIf(available('msmtp'), 'msmtp', () => {
  itSends('msmtp', msmtp, ['PLAIN', 'LOGIN', 'SCRAM-SHA-256']);
});
describeIf(available('curl'), 'curl', () => {
  itSends('curl', curl, ['PLAIN', 'LOGIN']);
});
describe('nodemailer', () => {
  itSends('nodemailer', nodeMailer, ['PLAIN', 'LOGIN']);
});
describeIf(available('python3'), 'smtplib of Python', () => {
  itSends('smtplib', smtplib, ['PLAIN', 'LOGIN']);
});

describeIf(available('openssl'), 's_client of OpenSSL', () => {
  test.each(['starttls', 'implicit'] as const)('TLS %s', async (tls) => {
    for (const mechanism of [undefined, 'PLAIN']) {
      const mail = mailFor('openssl', tls, mechanism);
      await sClient(mail);
      expectArrival(mail);
    }
  });

  test.each([
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ])('%s', async (option, version) => {
    const mail = mailFor('openssl', 'implicit');
    await sClient(mail, [option]);
    expect(arrivalOf(mail).tls).toBe(version);
  });

  test.each(['-tls1_1', '-tls1'])('%s is refused', async (option) => {
    const mail = mailFor('openssl', 'implicit');
    await expect(sClient(mail, [option, '-cipher', 'DEFAULT:@SECLEVEL=0'])).rejects.toThrow(/alert|protocol/);
  });

  test('a client certificate is told', async () => {
    const { certificate, key } = await authority.issue({ commonName: 'relay.client.test' });
    const file = workspace.path('client.pem');
    writeFileSync(file, certificate + key);
    const mail = mailFor('openssl', 'starttls');
    await sClient(mail, ['-cert', file, '-key', file]);
    expect(arrivalOf(mail).certificate).toBe('relay.client.test');
  });
});

describeIf(availableAsRoot('postfix', 'sasl-scram'), 'Postfix as a client', () => {
  const WAYS: readonly [TlsMode, string | undefined, Readonly<Record<string, string>>][] = [
    ['none', undefined, { smtp_tls_security_level: 'none' }],
    ['starttls', 'SCRAM-SHA-256', { smtp_tls_security_level: 'encrypt' }],
    ['starttls', 'PLAIN', { smtp_tls_security_level: 'secure', smtp_tls_secure_cert_match: 'nexthop' }],
    ['implicit', 'LOGIN', { smtp_tls_security_level: 'encrypt', smtp_tls_wrappermode: 'yes' }],
  ];

  test.each(WAYS)(
    'TLS %s, AUTH %s',
    async (tls, mechanism, settings) => {
      const mail = mailFor('postfix', tls, mechanism);
      const postfix = workspace.use(
        await startPostfix({
          folder: workspace.path(`pf${String(count)}`),
          relayHost: `[localhost]:${String(mail.port)}`,
          settings: {
            smtp_tls_CAfile: authorityFile,
            smtp_sasl_auth_enable: mechanism === undefined ? 'no' : 'yes',
            smtp_sasl_password_maps: `inline:{ { [localhost]:${String(mail.port)} = ${ANN.username}:${ANN.password} } }`,
            smtp_sasl_security_options: 'noanonymous',
            smtp_sasl_mechanism_filter: (mechanism ?? 'plain').toLowerCase(),
            ...settings,
          },
        }),
      );
      await postfix.sendmail(mail.sender, [mail.recipient], Buffer.from('Subject: hello\n\n.a dot\n'));
      const one = await waitFor('the message', () => arrived.find(({ sender }) => sender === mail.sender), {
        deadlineMs: 20_000,
      }).catch((error: unknown) => {
        throw new Error(postfix.log(), { cause: error });
      });
      expect([one.tls !== undefined, one.auth]).toEqual([tls !== 'none', mechanism]);
      expect(one.content).toMatch(/\r\n\r\n\.a dot\r\n$/);
    },
    60_000,
  );
});
