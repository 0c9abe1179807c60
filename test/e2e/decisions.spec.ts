/**
 * decision = f(facts, snapshot): whatever the gateway decided is decided again from what it recorded, and nothing else.
 * The policy changes in between, so that deciding by the live policy instead of the recorded one would fail.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildManagedList, compile, createSnapshot, decideTransaction, type Facts, type ManagedList } from '#policy';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

interface RecordedStory {
  readonly verdict: string;
  readonly decision: {
    readonly revision: number;
    readonly client: string;
    readonly by: string;
    readonly lists: Readonly<Record<string, number>>;
    readonly facts: Facts;
  };
  readonly recipients: readonly {
    readonly original: string;
    readonly address: string;
    readonly verdict: string;
    readonly by: string;
    readonly reply: string;
    readonly route?: string;
    readonly queue?: string;
    readonly addedBy?: string;
    readonly facts: Facts;
  }[];
}

const workspace = new Workspace('decisions');
let postern: RunningPostern;

function policyWith(rcpt: readonly PolicyDocument[]): PolicyDocument {
  const base = testPolicy();
  return {
    ...base,
    lists: { ...(base['lists'] as object), leavers: { type: 'address', source: 'managed', use: 'deny' } },
    domains: [{ match: 'captured-domains', recipients: 'any', reason: 'a test' }],
    rewriting: [{ name: 'old', recipient: { from: '*@old.test', to: '{local}@capture.test' } }],
    acl: {
      mail: [{ name: 'odd-helo', when: { 'helo.kind': 'malformed' }, reject: '550 5.7.1 Say who you are' }],
      rcpt: [
        { name: 'listed', when: { recipient: 'leavers' }, reject: '550 5.1.6 Has left' },
        { name: 'moved', when: { 'recipient.local': ['moved'] }, redirect: 'ann@capture.test', tag: 'was-moved' },
        ...rcpt,
      ],
      message: [
        {
          name: 'marked',
          when: { 'header.X-Mark': ['yes'] },
          'set-header': { 'X-Seen': 'yes' },
          'add-recipient': 'eve@capture.test',
        },
        { name: 'subject', when: { subject: ['refuse me'] }, reject: '550 5.7.1 Refused as wished' },
        { name: 'not-amy', when: { from: ['z@client.test'], 'recipient.local': ['amy'] }, defer: '451 4.7.1 Not now' },
        { name: 'programs', when: { 'attachment.name': ['a.exe'] }, hold: 'mixed' },
        { name: 'drop', when: { size: { below: '20B' } }, discard: true, reason: 'a test' },
      ],
    },
    copies: [{ name: 'all', when: { sender: ['copied@client.test'] }, route: 'elsewhere' }],
  };
}

const CONTENT = 'Subject: decided\r\n\r\nbody';

/** Every recipient is tried, some are refused; with `content` the accepted ones get a message, or it is refused too. */
async function talk(sender: string, recipients: readonly string[], content: string | false = CONTENT): Promise<void> {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  await dialog.command(`MAIL FROM:<${sender}>`, 250);
  for (const recipient of recipients) await dialog.command(`RCPT TO:<${recipient}>`);
  if (content !== false) {
    await dialog.command('DATA', 354);
    dialog.write(`${content}\r\n.\r\n`);
    await dialog.reply();
  }
  await dialog.quit();
}

