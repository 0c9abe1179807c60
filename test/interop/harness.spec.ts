/**
 * The foreign programs among themselves, without us: what they change on their own is known here, so that the other
 * specs can blame the right party.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { available, availableAsRoot, describeIf } from '../support/foreign-programs.js';
import { messageIn } from '../support/maildir.js';
import { committedMessages, traceBefore } from '../support/message-corpus.js';
import { startPostfix } from '../support/postfix.js';
import type { RunningPostfix } from '../support/postfix.js';
import { sendByMsmtp, sendByNodemailer, sendBySwaks } from '../support/senders.js';
import { startSink } from '../support/smtp-sink.js';
import type { RunningSink } from '../support/smtp-sink.js';
import { sendBulk } from '../support/smtp-source.js';
import { Workspace } from '../support/workspace.js';
import { waitFor } from '../support/wait.js';

const workspace = new Workspace('harness');
afterAll(() => workspace.close());

describeIf(available('swaks', 'msmtp', 'smtp-sink', 'smtp-source'), 'clients to smtp-sink', () => {
  let sink: RunningSink;
  beforeAll(async () => {
    sink = workspace.use(await startSink({ keepIn: workspace.path('sink') }));
  });

  for (const [name, send] of Object.entries({ swaks: sendBySwaks, msmtp: sendByMsmtp, nodemailer: sendByNodemailer })) {
    test(`${name} sends what it is given`, async () => {
      const changed: string[] = [];
      for (const [index, message] of committedMessages().entries()) {
        const sender = `${name}-${String(index)}@client.test`;
        await send({ port: sink.port, sender, recipients: ['bob@dest.test'], content: message.content });
        const arrived = await waitFor(message.name, () => sink.messages().find((one) => one.sender === sender));
        try {
          traceBefore(message.content, arrived.content);
        } catch (error) {
          changed.push(`${message.name}: ${(error as Error).message}`);
        }
      }
      expect(changed).toEqual([]);
    }, 120_000);
  }

  test('smtp-source sends in bulk, and smtp-sink counts', async () => {
    const before = sink.count();
    await sendBulk({ port: sink.port, messages: 200, sessions: 5, sender: 'a@client.test', recipient: 'b@dest.test' });
    await waitFor('200 messages', () => sink.count() === before + 200);
  });
});

describeIf(availableAsRoot('postfix', 'smtp-sink'), 'a Postfix of its own', () => {
  let sink: RunningSink;
  let postfix: RunningPostfix;
  beforeAll(async () => {
    sink = workspace.use(await startSink({ keepIn: workspace.path('postfix-sink') }));
    postfix = workspace.use(
      await startPostfix({
        folder: workspace.path('postfix'),
        mailboxDomain: 'dest.test',
        relayHost: `[127.0.0.1]:${String(sink.port)}`,
      }),
    );
  }, 60_000);

  test('receives into a Maildir', async () => {
    const content = Buffer.from('Subject: to a mailbox\r\n\r\n.dot\r\n');
    await sendByNodemailer({ port: postfix.port, sender: 'a@client.test', recipients: ['bob@dest.test'], content });
    const arrived = await messageIn(postfix.mailbox, (one) => one.includes('to a mailbox'));
    expect(arrived.toString()).toContain('\n.dot\n');
  });

  test('relays what sendmail was given', async () => {
    await postfix.sendmail('ann@client.test', ['bob@elsewhere.test'], Buffer.from('Subject: by sendmail\n\n.dot\n'));
    const arrived = await waitFor('the message', () =>
      sink.messages().find((one) => one.content.includes('by sendmail')),
    );
    expect(arrived.sender).toBe('ann@client.test');
    expect(arrived.content.toString()).toMatch(/\r\n\r\n\.dot\r\n$/);
  });
});
