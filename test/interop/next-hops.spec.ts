/** Mail out to servers nobody here wrote, and in from a real Postfix: contents and envelopes stay what they were. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { available, availableAsRoot, describeIf } from '../support/foreign-programs.js';
import { messageIn } from '../support/maildir.js';
import { committedMessages, generatedMessages, largeMessage, traceBefore } from '../support/message-corpus.js';
import { startPostfix } from '../support/postfix.js';
import type { RunningPostfix } from '../support/postfix.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { startSink } from '../support/smtp-sink.js';
import type { RunningSink } from '../support/smtp-sink.js';
import { sendBulk } from '../support/smtp-source.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('hops');
afterAll(() => workspace.close(), 60_000);

describeIf(available('smtp-sink', 'smtp-source'), 'relay to smtp-sink', () => {
  let sink: RunningSink;
  let postern: RunningPostern;
  beforeAll(async () => {
    sink = workspace.use(await startSink({ keepIn: workspace.path('sink') }));
    const policy = testPolicy([{ host: '127.0.0.1', port: sink.port }], { settings: { 'max-message-size': '40MB' } });
    postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy }));
  }, 180_000);

  test('the whole corpus and 25 MB arrive octet for octet', async () => {
    const messages = [
      ...committedMessages(),
      ...generatedMessages(),
      { name: '25 MB', content: largeMessage(25_000_000) },
    ];
    const dialog = await SmtpDialog.start({ port: postern.port('inside'), deadlineMs: 60_000 });
    for (const [index, { content }] of messages.entries()) {
      const envelope = { sender: `m${String(index)}@client.test`, recipients: ['bob@elsewhere.test'] };
      expect((await dialog.deliver(envelope, content)).text).toMatch(/^250 /);
    }
    await dialog.quit();
    await waitFor('all messages', () => sink.count() >= messages.length, { deadlineMs: 60_000 });
    const arrived = sink.messages();
    const wrong = messages.flatMap(({ name, content }, index) => {
      const one = arrived.filter(({ sender }) => sender === `m${String(index)}@client.test`);
      try {
        if (one.length !== 1) return [`${name}: arrived ${String(one.length)} times`];
        traceBefore(content, one[0]?.content ?? Buffer.alloc(0));
        return [];
      } catch (error) {
        return [`${name}: ${(error as Error).message}`];
      }
    });
    expect(wrong).toEqual([]);
  }, 180_000);

  test('envelopes arrive as given: null sender, quoted local part, several recipients', async () => {
    const cases = [
      { sender: '', recipients: ['null@elsewhere.test'] },
      {
        sender: '"quoted part"@client.test',
        recipients: ['"an odd \\"one"@elsewhere.test', 'plus+tag@elsewhere.test'],
      },
      { sender: 'UPPER.lower@client.test', recipients: ['Mixed.Case@elsewhere.test'] },
    ];
    const before = sink.count();
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    for (const envelope of cases) {
      expect((await dialog.deliver(envelope, Buffer.from('Subject: envelope\r\n\r\n'))).code).toBe(250);
    }
    await dialog.quit();
    await waitFor('all messages', () => sink.count() >= before + cases.length);
    const arrived = sink.messages().filter(({ content }) => content.includes('Subject: envelope'));
    const envelopes = arrived.map(({ sender, recipients }) => ({ sender, recipients: [...recipients].sort() }));
    for (const { sender, recipients } of cases) {
      expect(envelopes).toContainEqual({ sender, recipients: [...recipients].sort() });
    }
  }, 60_000);

  test('smtp-source in bulk: nothing is lost and nothing comes twice', async () => {
    const before = sink.count();
    const port = postern.port('inside');
    await sendBulk({ port, messages: 2000, sessions: 20, sender: 'bulk@client.test', recipient: 'bob@elsewhere.test' });
    await sendBulk({
      ...{ port, messages: 300, sessions: 10, sender: 'bulk@client.test', recipient: 'bob@elsewhere.test' },
      keepSessions: false,
    });
    await waitFor('all messages', () => sink.count() >= before + 2300, { deadlineMs: 60_000 });
    expect(sink.count()).toBe(before + 2300);
  }, 120_000);
});

describeIf(availableAsRoot('postfix'), 'a real Postfix on both sides', () => {
  let receiver: RunningPostfix;
  let sender: RunningPostfix;
  beforeAll(async () => {
    receiver = workspace.use(
      await startPostfix({
        folder: workspace.path('receiver'),
        mailboxDomain: 'elsewhere.test',
        settings: { local_header_rewrite_clients: '' },
      }),
    );
    const policy = testPolicy([{ host: '127.0.0.1', port: receiver.port }], {
      settings: { 'max-message-size': '40MB' },
    });
    const postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('between'), policy }));
    sender = workspace.use(
      await startPostfix({
        folder: workspace.path('sender'),
        relayHost: `[127.0.0.1]:${String(postern.port('inside'))}`,
        settings: { myorigin: 'client.test' },
      }),
    );
  }, 180_000);

  test('what sendmail was given arrives in the mailbox at the other end', async () => {
    const bodies = ['plain\n', '.\n..\n.dot\n', 'Grüße, naïve €\n', 'x'.repeat(997) + '\n', '\n\n\nend\n\n\n'];
    for (const [index, body] of bodies.entries()) {
      const head = `From: ann@client.test\nTo: bob@elsewhere.test\nSubject: between ${String(index)}\nDate: Tue, 17 Nov 2026 09:00:00 +0000\nMessage-ID: <b${String(index)}@client.test>\n`;
      await sender.sendmail('ann@client.test', ['bob@elsewhere.test'], Buffer.from(`${head}\n${body}`));
      const arrived = await messageIn(
        receiver.mailbox,
        (one) => one.includes(`Subject: between ${String(index)}\n`),
        30_000,
      );
      expect(arrived.toString().split('\n\n').slice(1).join('\n\n')).toBe(body);
      expect(arrived.toString()).toContain(`Return-Path: <ann@client.test>`);
    }
  }, 120_000);

  test('25 MB arrive whole', async () => {
    const content = largeMessage(25_000_000).toString('latin1').replaceAll('\r\n', '\n');
    await sender.sendmail('ann@client.test', ['bob@elsewhere.test'], Buffer.from(content, 'latin1'));
    const arrived = await messageIn(receiver.mailbox, (one) => one.length > 25_000_000 * 0.95, 60_000);
    const bodyOf = (text: string): string => text.slice(text.indexOf('\n\n'));
    expect(bodyOf(arrived.toString('latin1')) === bodyOf(content)).toBe(true);
  }, 120_000);
});