beforeAll(async () => {
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policyWith([]) }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

/** Members of `leavers` by revision: the test makes the changes, so it knows. */
const LEAVERS: readonly (readonly string[])[] = [[], ['bob@capture.test'], []];

function listsAt(revisions: Readonly<Record<string, number>>): ReadonlyMap<string, ManagedList> {
  return new Map(
    Object.entries(revisions).map(([name, revision]) => [
      name,
      buildManagedList('address', name, revision, LEAVERS[revision] ?? []),
    ]),
  );
}

async function sourceOf(revision: number): Promise<string> {
  const answer = await postern.api.expectOk('GET', `/v1/policies/main/revisions/${String(revision)}`);
  return (answer as { source: string }).source;
}

async function decideAgain(story: RecordedStory): Promise<unknown> {
  const compiled = compile(await sourceOf(story.decision.revision));
  if (!compiled.ok) throw new Error('a stored revision does not compile');
  const snapshot = createSnapshot(compiled.policy, listsAt(story.decision.lists));
  const again = decideTransaction(
    snapshot,
    story.decision.facts,
    named(story).map((recipient) => recipient.facts),
  );
  return {
    client: again.mail.client,
    recipients: again.recipients.map(({ original, recipient, verdict, by, route, reply, reviewQueue }) => ({
      original,
      queue: reviewQueue,
      address: recipient,
      verdict,
      by,
      route,
      reply: reply === undefined ? '250 2.1.5 Recipient OK' : `${String(reply.code)} ${reply.enhanced} ${reply.text}`,
    })),
  };
}

/** Those that the client named; the others follow from them. */
function named({ recipients }: RecordedStory): RecordedStory['recipients'] {
  return recipients.filter(({ addedBy }) => addedBy === undefined);
}

function decided(story: RecordedStory): unknown {
  return {
    client: story.decision.client,
    recipients: named(story).map(({ original, address, verdict, by, route, reply, queue }) => ({
      original,
      queue,
      address,
      verdict,
      by,
      route,
      reply: reply.replace(/ \[[0-9A-Z]{26}\]$/, ''),
    })),
  };
}

describe('every recorded decision', () => {
  test('is made again by facts and snapshot alone', async () => {
    await talk('ann@client.test', ['bob@capture.test', 'x@old.test', 'y@elsewhere.test']);
    await talk('', ['postmaster@capture.test']);
    await talk('forged@bank.test', ['bob@capture.test'], false);
    await talk('ann@client.test', ['bob@capture.test', 'moved@capture.test'], `X-Mark: yes\r\n${CONTENT}`);
    await talk('ann@client.test', ['bob@capture.test'], 'Subject: =?utf-8?b?cmVmdXNlIG1l?=\r\n\r\nbody');
    await talk('ann@client.test', ['amy@capture.test', 'bob@capture.test'], `From: z@client.test\r\n${CONTENT}`);
    await talk('ann@client.test', ['amy@capture.test'], `From: z@client.test\r\n${CONTENT}`);
    await talk('copied@client.test', ['amy@capture.test'], `Content-Type: a/b; name="a.exe"\r\n${CONTENT}`);
    await talk('copied@client.test', ['amy@capture.test', 'bob@capture.test']);
    await talk('ann@client.test', ['amy@capture.test'], 'A: b\r\n\r\nx');
    await talk('ann@client.test', ['amy@capture.test'], `${'X: y\r\n'.repeat(1100)}\r\nbody`);
    await postern.api.addEntry('leavers', 'bob@capture.test');
    await waitFor('the list to be in force', async () => (await answerTo('bob@capture.test')) === 550);
    await talk('ann@client.test', ['bob@capture.test', 'bob@old.test', 'amy@capture.test']);
    await postern.api.removeEntry('leavers', 'bob@capture.test');
    await postern.api.publish(
      policyWith([{ name: 'nobody', when: { recipient: ['amy@capture.test'] }, defer: '451 4.7.1 Later' }]),
    );
    await waitFor('the policy to be in force', async () => (await answerTo('amy@capture.test')) === 451);
    await talk('ann@client.test', ['amy@capture.test', 'bob@capture.test', 'a%b@capture.test', '"q u"@capture.test']);
    const stories = await waitFor('all transactions in the audit', async () => {
      const found = await postern.api.search({ limit: '500' });
      return found.length >= 15 ? found : undefined;
    });
    const verdicts = new Set<string>();
    for (const { id } of stories) {
      const story = (await postern.api.transaction(id)) as unknown as RecordedStory;
      expect(await decideAgain(story)).toEqual(decided(story));
      expect(await postern.api.expectOk('GET', `/v1/transactions/${id}/explain`)).toMatchObject({
        same: true,
        differences: [],
      });
      for (const recipient of story.recipients) verdicts.add(`${recipient.verdict} ${recipient.by}`);
    }
    // Otherwise the equality above would have compared little.
    expect([...verdicts].sort()).toEqual(
      expect.arrayContaining([
        'accept ',
        'defer message/subject',
        'defer message/not-amy',
        'defer rcpt/nobody',
        'discard message/drop',
        'hold message/not-amy',
        'hold message/programs',
        'reject builtin/sender-not-allowed',
        'reject message/subject',
        'reject rcpt/listed',
      ]),
    );
  }, 120_000);
});

async function answerTo(recipient: string): Promise<number> {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  try {
    await dialog.command('MAIL FROM:<ann@client.test>', 250);
    return (await dialog.command(`RCPT TO:<${recipient}>`)).code;
  } finally {
    dialog.destroy();
  }
}
