/** A message's life seen from outside: what the client is told, where the mail ends, and what the audit says about it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { available, describeIf } from '../support/foreign-programs.js';
import { freePorts } from '../support/free-port.js';
import { messageIn } from '../support/maildir.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import type { DialogReply } from '../support/smtp-dialog.js';
import { startSink } from '../support/smtp-sink.js';
import type { RunningSink } from '../support/smtp-sink.js';
import { IMPATIENT, testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('mail');
afterAll(() => workspace.close(), 60_000);

describeIf(available('smtp-sink'), 'one message', () => {
  let postern: RunningPostern;
  let sink: RunningSink;
  /** Nothing listens there, until a test starts something. */
  let deadPort: number;
  let laterPort: number;
  let refusingPort: number;

  beforeAll(async () => {
    sink = workspace.use(await startSink({ keepIn: workspace.path('sink'), hostname: 'sink.test' }));
    const refusing = workspace.use(await startSink({ hardReject: 'RCPT', hostname: 'refusing.test' }));
    refusingPort = refusing.port;
    [deadPort = 0, laterPort = 0] = await freePorts(2);
    postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policyWith() }));
  }, 180_000);

  function policyWith(): unknown {
    const to = (...ports: readonly number[]): unknown => ({
      hosts: ports.map((port, index) => ({ host: '127.0.0.1', port, priority: index + 1 })),
      retry: 'impatient',
    });
    const routed = ['sink', 'second', 'dead', 'refusing', 'later'];
    return testPolicy([], {
      acl: {
        rcpt: [
          { name: 'leaver', when: { recipient: ['leaver@capture.test'] }, reject: '550 5.1.6 Mailbox has moved' },
          { name: 'not-now', when: { recipient: ['busy@capture.test'] }, defer: '450 4.2.1 Mailbox busy' },
        ],
      },
      routing: [
        { name: 'captured', when: { 'recipient.domain': 'captured-domains' }, route: 'capture' },
        ...routed.map((name) => ({ name, when: { 'recipient.domain': [`${name}.test`] }, route: name })),
        { name: 'rest', route: 'elsewhere' },
      ],
      routes: {
        capture: { file: { format: 'maildir', directory: 'capture' } },
        elsewhere: { file: { format: 'maildir', directory: 'elsewhere' } },
        sink: to(sink.port),
        second: to(deadPort, sink.port),
        dead: to(deadPort),
        refusing: to(refusingPort),
        later: to(laterPort),
      },
      retry: { impatient: IMPATIENT },
    });
  }

  async function deliver(sender: string, recipients: readonly string[], subject: string): Promise<DialogReply> {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    try {
      return await dialog.deliver({ sender, recipients }, Buffer.from(`Subject: ${subject}\r\n\r\n${subject}\r\n`));
    } finally {
      dialog.destroy();
    }
  }

  test('is relayed, and the audit tells its whole story', async () => {
    const reply = await deliver('ann@client.test', ['bob@sink.test'], 'whole story');
    expect(reply.text).toMatch(/^250 2\.\d\.0 /);
    const story = await postern.api.storyWhen('the delivery', { recipient: 'bob@sink.test' }, (one) =>
      one.recipients.every(({ state }) => state === 'delivered'),
    );
    expect(reply.text).toContain(story.trace);
    expect(story).toMatchObject({
      verdict: 'accepted',
      reply: reply.text,
      session: { ip: '127.0.0.1', helo: 'dialog.test', listener: 'inside' },
      envelope: { sender: 'ann@client.test' },
      message: { subject: 'whole story' },
      decision: { revision: 1, client: 'this-machine' },
      recipients: [{ original: 'bob@sink.test', address: 'bob@sink.test', verdict: 'accept', route: 'sink' }],
    });
    expect(story.recipients[0]?.attempts).toMatchObject([
      { attempt: 1, outcome: 'delivered', host: '127.0.0.1', port: sink.port, code: 250, reply: '250 2.0.0 Ok' },
    ]);
    const [arrived] = sink.messages().filter(({ content }) => content.includes('Subject: whole story'));
    expect(arrived?.content.toString()).toContain(`id ${story.trace}`);
  }, 60_000);

  test('is refused by a rule, and the audit names rule, revision and reply', async () => {
    const reply = await deliver('ann@client.test', ['leaver@capture.test'], 'never');
    expect(reply.text).toMatch(/^550 5\.1\.6 Mailbox has moved/);
    const story = await postern.api.storyWhen('the refusal', { recipient: 'leaver@capture.test' }, () => true);
    expect(story.recipients).toMatchObject([
      { verdict: 'reject', by: 'rcpt/leaver', reply: reply.text, state: 'refused', attempts: [] },
    ]);
    expect(story.decision.revision).toBe(1);
  }, 60_000);

  test('to three recipients: each is answered for itself', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    await dialog.command('MAIL FROM:<ann@client.test>', 250);
    const codes = [];
    for (const name of ['leaver', 'busy', 'fine'])
      codes.push((await dialog.command(`RCPT TO:<${name}@capture.test>`)).code);
    expect(codes).toEqual([550, 450, 250]);
    await dialog.command('DATA', 354);
    dialog.write('Subject: mixed\r\n\r\n.\r\n');
    await dialog.expect(250);
    await dialog.quit();
    const story = await postern.api.storyWhen('the story', { recipient: 'fine@capture.test' }, (one) =>
      one.recipients.some(({ state }) => state === 'delivered'),
    );
    const seen = story.recipients.map(({ original, verdict, by }) => `${original} ${verdict} ${by}`.trim());
    expect(seen.sort()).toEqual([
      'busy@capture.test defer rcpt/not-now',
      'fine@capture.test accept',
      'leaver@capture.test reject rcpt/leaver',
    ]);
  }, 60_000);

  test('from a sender its client may not use is refused', async () => {
    const reply = await deliver('boss@bank.test', ['bob@sink.test'], 'forged');
    expect(reply.code).toBe(550);
    const story = await postern.api.storyWhen('the refusal', { sender: 'boss@bank.test' }, () => true);
    expect([story.decision.by, ...story.recipients.map(({ by }) => by)]).toContain('builtin/sender-not-allowed');
  }, 60_000);

  test('goes to the second host when the first does not answer', async () => {
    expect((await deliver('ann@client.test', ['bob@second.test'], 'second host')).code).toBe(250);
    const story = await postern.api.storyWhen('the delivery', { recipient: 'bob@second.test' }, (one) =>
      one.recipients.every(({ state }) => state === 'delivered'),
    );
    expect(story.recipients[0]?.attempts.at(-1)).toMatchObject({ outcome: 'delivered', port: sink.port });
  }, 60_000);

  test('is refused by the next hop: a bounce with its reply goes to the sender', async () => {
    expect((await deliver('ann@capture.test', ['bob@refusing.test'], 'bounced at once')).code).toBe(250);
    const bounce = (
      await messageIn(postern.maildir('capture'), (one) => one.includes('bob@refusing.test'), 20_000)
    ).toString();
    expect(bounce).toMatch(/^Content-Type: multipart\/report;/m);
    expect(bounce).toMatch(/^Final-Recipient: rfc822; ?bob@refusing\.test/m);
    expect(bounce).toMatch(/^Action: failed/m);
    expect(bounce).toMatch(/^Diagnostic-Code: smtp; ?500 5\.3\.0 Error: command failed/m);
    expect(bounce).toContain('Subject: bounced at once');
    const story = await postern.api.storyWhen('the failure', { recipient: 'bob@refusing.test' }, (one) =>
      one.recipients.every(({ state }) => state === 'failed'),
    );
    expect(story.recipients[0]?.attempts).toMatchObject([{ outcome: 'failed', stage: 'rcpt', code: 500 }]);
    expect(story.events.map(({ kind }) => kind)).toContain('bounce.queued');
  }, 60_000);

  test('from the null sender is never bounced', async () => {
    expect((await deliver('', ['null@refusing.test'], 'no bounce')).code).toBe(250);
    const story = await postern.api.storyWhen('the failure', { recipient: 'null@refusing.test' }, (one) =>
      one.recipients.every(({ state }) => state === 'failed'),
    );
    await waitFor('the note', async () =>
      (await postern.api.transaction(story.id)).events.some(({ kind }) => kind === 'bounce.suppressed'),
    );
  }, 60_000);

  test('is tried again while the next hop defers, and delivered when it is back', async () => {
    const deferring = await startSink({ port: laterPort, softReject: 'RCPT' });
    try {
      expect((await deliver('ann@capture.test', ['bob@later.test'], 'later')).code).toBe(250);
      const deferred = await postern.api.storyWhen('a deferral', { recipient: 'bob@later.test' }, (one) =>
        one.recipients.every(({ attempts }) => attempts.length > 0),
      );
      expect(deferred.recipients[0]?.attempts[0]).toMatchObject({ outcome: 'deferred', stage: 'rcpt', code: 450 });
    } finally {
      await deferring.stop();
    }
    const back = await startSink({ port: laterPort, keepIn: workspace.path('back') });
    try {
      await waitFor('the message', () => back.messages().some(({ content }) => content.includes('Subject: later')));
      const story = await postern.api.storyWhen('the delivery', { recipient: 'bob@later.test' }, (one) =>
        one.recipients.every(({ state }) => state === 'delivered'),
      );
      expect(story.recipients[0]?.attempts.map(({ outcome }) => outcome)).toEqual(
        expect.arrayContaining(['deferred', 'delivered']),
      );
    } finally {
      await back.stop();
    }
  }, 60_000);

  test('is given up in the end, and bounced', async () => {
    expect((await deliver('ann@capture.test', ['bob@dead.test'], 'given up')).code).toBe(250);
    const bounce = await messageIn(postern.maildir('capture'), (one) => one.includes('bob@dead.test'), 40_000);
    expect(bounce.toString()).toMatch(/^Action: failed/m);
    const story = await postern.api.storyWhen('the end', { recipient: 'bob@dead.test' }, (one) =>
      one.recipients.every(({ state }) => state === 'expired' || state === 'failed'),
    );
    expect(story.recipients[0]?.attempts.length).toBeGreaterThan(1);
    expect(story.recipients[0]?.attempts[0]).toMatchObject({ outcome: 'deferred', stage: 'connect' });
  }, 90_000);
});
