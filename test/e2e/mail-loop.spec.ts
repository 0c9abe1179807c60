/** A message that has come by too many hosts is refused, and recorded as that. RFC 5321 s6.3. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('loop');
let postern: RunningPostern;

beforeAll(async () => {
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: testPolicy() }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

const hops = (count: number): string =>
  Array.from(
    { length: count },
    (_, hop) =>
      `Received: from h${String(hop)}.test ([192.0.2.1])\r\n\tby here.test with ESMTP id ${String(hop)};\r\n\tSun, 22 Nov 2026 10:00:00 +0000\r\n`,
  ).join('');

async function send(content: string, subject: string): Promise<string> {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  const reply = await dialog.deliver(
    { sender: 'ann@client.test', recipients: ['bob@capture.test'] },
    Buffer.from(`${content}Subject: ${subject}\r\n\r\nbody\r\n`),
  );
  await dialog.quit();
  return reply.text;
}

describe('a message that goes in a circle', () => {
  test('is accepted after a hundred hops, and refused after more', async () => {
    expect(await send(hops(100), 'far')).toMatch(/^250 2\.0\.0 /);
    expect(await send(hops(101), 'too far')).toMatch(/^554 5\.4\.6 .*loop/);
    // Hops that would not fit into memory are counted as well.
    expect(await send(hops(2000), 'round and round')).toMatch(/^554 5\.4\.6 /);
    const story = await postern.api.storyWhen('the refusal', { verdict: 'refused' }, () => true);
    expect(story.decision.by).toBe('builtin/loop');
  }, 60_000);
});
