/**
 * Submission as it is meant: TLS first, then a name and a password, then mail from one's own addresses and no other.
 * Real clients against the running gateway; what they did is in the audit.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CertificateAuthority, selfSigned, type Credentials } from '../support/certificates.js';
import { auditEvents } from '../support/audit-events.js';
import { available, describeIf } from '../support/foreign-programs.js';
import { readMaildir } from '../support/maildir.js';
import { RunningPostern } from '../support/running-postern.js';
import { curl, msmtp, nodeMailer, smtplib, swaks } from '../support/secure-senders.js';
import type { SecureMail, SecureSender, TlsMode } from '../support/secure-senders.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const PASSWORD = 'correct horse battery';
const CONTENT = Buffer.from('Subject: submitted\r\n\r\nbody\r\n');

const workspace = new Workspace('submission');
let postern: RunningPostern;
let authority: CertificateAuthority;
let partners: CertificateAuthority;
let partner: Credentials;
let stranger: Credentials;
let known: Credentials;
let authorityFile: string;

function policy(): PolicyDocument {
  const base = testPolicy();
  const local = { address: '127.0.0.1', port: 0, exposure: 'internet' };
  return {
    ...base,
    listeners: {
      ...(base['listeners'] as object),
      mx: { ...local, tls: { mode: 'starttls' } },
      submit: { ...local, tls: { mode: 'starttls', certificate: 'submit', required: true }, auth: 'required' },
      submits: { ...local, tls: { mode: 'implicit', certificate: 'submit' }, auth: 'required' },
      partners: { ...local, tls: { mode: 'starttls', certificate: 'partners', 'client-certificates': 'request' } },
    },
    clients: [
      ...(base['clients'] as object[]),
      {
        name: 'people',
        match: { auth: 'any', listener: ['submit', 'submits'] },
        relay: 'anywhere',
        senders: 'own-identities',
      },
      {
        name: 'partner',
        match: { 'cert.name': ['gateway.partner.test'], listener: 'partners' },
        relay: 'anywhere',
        senders: 'partner.test',
      },
      {
        name: 'printed',
        match: { 'cert.fingerprint': [known.fingerprint], 'cert.name': 'none', listener: 'partners' },
        relay: 'anywhere',
        senders: 'known.test',
      },
    ],
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
  };
}

function putCertificate(name: string, { certificate, key }: Credentials, clientAuthority?: string): void {
  const folder = workspace.makeFolder(`certificates/${name}`);
  writeFileSync(`${folder}/certificate.pem`, certificate);
  writeFileSync(`${folder}/key.pem`, key, { mode: 0o600 });
  if (clientAuthority !== undefined) writeFileSync(`${folder}/client-ca.pem`, clientAuthority);
}

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  partners = await CertificateAuthority.create('Partners');
  authorityFile = workspace.path('authority.pem');
  writeFileSync(authorityFile, authority.certificate);
  partner = await partners.issue({ names: ['gateway.partner.test'] });
  stranger = await selfSigned({ names: ['gateway.partner.test'] });
  known = await selfSigned({ names: ['somewhere.test'] });
  mkdirSync(workspace.path('certificates'));
  putCertificate('submit', await authority.issue({ names: ['localhost'] }));
  putCertificate('partners', await authority.issue({ names: ['partners.test'] }), partners.certificate);
  const env = { GATEWAY_CERTIFICATE_DIR: workspace.path('certificates') };
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policy(), env }));
  const account = { name: 'ann', password: PASSWORD, identities: ['ann@capture.test', '*@team.test'] };
  await postern.api.expectOk('POST', '/v1/accounts', { body: JSON.stringify(account) });
}, 180_000);
afterAll(() => workspace.close(), 60_000);

function mailOf(tls: TlsMode, mechanism: string, sender = 'ann@capture.test', password = PASSWORD): SecureMail {
  return {
    port: postern.port(tls === 'implicit' ? 'submits' : 'submit'),
    sender,
    recipient: 'bob@elsewhere.test',
    content: CONTENT,
    tls,
    authority: authorityFile,
    auth: { mechanism, username: 'Ann', password },
  };
}

async function newest(directory: string, count: number): Promise<string> {
  const messages = await waitFor(`message ${String(count)}`, () => {
    const found = readMaildir(postern.maildir(directory));
    return found.length >= count ? found : undefined;
  });
  return messages.map((message) => message.toString('latin1')).join('\n');
}

/** Over STARTTLS, without AUTH. */
async function secureDialog(listener: string, tls = {}): Promise<SmtpDialog> {
  const dialog = await SmtpDialog.start({ port: postern.port(listener) });
  await dialog.startTls(tls);
  return dialog;
}

function plain(username: string, password: string): string {
  return Buffer.from(`\0${username}\0${password}`).toString('base64');
}

const CLIENTS: readonly (readonly [string, SecureSender, readonly string[]])[] = [
  ['msmtp', msmtp, ['PLAIN', 'LOGIN', 'SCRAM-SHA-256']],
  ['swaks', swaks, ['PLAIN', 'LOGIN']],
  ['curl', curl, ['PLAIN', 'LOGIN']],
  ['nodemailer', nodeMailer, ['PLAIN', 'LOGIN']],
  ['smtplib', smtplib, ['PLAIN', 'LOGIN']],
];
let sent = 0;

