/** The whole gateway: a policy with TLS, AUTH, LMTP and notices, a secret set over the API, certificates in their folder. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { CertificateAuthority } from '../support/certificates.js';
import { ForeignMx } from '../support/foreign-mx.js';
import { messageIn } from '../support/maildir.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('secured');
let postern: RunningPostern;
let provider: ForeignMx;
let mailboxes: ForeignMx;

beforeAll(async () => {
  const authority = await CertificateAuthority.create();
  const { certificate, key } = await authority.issue({ addresses: ['127.0.0.1'] });
  const tls = { server: { cert: certificate, key } };
  provider = await ForeignMx.listen({ tls, extensions: ['PIPELINING', '8BITMIME', 'AUTH PLAIN'] });
  mailboxes = await ForeignMx.listen({
    at: { content: ({ line }) => (line.startsWith('full') ? '552 5.2.2 Full\r\n' : undefined) },
  });
  mkdirSync(workspace.path('data', 'certificates', 'inside'), { recursive: true });
  writeFileSync(workspace.path('data', 'certificates', 'inside', 'ca.pem'), authority.certificate);
  const policy = testPolicy([], {
    routing: [
      { name: 'back', when: { 'recipient.domain': 'captured-domains' }, route: 'capture' },
      { name: 'staff', when: { 'recipient.domain': ['staff.test'] }, route: 'mailboxes' },
      { name: 'rest', route: 'provider' },
    ],
    routes: {
      capture: { file: { format: 'maildir', directory: 'capture' } },
      mailboxes: { hosts: [{ host: '127.0.0.1', port: mailboxes.port }], protocol: 'lmtp' },
      provider: {
        hosts: [{ host: '127.0.0.1', port: provider.port }],
        tls: 'verified',
        auth: { username: 'us', password: 'secret/provider' },
        retry: 'impatient',
        limits: { connections: 5, messages: { max: 1000, per: '1m' } },
      },
    },
    tls: { verified: { require: 'verified', authorities: 'inside' } },
    notices: { failed: { subject: 'Zurück von {gateway}', text: 'Das ging nicht.' }, limit: { max: 50, per: '1h' } },
    retry: { impatient: { first: '1s', factor: 1, longest: '1s', 'give-up': '1h' } },
  });
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy }));
}, 180_000);

afterAll(async () => {
  await workspace.close();
  await provider.close();
  await mailboxes.close();
}, 60_000);

test('mail waits for its password, and then goes by verified TLS; success is told to who asked', async () => {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  await dialog.command('MAIL FROM:<ann@capture.test> RET=HDRS ENVID=Q7', 250);
  await dialog.command('RCPT TO:<bob@elsewhere.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old@elsewhere.test', 250);
  await dialog.command('DATA', 354);
  await dialog.command('Subject: out\r\n\r\nhello\r\n.', 250);
  await dialog.quit();
  await waitFor('the first attempt', () => /there is no such secret|secret `provider`/.test(postern.log('gateway')));
  await postern.api.expectOk('PUT', '/v1/secrets/provider', {
    body: JSON.stringify({ value: 'word' }),
    headers: { 'If-None-Match': '*' },
  });
  await waitFor('the message', () => provider.accepted.length === 1, { deadlineMs: 30_000 });
  expect(provider.accepted[0]?.encrypted).toBe(true);
  expect(provider.commands).toContain(`AUTH PLAIN ${Buffer.from('\0us\0word').toString('base64')}`);
  const notice = await messageIn(postern.maildir('capture'), (content) => content.includes('Action: relayed'));
  const text = notice.toString('latin1');
  expect(text).toContain('Original-Envelope-Id: Q7\r\n');
  expect(text).toContain('Original-Recipient: rfc822; old@elsewhere.test\r\n');
}, 90_000);

test('LMTP: one recipient is delivered, the other bounced', async () => {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  const recipients = ['ann@staff.test', 'full@staff.test'];
  expect(
    (await dialog.deliver({ sender: 'eve@capture.test', recipients }, Buffer.from('Subject: in\r\n\r\n'))).code,
  ).toBe(250);
  await dialog.quit();
  const bounce = await messageIn(postern.maildir('capture'), (content) => content.includes('Action: failed'));
  expect(bounce.toString('latin1')).toContain('Final-Recipient: rfc822; full@staff.test\r\n');
  // In the words of the policy.
  expect(bounce.toString('latin1')).toContain('\r\n\r\nDas ging nicht.\r\n\r\n<full@staff.test>\r\n');
  expect(bounce.toString('latin1')).toMatch(/^Subject: =\?utf-8\?B\?WnVyw7xjayB2b24/m);
  expect(bounce.toString('latin1')).not.toContain('ann@staff.test\r\nAction');
}, 60_000);
