/** Mail out over TLS, AUTH and LMTP to servers nobody here wrote: their logs agree with our audit. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RouteTls, SmtpRoute } from '#delivery';
import { CertificateAuthority } from '../support/certificates.js';
import type { Credentials } from '../support/certificates.js';
import { startExim } from '../support/exim.js';
import type { RunningExim } from '../support/exim.js';
import { startDovecot } from '../support/dovecot.js';
import type { RunningDovecot } from '../support/dovecot.js';
import { availableAsRoot, describeIf } from '../support/foreign-programs.js';
import { messageIn } from '../support/maildir.js';
import { startPostfix } from '../support/postfix.js';
import type { RunningPostfix } from '../support/postfix.js';
import { FAST, hostAt, hosts, RelayHarness, told } from '../support/relay-harness.js';
import type { StoryRow } from '../support/relay-harness.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('secured');
const relay = new RelayHarness();
const VERIFIED: RouteTls = { require: 'verified', authorities: 'inside' };
let authority: CertificateAuthority;
let server: Credentials;
let unnamed: Credentials;

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  server = await authority.issue({ addresses: ['127.0.0.1'] });
  unnamed = await authority.issue({ names: ['elsewhere.test'] });
  relay.timeoutFactor = 50;
  await relay.create();
  await relay.open();
  await mkdir(join(relay.directory, 'certificates', 'inside'), { recursive: true });
  await writeFile(join(relay.directory, 'certificates', 'inside', 'ca.pem'), authority.certificate);
}, 60_000);

afterAll(async () => {
  await relay.close();
  await relay.server.drop();
  await workspace.close();
}, 60_000);

function routeTo(port: number, extra: Partial<SmtpRoute>): void {
  relay.routes['out'] = hosts([hostAt(port)], { ...FAST, firstMs: 60_000 }, extra);
}

async function attempts(wishes: Parameters<typeof relay.accept>[0], count = 1): Promise<readonly StoryRow[]> {
  const { id } = await relay.accept(wishes);
  return waitFor(
    'the attempts',
    async () => {
      const rows = (await relay.story(id)).filter(({ kind }) => kind.startsWith('delivery.'));
      return rows.length >= count && rows;
    },
    { deadlineMs: 30_000 },
  );
}

function certificateFiles(name: string, { certificate, key }: Credentials): Promise<Record<string, string>> {
  const folder = workspace.makeFolder(name);
  const settings = { smtpd_tls_cert_file: join(folder, 'cert.pem'), smtpd_tls_key_file: join(folder, 'key.pem') };
  return Promise.all([
    writeFile(settings.smtpd_tls_cert_file, certificate),
    writeFile(settings.smtpd_tls_key_file, key),
  ]).then(() => settings);
}

const TLS_SETTINGS = { smtpd_tls_security_level: 'may', smtpd_tls_loglevel: '1', smtpd_tls_received_header: 'yes' };

describeIf(availableAsRoot('postfix'), 'TLS to Postfix', () => {
  let postfix: RunningPostfix;
  beforeAll(async () => {
    const settings = { ...TLS_SETTINGS, ...(await certificateFiles('cert', server)) };
    const folder = workspace.path('postfix');
    postfix = workspace.use(await startPostfix({ folder, settings, mailboxDomain: 'kept.test' }));
  }, 60_000);

  test('verified: both sides saw the same session', async () => {
    routeTo(postfix.port, { tls: VERIFIED });
    const bytes = Buffer.from('Subject: one\r\n\r\n.dot\r\n');
    const [row] = await attempts({ recipients: ['ann@kept.test'], bytes });
    expect(row?.kind).toBe('delivery.succeeded');
    const tls = row?.data['tls'] as { version: string; cipher: string; verified: boolean };
    expect(tls).toMatchObject({ version: 'TLSv1.3', verified: true });
    const kept = (await messageIn(postfix.mailbox, (content) => content.includes('Subject: one'))).toString('latin1');
    expect(kept).toContain(`using TLSv1.3 with cipher ${tls.cipher}`);
    expect(kept).toMatch(/\n\n\.dot\n/);
    expect(postfix.log()).toContain('TLS connection established from');
  }, 60_000);

  test('DSN parameters are taken, and Postfix answers for success', async () => {
    routeTo(postfix.port, { tls: VERIFIED });
    const asked = {
      recipients: ['ann@kept.test'],
      mail: { ret: 'HDRS', envelopeId: 'Q+2B7' } as const,
      rcpt: { notify: ['SUCCESS', 'FAILURE'], originalRecipient: 'rfc822;old@kept.test' },
    };
    const [row, ...others] = await attempts(asked);
    expect([row?.kind, others]).toEqual(['delivery.succeeded', []]);
    await waitFor('the notice of Postfix', () => /sender delivery status notification/i.test(postfix.log()));
  }, 60_000);

  test('a certificate for another name: nothing arrives under `verified`, and Postfix saw no mail', async () => {
    const settings = { ...TLS_SETTINGS, ...(await certificateFiles('cert2', unnamed)) };
    const folder = workspace.path('postfix2');
    const other = workspace.use(await startPostfix({ folder, settings, mailboxDomain: 'kept.test' }));
    routeTo(other.port, { tls: VERIFIED });
    const [row] = await attempts({ recipients: ['ann@kept.test'] });
    expect(row).toMatchObject({ kind: 'delivery.deferred', data: { stage: 'tls' } });
    expect(row?.data.reply).toContain('the certificate is not for 127.0.0.1');
    expect(other.log()).not.toMatch(/from=<ann@example\.com>/);
    routeTo(other.port, { tls: { ...VERIFIED, require: 'encrypted' } });
    const [taken] = await attempts({ recipients: ['ann@kept.test'] });
    expect(taken).toMatchObject({ kind: 'delivery.succeeded', data: { tls: { verified: false } } });
  }, 60_000);
});

describeIf(availableAsRoot('exim4'), 'TLS and AUTH to Exim', () => {
  let exim: RunningExim;
  beforeAll(async () => {
    const at = { folder: workspace.makeFolder('exim'), mailboxDomain: 'kept.test' };
    exim = workspace.use(await startExim({ ...at, tls: server, user: ['ann', 'secret'] }));
    relay.secrets.set('exim', 'ann:secret');
  }, 60_000);

  const auth = { secret: 'exim', withoutVerifiedTls: false };

  /** The line of its log about the message that its reply named. */
  function logged(row: StoryRow | undefined, arrow: string): string {
    const id = /^250 OK id=(\S+)$/.exec(row?.data.reply ?? '')?.[1] ?? 'none';
    return (
      exim
        .log()
        .split('\n')
        .find((line) => line.includes(`${id} ${arrow} `)) ?? `no ${id} in ${exim.log()}`
    );
  }

  test('each message is in its log as it is in our audit: name, TLS, who signed in, octets', async () => {
    routeTo(exim.port, { tls: VERIFIED, auth });
    const bytes = Buffer.from('Subject: to Exim\r\nMessage-ID: <one@x.test>\r\n\r\n.dot\r\n..\r\n');
    const [row] = await attempts({ recipients: ['ann@kept.test', 'bob@kept.test'], bytes }, 2);
    expect(row).toMatchObject({
      kind: 'delivery.succeeded',
      data: { code: 250, tls: { version: 'TLSv1.3', verified: true } },
    });
    const line = logged(row, '<=');
    expect(line).toContain('<= ann@example.com H=(gw.test) [127.0.0.1] P=esmtpsa X=TLS1.3:');
    expect(line).toContain(' A=plain:ann ');
    expect(line).toContain('id=one@x.test from <ann@example.com> for ann@kept.test bob@kept.test');
    const kept = await messageIn(exim.mailbox, (content) => content.includes('Subject: to Exim'));
    expect(kept.toString('latin1').replaceAll('\r\n', '\n')).toMatch(/\n\n\.dot\n\.\.\n$/);
  }, 60_000);

  test('what is large or 8-bit goes by BDAT, which its log tells, and arrives as it was', async () => {
    routeTo(exim.port, { tls: VERIFIED, auth });
    const body = '.dot and \u00fcml\u00e4uts\r\n'.repeat(10_000);
    const bytes = Buffer.from(`Subject: in chunks\r\n\r\n${body}`);
    const [row] = await attempts({ recipients: ['ann@kept.test'], bytes, body8bit: true });
    expect(row?.kind).toBe('delivery.succeeded');
    expect(logged(row, '<=')).toMatch(/ P=esmtpsa .* K .*S=\d+ /);
    const kept = await messageIn(exim.mailbox, (content) => content.includes('Subject: in chunks'));
    expect(kept.toString('utf8').replaceAll('\r\n', '\n').endsWith(body.replaceAll('\r\n', '\n'))).toBe(true);
  }, 60_000);

  test('refusals: a wrong password defers, a recipient it does not want fails; both logs say so', async () => {
    relay.secrets.set('wrong', 'ann:guess');
    routeTo(exim.port, { tls: VERIFIED, auth: { ...auth, secret: 'wrong' } });
    const [deferred] = await attempts({ recipients: ['ann@kept.test'] });
    expect(deferred).toMatchObject({ kind: 'delivery.deferred', data: { stage: 'auth', code: 535 } });
    expect(exim.log()).toMatch(/plain authenticator failed for .*535 Incorrect authentication data/);
    routeTo(exim.port, { tls: VERIFIED, auth });
    const [failed] = await attempts({ recipients: ['x@elsewhere.test'] });
    expect(failed).toMatchObject({
      kind: 'delivery.failed',
      data: { stage: 'rcpt', code: 550, reply: '550 relay not permitted' },
    });
    expect(exim.log()).toContain('rejected RCPT <x@elsewhere.test>: relay not permitted');
  }, 60_000);
});

