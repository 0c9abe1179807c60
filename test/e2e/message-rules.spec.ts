/** Mail judged by its content, end to end: what the client is told, what is delivered, what waits, and what is on record. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { messageIn, readMaildir } from '../support/maildir.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { PROJECT, RunningPostern } from '../support/running-postern.js';
import { SmtpDialog, type DialogReply } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

interface Review {
  readonly id: string;
  readonly queue: string;
  readonly rule: string;
  readonly recipient: string;
  readonly header: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
}

const workspace = new Workspace('message-rules');
let postern: RunningPostern;

function policy(more: readonly PolicyDocument[] = [], other: PolicyDocument = {}): PolicyDocument {
  const base = testPolicy();
  return {
    ...base,
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
    lists: { ...(base['lists'] as object), 'bad-words': { type: 'regex', entries: ['lottery'] } },
    acl: {
      rcpt: [
        { name: 'moved', when: { 'recipient.local': ['moved'] }, redirect: 'ann@capture.test' },
        { name: 'watch', when: { 'recipient.local': ['watched'] }, 'add-recipient': 'auditor@capture.test' },
      ],
      message: [
        ...more,
        { name: 'origin', 'set-header': { 'X-Origin': 'here' }, 'remove-header': 'X-Secret' },
        { name: 'words', when: { subject: 'bad-words' }, reject: '550 5.7.1 Not this subject' },
        { name: 'two-authors', when: { 'from.count': { not: 1 } }, reject: '550 5.6.0 One author, please' },
        { name: 'executables', when: { 'attachment.extension': ['exe'] }, hold: 'review' },
        {
          name: 'not-for-bob',
          when: { 'header.X-Kind': ['mixed'], 'recipient.local': ['bob'] },
          reject: '550 5.7.1 Not for bob',
        },
        { name: 'drop', when: { 'header.x-drop': ['yes'] }, discard: true, reason: 'a test' },
        { name: 'large', when: { size: { above: '200kB' } }, tag: 'large' },
      ],
    },
    copies: [{ name: 'journal', when: { 'sender.domain': ['journal.test'] }, route: 'journal' }],
    'review-queues': { review: { expire: '14d', 'on-expire': 'return-to-sender' } },
    routing: [{ name: 'large', when: { tag: 'large' }, route: 'large' }, ...(base['routing'] as object[])],
    routes: {
      ...(base['routes'] as object),
      journal: { file: { format: 'maildir', directory: 'journal' } },
      large: { file: { format: 'maildir', directory: 'large' } },
    },
    ...other,
  };
}

const HEADER = 'From: Ann <ann@client.test>\r\nX-Secret: yes\r\n';

async function send(recipients: readonly string[], content: string, sender = 'ann@client.test'): Promise<DialogReply> {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  await dialog.command(`MAIL FROM:<${sender}>`, 250);
  for (const recipient of recipients) await dialog.command(`RCPT TO:<${recipient}>`, 250);
  await dialog.command('DATA', 354);
  dialog.write(`${content}\r\n.\r\n`);
  const reply = await dialog.reply();
  await dialog.quit();
  return reply;
}

const capture = (): string => postern.maildir('capture');
const has = (text: string) => (content: Buffer) => content.includes(text);

async function reviews(): Promise<Review[]> {
  return ((await postern.api.expectOk('GET', '/v1/reviews')) as { data: Review[] }).data;
}

function act(id: string, action: string, reason?: string): Promise<unknown> {
  return postern.api.expectOk(
    'POST',
    `/v1/reviews/${id}:${action}`,
    reason === undefined ? {} : { headers: { Reason: reason } },
  );
}

function cli(...args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [join(PROJECT, 'dist/apps/cli/src/main.js'), ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: postern.dataDir },
    stdin: Buffer.alloc(0),
    cwd: workspace.folder,
  });
}

const EXECUTABLE = [
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain',
  '',
  'please run this',
  '--b',
  'Content-Type: application/octet-stream; name="setup.exe"',
  '',
  'MZ',
  '--b--',
].join('\r\n');

beforeAll(async () => {
  const document = policy();
  const lists = document['lists'] as Record<string, { entries: string[] }>;
  lists['all-senders']?.entries.push('journal.test');
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: document }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

describe('message rules', () => {
  test('change the header of what goes out', async () => {
    expect(
      (await send(['amy@capture.test'], `${HEADER}Subject: header one\r\nX-Origin: forged\r\n\r\nbody`)).code,
    ).toBe(250);
    const mail = (await messageIn(capture(), has('header one'))).toString();
    expect(mail).toContain('\r\nX-Origin: here\r\n');
    expect(mail).not.toContain('forged');
    expect(mail).not.toContain('X-Secret');
    expect(mail).toContain('\r\n\r\nbody');
  });

  test('also of spooled content, which is routed by the tag it got', async () => {
    const body = `${'x'.repeat(70)}\r\n`.repeat(3500);
    expect((await send(['amy@capture.test'], `${HEADER}Subject: large one\r\n\r\n${body}end`)).code).toBe(250);
    const mail = (await messageIn(postern.maildir('large'), has('large one'))).toString();
    expect(mail).toContain('\r\nX-Origin: here\r\n');
    expect(mail.endsWith('end\r\n')).toBe(true);
  });

  test('refuse by subject and by From, after the final dot', async () => {
    const subject = await send(['amy@capture.test'], `${HEADER}Subject: =?utf-8?q?Win_the_l=6Fttery?=\r\n\r\nbody`);
    expect(subject.text).toMatch(/^550 5\.7\.1 Not this subject \[[0-9A-Z]{26}\]/);
    const from = await send(['amy@capture.test'], 'From: a@client.test, b@client.test\r\nSubject: two\r\n\r\nbody');
    expect(from.text).toMatch(/^550 5\.6\.0 One author/);
  });

  test('redirect, add recipients and copy, all on record', async () => {
    await send(
      ['moved@capture.test', 'watched@capture.test'],
      `From: a@journal.test\r\nSubject: moved one\r\n\r\nbody`,
      'a@journal.test',
    );
    await messageIn(
      capture(),
      (content) => has('moved one')(content) && has('Delivered-To: ann@capture.test')(content),
    );
    await messageIn(
      capture(),
      (content) => has('moved one')(content) && has('Delivered-To: auditor@capture.test')(content),
    );
    await messageIn(postern.maildir('journal'), has('moved one'));
    const story = await postern.api.storyWhen('all delivered', { sender: 'a@journal.test' }, ({ recipients }) =>
      recipients.every(({ state }) => state === 'delivered'),
    );
    expect(story.recipients.map(({ original, address, by, route }) => [original, address, by, route])).toEqual([
      ['moved@capture.test', 'ann@capture.test', '', 'capture'],
      ['watched@capture.test', 'watched@capture.test', '', 'capture'],
      ['ann@capture.test', 'ann@capture.test', 'copies/journal', 'journal'],
      ['auditor@capture.test', 'auditor@capture.test', 'rcpt/watch', 'capture'],
      ['watched@capture.test', 'watched@capture.test', 'copies/journal', 'journal'],
    ]);
    expect(await postern.api.expectOk('GET', `/v1/transactions/${story.id}/explain`)).toMatchObject({
      differences: [],
      same: true,
    });
  });

  test('discard, and say so in the audit only', async () => {
    expect((await send(['amy@capture.test'], `${HEADER}Subject: dropped one\r\nX-Drop: yes\r\n\r\nbody`)).code).toBe(
      250,
    );
    const story = await postern.api.storyWhen('the record', { rule: 'message/drop' }, () => true);
    expect(story.recipients).toMatchObject([{ verdict: 'discard', state: 'discarded' }]);
    expect(readMaildir(capture()).some(has('dropped one'))).toBe(false);
  });
});

describe('held mail', () => {
  test('keeps its review queue in the policy', async () => {
    await send(['amy@capture.test'], `${HEADER}Subject: left one\r\n${EXECUTABLE}`);
    const [held] = await reviews();
    const without = policy([], { 'review-queues': {} });
    const acl = without['acl'] as { message: readonly { name: string; hold?: string }[] };
    const message = acl.message.filter(({ hold }) => hold === undefined || hold === 'mixed');
    const answer = await postern.api.putPolicy({ ...without, acl: { ...acl, message } });
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ code: 'Q4', pointer: '/review-queues' }] } });
    expect(answer.text).toContain('review queue `review` still holds the mail of 1 recipients');
    await act(held?.id ?? '', 'discard', 'a test');
  });

  test('goes out with what the policy in force adds to it, and the story tells of it', async () => {
    await send(['amy@capture.test'], `${HEADER}Subject: copied one\r\n${EXECUTABLE}`, 'b@journal.test');
    const [held] = await reviews();
    await act(held?.id ?? '', 'release', 'a test');
    const story = await postern.api.storyWhen(
      'all delivered',
      { sender: 'b@journal.test' },
      ({ recipients }) => recipients.length === 2 && recipients.every(({ state }) => state === 'delivered'),
    );
    expect(story.recipients).toMatchObject([
      { address: 'amy@capture.test', verdict: 'hold', reply: '250 2.1.5 Recipient OK', finalReply: story.reply },
      { address: 'amy@capture.test', route: 'journal', addedBy: 'copies/journal', reply: '' },
    ]);
    expect(story.reply).toMatch(/^250 2\.0\.0 /u);
  });

  test('waits, is shown safely, and goes out when it is released', async () => {
    expect((await send(['amy@capture.test'], `${HEADER}Subject: held one\r\n${EXECUTABLE}`)).code).toBe(250);
    const [held] = await reviews();
    expect(held).toMatchObject({
      queue: 'review',
      rule: 'message/executables',
      recipient: 'amy@capture.test',
      subject: 'held one',
    });
    const shown = (await postern.api.expectOk('GET', `/v1/reviews/${held?.id ?? ''}`)) as Review;
    expect(shown.text).toBe('please run this');
    expect(shown.header).toContainEqual({ name: 'from', value: 'Ann <ann@client.test>' });
    expect(readMaildir(capture()).some(has('held one'))).toBe(false);
    expect(await act(held?.id ?? '', 'release', 'asked for')).toMatchObject({ outcome: 'released' });
    const mail = await messageIn(capture(), has('held one'));
    expect(mail.toString()).toContain('X-Origin: here');
    expect(await reviews()).toEqual([]);
    const story = await postern.api.storyWhen(
      'delivery',
      { rule: 'message/executables' },
      (it) => it.recipients[0]?.state === 'delivered',
    );
    expect(story.events.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['review.requested', 'review.released', 'delivery.succeeded']),
    );
  });

  test('recipients with different verdicts: the accepted get it, the others wait in `mixed`', async () => {
    const reply = await send(
      ['amy@capture.test', 'bob@capture.test'],
      `${HEADER}Subject: mixed one\r\nX-Kind: mixed\r\n\r\nbody`,
    );
    expect(reply.code).toBe(250);
    await messageIn(capture(), has('mixed one'));
    const [held] = await reviews();
    expect(held).toMatchObject({
      queue: 'mixed',
      rule: 'message/not-for-bob',
      recipient: 'bob@capture.test',
      insteadOf: '550 5.7.1 Not for bob',
    });
    expect(await postern.api.request('POST', `/v1/reviews/${held?.id ?? ''}:discard`)).toMatchObject({ status: 400 });
    expect(await act(held?.id ?? '', 'discard', 'a test')).toMatchObject({ outcome: 'discarded' });
    const story = await postern.api.storyWhen(
      'the end',
      { rule: 'message/not-for-bob' },
      (it) => it.recipients[1]?.state === 'discarded',
    );
    expect(story.recipients[0]).toMatchObject({ verdict: 'accept' });
  });

  test('all of one verdict: refused, nothing waits', async () => {
    const reply = await send(['bob@capture.test'], `${HEADER}Subject: only bob\r\nX-Kind: mixed\r\n\r\nbody`);
    expect(reply.text).toMatch(/^550 5\.7\.1 Not for bob/);
    expect(await reviews()).toEqual([]);
  });

  test('refused by a person: the sender gets a notice', async () => {
    await send(['amy@capture.test'], `${HEADER}Subject: refused one\r\n${EXECUTABLE}`, 'ann@capture.test');
    const [held] = await reviews();
    expect(await act(held?.id ?? '', 'reject', 'no programs')).toMatchObject({ outcome: 'returned' });
    const notice = await messageIn(
      capture(),
      (mail) => has('Delivered-To: ann@capture.test')(mail) && has('after review')(mail),
    );
    expect(notice.toString()).toContain('550 5.7.1 Message refused after review');
  });

  test('a release is judged by the policy in force', async () => {
    await send(['amy@capture.test'], `${HEADER}Subject: kept one\r\n${EXECUTABLE}`);
    const [held] = await reviews();
    await postern.api.publish(
      policy([{ name: 'stop', when: { 'attachment.name': ['setup.exe'] }, reject: '550 5.7.1 Never' }]),
    );
    await waitFor(
      'the policy to be in force',
      async () => (await send(['amy@capture.test'], `${HEADER}Subject: probe\r\n${EXECUTABLE}`)).code === 550,
    );
    const tried = `/v1/reviews/${held?.id ?? ''}:release?dryRun=true`;
    const kept = { outcome: 'kept', kept: 'reject by message/stop' };
    expect(await postern.api.expectOk('POST', tried)).toMatchObject({ ...kept, dryRun: true });
    expect(await act(held?.id ?? '', 'release')).toMatchObject(kept);
    expect(await reviews()).toMatchObject([{ id: held?.id, kept: 'reject by message/stop' }]);
    await postern.api.publish(policy());
    await waitFor(
      'the policy to be in force',
      async () => (await send(['amy@capture.test'], `${HEADER}Subject: probe\r\n${EXECUTABLE}`)).code === 250,
    );
    expect(await act(held?.id ?? '', 'release')).toMatchObject({ outcome: 'released' });
    await messageIn(capture(), has('kept one'));
  });

  test('expiry does what the policy says', async () => {
    for (const { id } of await reviews()) await act(id, 'discard', 'clean slate');
    await postern.api.publish(policy([], { 'review-queues': { review: { expire: '1s', 'on-expire': 'deliver' } } }));
    const soon = async (): Promise<boolean> => {
      await send(['amy@capture.test'], `${HEADER}Subject: expiring one\r\n${EXECUTABLE}`);
      const held = await reviews();
      return (
        held.length === 0 ||
        held.some((it) => Date.parse((it as unknown as { expiresAt: string }).expiresAt) < Date.now() + 10_000)
      );
    };
    await waitFor('the policy to be in force', soon);
    await messageIn(capture(), has('expiring one'), 20_000);
  }, 60_000);

  test('the command line lists, shows and decides', async () => {
    await postern.api.publish(policy());
    await waitFor('mail to be held', async () => {
      await send(['amy@capture.test'], `${HEADER}Subject: from the shell\r\n${EXECUTABLE}`);
      return (await reviews()).length > 0;
    });
    const [held] = await reviews();
    const id = held?.id ?? '';
    expect((await cli('review', 'list')).stdout).toContain('from the shell');
    expect((await cli('review', 'show', id)).stdout).toContain('please run this');
    expect(await cli('review', 'discard', id)).toMatchObject({ code: 1, stdout: '' });
    expect((await cli('review', 'release', id, '--reason', 'fine')).stdout).toBe(`${id} is released\n`);
    expect(await cli('review', 'release', id)).toMatchObject({ code: 1 });
  });
});
