/** What a client meets on the wire of the running gateway, and what is left of it on record. RFC 5321, RFC 3030, RFC 9422. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { auditEvents } from '../support/audit-events.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('wire');
let postern: RunningPostern;

function policyWith(settings: PolicyDocument): PolicyDocument {
  const base = testPolicy();
  const local = { address: '127.0.0.1', port: 0 };
  const listeners = {
    ...(base['listeners'] as object),
    street: { ...local, exposure: 'internet' },
    office: { ...local, exposure: 'internal', tls: { mode: 'starttls', certificate: 'default' }, auth: 'required' },
    front: { ...local, exposure: 'internal', xclient: { from: '127.0.0.1' } },
  };
  return { ...base, settings, listeners };
}

beforeAll(async () => {
  const policy = policyWith({ 'max-recipients': 3, 'max-message-size': '2MiB' });
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

const dial = (listener: string): Promise<SmtpDialog> => SmtpDialog.open({ port: postern.port(listener) });

async function offered(dialog: SmtpDialog): Promise<readonly string[]> {
  const { lines } = await dialog.command('EHLO client.test', 250);
  return lines.slice(1).map((line) => line.slice(4));
}

const ALWAYS = ['PIPELINING', 'SIZE 2097152', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SMTPUTF8', 'CHUNKING', 'DSN'];
const MECHANISMS = 'AUTH SCRAM-SHA-256 PLAIN LOGIN';

describe('EHLO', () => {
  test('offers on each listener what holds there, and nothing else', async () => {
    const limits = 'LIMITS RCPTMAX=3';
    for (const listener of ['inside', 'street']) {
      const dialog = await dial(listener);
      await dialog.reply();
      expect(await offered(dialog)).toEqual([...ALWAYS, limits]);
      expect((await dialog.command('AUTH PLAIN AGEAYg==')).code).toBe(502);
      expect((await dialog.command('STARTTLS')).code).toBe(502);
      expect((await dialog.command('XCLIENT ADDR=192.0.2.1')).code).toBe(502);
      await dialog.quit();
    }
    const front = await dial('front');
    await front.reply();
    expect(await offered(front)).toEqual([...ALWAYS, 'XCLIENT NAME ADDR PORT DESTADDR DESTPORT', limits]);
    const office = await dial('office');
    await office.reply();
    expect(await offered(office)).toEqual([...ALWAYS, 'STARTTLS', limits]);
    await office.startTls({ rejectUnauthorized: false });
    expect((await offered(office)).slice(ALWAYS.length)).toEqual([expect.stringMatching(/^AUTH /), limits]);
    expect(
      (await offered(office))
        .find((line) => line.startsWith('AUTH'))
        ?.split(' ')
        .sort(),
    ).toEqual(MECHANISMS.split(' ').sort());
  });
});

describe('strangers', () => {
  test('on an internet listener the first line has to be SMTP; inside a mistake is a mistake', async () => {
    const stranger = await dial('street');
    await stranger.reply();
    expect((await stranger.command('FROB')).text).toMatch(/^421 4\.7\.0 /);
    expect((await stranger.reply()).code).toBe(0);
    const insider = await dial('inside');
    await insider.reply();
    await insider.command('FROB', 500);
    await insider.command('EHLO client.test', 250);
  });
});

describe('on record', () => {
  test('a session that dies between chunks leaves an abandoned transaction and no content', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    await dialog.command('MAIL FROM:<dying@client.test>', 250);
    await dialog.command('RCPT TO:<bob@capture.test>', 250);
    const chunk = 'x'.repeat(998) + '\r\n';
    dialog.write(`BDAT 600000\r\n${chunk.repeat(600)}`);
    await dialog.expect(250);
    dialog.write(`BDAT 600000 LAST\r\n${chunk.repeat(300)}`);
    dialog.destroy();
    const abandoned = await auditEvents(postern, 'transaction.abandoned', ({ reason }) => reason === 'lost');
    expect(abandoned).toContainEqual(expect.objectContaining({ helo: 'dialog.test', reason: 'lost' }));
    expect((await postern.api.search({})).filter(({ verdict }) => verdict === 'accepted')).toEqual([]);
    await waitFor('an empty spool', () => spooled().length === 0);
  });

  test('a refusal of the machine names the transaction that is on record with it', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    await dialog.command('MAIL FROM:<bare@client.test>', 250);
    await dialog.command('RCPT TO:<bob@capture.test>', 250);
    await dialog.command('DATA', 354);
    dialog.write('bare\rCR\r\n.\r\n');
    const { text } = await dialog.reply();
    expect(text).toMatch(/^550 5\.6\.11 .* \[[0-9A-Z]{26}\]$/);
    const refused = await auditEvents(postern, 'transaction.refused', ({ by }) => by === 'builtin/content');
    expect(refused).toContainEqual(expect.objectContaining({ by: 'builtin/content', reply: text }));
  });
});

describe('a policy with other limits', () => {
  test('is told to new sessions, and held in all: each gets what it was promised', async () => {
    const before = await SmtpDialog.start({ port: postern.port('inside') });
    await postern.api.publish(policyWith({ 'max-recipients': 1, 'max-message-size': '1MiB' }));
    const after = await waitFor('the new limits', async () => {
      const dialog = await dial('inside');
      await dialog.reply();
      return (await offered(dialog)).includes('LIMITS RCPTMAX=1') ? dialog : undefined;
    });
    expect(await offered(after)).toContain('SIZE 1048576');
    expect(await accepts(after, 2)).toEqual([250, 452]);
    expect(await accepts(before, 4)).toEqual([250, 250, 250, 452]);
    expect(await offered(before)).toContain('LIMITS RCPTMAX=3');
  });
});

async function accepts(dialog: SmtpDialog, recipients: number): Promise<readonly number[]> {
  await dialog.command('MAIL FROM:<many@client.test>', 250);
  const codes: number[] = [];
  for (let at = 0; at < recipients; at += 1) {
    codes.push((await dialog.command(`RCPT TO:<u${String(at)}@capture.test>`)).code);
  }
  await dialog.command('RSET', 250);
  return codes;
}

function spooled(): readonly string[] {
  return readdirSync(join(postern.dataDir, 'spool'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /[0-9a-z-]{36}/.test(name),
  );
}