describeIf(available('msmtp', 'swaks', 'curl', 'python3', 'perl-tls'), 'clients sign in and send', () => {
  for (const [client, send, mechanisms] of CLIENTS) {
    for (const tls of ['starttls', 'implicit'] as const) {
      test.each(mechanisms)(`${client}, ${tls}, %s`, async (mechanism) => {
        await send(mailOf(tls, mechanism));
        sent += 1;
        expect(await newest('elsewhere', sent)).toMatch(/with ESMTPSA \(TLSv1\.[23]/);
      });
    }
  }

  test.each(['PLAIN', 'SCRAM-SHA-256'])('a wrong password gets nobody in: %s', async (mechanism) => {
    await expect(msmtp(mailOf('starttls', mechanism, 'ann@capture.test', 'wrong'))).rejects.toThrow(
      /535|authentication failed/i,
    );
  });

  test('nobody sends as somebody else', async () => {
    await expect(msmtp(mailOf('starttls', 'PLAIN', 'boss@capture.test'))).rejects.toThrow(/Sender address not allowed/);
    await msmtp(mailOf('starttls', 'SCRAM-SHA-256', 'anybody@team.test'));
    sent += 1;
    await newest('elsewhere', sent);
  });
});

describe('what a listener demands', () => {
  test('TLS, then AUTH; a password is not even offered before TLS', async () => {
    const dialog = await SmtpDialog.open({ port: postern.port('submit') });
    await dialog.expect(220);
    const greeting = await dialog.command('EHLO dialog.test', 250);
    expect(greeting.text).toContain('STARTTLS');
    expect(greeting.text).not.toContain('AUTH');
    const early = await dialog.command('MAIL FROM:<ann@capture.test>');
    expect(early.text).toMatch(/^530 5\.7\.0 Must issue a STARTTLS command first \[/);
    await dialog.startTls();
    const stillEarly = await dialog.command('MAIL FROM:<ann@capture.test>');
    expect(stillEarly.text).toMatch(/^530 5\.7\.0 Authentication required \[/);
    await dialog.command(`AUTH PLAIN ${plain('ann', PASSWORD)}`, 235);
    await dialog.command('MAIL FROM:<ann@capture.test>', 250);
    await dialog.quit();
    const refused = await waitFor('the refusal on record', async () => {
      const found = await postern.api.search({ rule: 'builtin/tls-required' });
      return found.length > 0 ? found : undefined;
    });
    expect(refused[0]).toMatchObject({ verdict: 'refused' });
  });

  test('elsewhere mail comes in as before, and the Received field tells of TLS', async () => {
    const dialog = await secureDialog('mx');
    const reply = await dialog.deliver({ sender: 'a@far.test', recipients: ['bob@capture.test'] }, CONTENT);
    expect(reply.code).toBe(250);
    await dialog.quit();
    expect(await newest('capture', 1)).toMatch(/with ESMTPS \(TLSv1\.3/);
  });
});

describe('a certificate as an identity', () => {
  async function relayed(tls: object, sender: string): Promise<number> {
    const dialog = await secureDialog('partners', tls);
    await dialog.command(`MAIL FROM:<${sender}>`, 250);
    const { code } = await dialog.command('RCPT TO:<bob@elsewhere.test>');
    await dialog.quit();
    return code;
  }

  test('counts by name when the partners’ authority vouches for it, by fingerprint whoever does', async () => {
    const by = ({ certificate, key }: Credentials): object => ({ cert: certificate, key });
    expect(await relayed(by(partner), 'a@partner.test')).toBe(250);
    expect(await relayed(by(stranger), 'a@partner.test')).toBe(550);
    expect(await relayed(by(known), 'a@known.test')).toBe(250);
    expect(await relayed(by(known), 'a@partner.test')).toBe(550);
    expect(await relayed({}, 'a@partner.test')).toBe(550);
    // The name of another certificate of the store brings no other authorities with it.
    expect(await relayed({ ...by(stranger), servername: 'localhost' }, 'a@partner.test')).toBe(550);
  });
});

describe('a renewed certificate', () => {
  test('serves new sessions, and those under way go on', async () => {
    const underWay = await secureDialog('submit');
    const before = underWay.serverFingerprint;
    await underWay.command(`AUTH PLAIN ${plain('ann', PASSWORD)}`, 235);
    await underWay.command('MAIL FROM:<ann@capture.test>', 250);
    const renewed = await authority.issue({ names: ['localhost'] });
    putCertificate('submit', renewed);
    await waitFor('the renewed certificate', async () => {
      const dialog = await secureDialog('submit');
      const shown = dialog.serverFingerprint;
      await dialog.quit();
      return shown === renewed.fingerprint;
    });
    expect(before).not.toBe(renewed.fingerprint);
    await underWay.command('RCPT TO:<bob@elsewhere.test>', 250);
    await underWay.command('DATA', 354);
    underWay.write('Subject: goes on\r\n\r\n.\r\n');
    await underWay.expect(250);
    await underWay.quit();
    await auditEvents(postern, 'certificate.loaded', ({ fingerprint }) => fingerprint === renewed.fingerprint);
  });
});

describe('the audit', () => {
  test('knows who signed in, who did not, and how', async () => {
    const failed = await secureDialog('submit');
    await failed.command(`AUTH PLAIN ${plain('nobody', 'x')}`, 535);
    await failed.quit();
    const failures = await auditEvents(postern, 'session.auth-failed', ({ username }) => username === 'nobody');
    expect(failures.find(({ username }) => username === 'nobody')).toMatchObject({
      listener: 'submit',
      mechanism: 'PLAIN',
      reason: 'refused',
    });
    const dialog = await secureDialog('submit');
    await dialog.command(`AUTH PLAIN ${plain('ANN', PASSWORD)}`, 235);
    await dialog.quit();
    const authenticated = await auditEvents(postern, 'session.authenticated', 1);
    expect(authenticated.map(({ account }) => account)).toContain('ann');
    const ended = await auditEvents(postern, 'session.ended', 1);
    expect(ended.map(({ auth }) => auth)).toContainEqual({ identity: 'ann', mechanism: 'PLAIN' });
    expect(JSON.stringify([authenticated, ended])).not.toContain(PASSWORD);
  });
});