describeIf(availableAsRoot('dovecot', 'postfix'), 'AUTH to Postfix with Dovecot, LMTP to Dovecot', () => {
  let dovecot: RunningDovecot;
  let postfix: RunningPostfix;
  beforeAll(async () => {
    const folder = workspace.path('dovecot');
    const users = { ann: 'pä,ss=word', bob: 'other' };
    dovecot = workspace.use(await startDovecot({ folder, users, tls: server }));
    const settings = {
      ...TLS_SETTINGS,
      ...(await certificateFiles('cert3', server)),
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: dovecot.authSocket,
      smtpd_tls_auth_only: 'yes',
      mynetworks: '192.0.2.1/32',
      smtpd_relay_restrictions: 'permit_sasl_authenticated, reject',
    };
    const at = { folder: workspace.path('postfix3'), settings, mailboxDomain: 'kept.test' };
    postfix = workspace.use(await startPostfix(at));
  }, 60_000);

  test('SCRAM-SHA-256 is what signs in', async () => {
    relay.secrets.set('provider', 'ann:pä,ss=word');
    routeTo(postfix.port, { tls: VERIFIED, auth: { secret: 'provider', withoutVerifiedTls: false } });
    const [row] = await attempts({ recipients: ['x@kept.test'] });
    expect([row?.kind, row?.data.reply]).toEqual(['delivery.succeeded', expect.stringMatching(/^250 2\.0\.0 /)]);
    expect(postfix.log()).toContain('sasl_method=SCRAM-SHA-256, sasl_username=ann');
  }, 60_000);

  test('without signing in, or with a wrong password, nothing is taken', async () => {
    routeTo(postfix.port, { tls: VERIFIED });
    const [refused] = await attempts({ recipients: ['x@kept.test'] });
    expect(refused).toMatchObject({ kind: 'delivery.failed', data: { stage: 'rcpt', code: 554 } });
    relay.secrets.set('wrong', 'ann:no');
    routeTo(postfix.port, { tls: VERIFIED, auth: { secret: 'wrong', withoutVerifiedTls: false } });
    const [row] = await attempts({ recipients: ['x@kept.test'] });
    expect(row).toMatchObject({ kind: 'delivery.deferred', data: { stage: 'auth', code: 535 } });
  }, 60_000);

  test('LMTP by a socket, as both logs have it', async () => {
    relay.routes['out'] = hosts([{ host: dovecot.lmtpSocket, port: 0, priority: 10, weight: 1 }], FAST, {
      protocol: 'lmtp',
    });
    const bytes = Buffer.from('Subject: by socket\r\nMessage-ID: <socket@x.test>\r\n\r\nhello\r\n');
    const [row, ...others] = await attempts({ recipients: ['ann@x.test'], bytes });
    expect([row?.kind, row?.data['host'], others]).toEqual(['delivery.succeeded', dovecot.lmtpSocket, []]);
    expect(Object.keys(row?.data ?? {})).not.toContain('address');
    await messageIn(dovecot.mailbox('ann'), (content) => content.includes('Subject: by socket'));
    // Its log and our record name the same message: the reply holds Dovecot's id of the session.
    const [, session = 'none'] = /^250 2\.0\.0 <[^>]*> (\S+) Saved/.exec(row?.data.reply ?? '') ?? [];
    expect(dovecot.log()).toContain(`<${session}>: Info: msgid=<socket@x.test>: saved mail to INBOX`);
  }, 60_000);

  test('LMTP: each recipient has its own end, and the mailbox its message', async () => {
    routeTo(dovecot.lmtpPort, { protocol: 'lmtp', tls: VERIFIED });
    const bytes = Buffer.from('Subject: by LMTP\r\n\r\n.dot\r\n');
    const rows = await attempts({ recipients: ['ann@x.test', 'nobody@x.test', 'bob@x.test'], bytes }, 3);
    expect(Object.fromEntries(rows.map((row) => [row.recipient, told([row])[0]]))).toEqual({
      'ann@x.test': 'delivery.succeeded content',
      'nobody@x.test': 'delivery.failed rcpt',
      'bob@x.test': 'delivery.succeeded content',
    });
    expect(rows.find(({ kind }) => kind === 'delivery.succeeded')?.data['tls']).toMatchObject({ verified: true });
    for (const user of ['ann', 'bob']) {
      const kept = await messageIn(dovecot.mailbox(user), (content) => content.includes('Subject: by LMTP'));
      expect(kept.toString('latin1').replaceAll('\r\n', '\n')).toContain('\n\n.dot\n');
    }
  }, 60_000);
});
