/**
 * Every message of the corpus, by every foreign client, through the built product into a Maildir: octet for octet, with
 * nothing but trace fields put before it. The file is found by what the audit says about the delivery.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { available, describeIf } from '../support/foreign-programs.js';
import type { Availability } from '../support/foreign-programs.js';
import { committedMessages, generatedMessages, largeMessage, traceBefore } from '../support/message-corpus.js';
import type { CorpusMessage } from '../support/message-corpus.js';
import { RunningPostern } from '../support/running-postern.js';
import { sendByMsmtp, sendByNodemailer, sendBySwaks } from '../support/senders.js';
import type { Sender } from '../support/senders.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import { Workspace } from '../support/workspace.js';

const CLIENTS: readonly { readonly name: string; readonly send: Sender; readonly needs: Availability }[] = [
  { name: 'swaks', send: sendBySwaks, needs: available('swaks') },
  { name: 'msmtp', send: sendByMsmtp, needs: available('msmtp') },
  { name: 'nodemailer', send: sendByNodemailer, needs: { ok: true } },
];
const AT_A_TIME = 4;
const LARGE_BYTES = 25_000_000;

const workspace = new Workspace('messages');
let postern: RunningPostern;

beforeAll(async () => {
  const policy = testPolicy([], { settings: { 'max-message-size': '40MB' } });
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

for (const { name, send, needs } of CLIENTS) {
  describeIf(needs, `by ${name}`, () => {
    test('the whole corpus arrives octet for octet', async () => {
      const messages = [...committedMessages(), ...generatedMessages()];
      expect(messages.length).toBeGreaterThan(60);
      const wrong: string[] = [];
      const todo = [...messages.entries()];
      const worker = async (): Promise<void> => {
        for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
          const [index, message] = next;
          const problem = await throughPostern(send, message, `${name}-${String(index)}@capture.test`);
          if (problem !== undefined) wrong.push(`${message.name}: ${problem}`);
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, worker));
      expect(wrong).toEqual([]);
    }, 180_000);

    test('25 MB arrive octet for octet', async () => {
      const large = { name: '25 MB', content: largeMessage(LARGE_BYTES) };
      expect(await throughPostern(send, large, `${name}-large@capture.test`)).toBeUndefined();
    }, 120_000);
  });
}

describe('by hand', () => {
  test('one message to a hundred recipients is kept for each of them', async () => {
    const content = Buffer.from('Subject: many\r\n\r\n.\r\n');
    const recipients = Array.from({ length: 100 }, (_, index) => `many${String(index)}@capture.test`);
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    expect((await dialog.deliver({ sender: 'a@client.test', recipients }, content)).code).toBe(250);
    await dialog.quit();
    const story = await postern.api.storyWhen('all deliveries', { recipient: 'many99@capture.test' }, (one) =>
      one.recipients.every(({ state, attempts }) => state === 'delivered' && attempts.length > 0),
    );
    const files = [...new Set(story.recipients.map(({ attempts }) => attempts.at(-1)?.host ?? ''))];
    const kept = files.map((file) => readFileSync(file, 'latin1'));
    for (const recipient of recipients) {
      expect(kept.filter((text) => text.includes(`Delivered-To: ${recipient}\r\n`))).toHaveLength(1);
    }
    for (const text of kept) expect(text.endsWith('\r\n.\r\n')).toBe(true);
  }, 60_000);
});

/** Resolves with what was wrong; undefined when the message arrived unchanged. */
async function throughPostern(send: Sender, message: CorpusMessage, recipient: string): Promise<string | undefined> {
  try {
    const { content } = message;
    await send({ port: postern.port('inside'), sender: 'ann@client.test', recipients: [recipient], content });
    const story = await postern.api.storyWhen(`delivery to ${recipient}`, { recipient }, (one) =>
      one.recipients.every(({ state, attempts }) => state === 'delivered' && attempts.length > 0),
    );
    const path = story.recipients[0]?.attempts.at(-1)?.host ?? '';
    if (path === '')
      return `the audit names no file: ${JSON.stringify(story.recipients)} ${JSON.stringify(story.events)}`;
    const trace = traceBefore(content, readFileSync(isAbsolute(path) ? path : join(postern.maildir('capture'), path)));
    if (!trace.some((field) => field.startsWith('Received:'))) return `no Received field in ${JSON.stringify(trace)}`;
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
