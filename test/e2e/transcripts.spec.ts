/** The transcripts of test/transcripts against the running gateway, its answers coming from a real policy. RFC 5321. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import path from 'node:path';
import { RunningPostern } from '../support/running-postern.js';
import { readTranscripts } from '../support/transcript.js';
import type { Step, Transcript } from '../support/transcript.js';
import { whole } from '../support/transcript-players.js';
import { canPlayOverTcp, playOverTcp } from '../support/transcript-tcp.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('transcripts');
afterAll(() => workspace.close(), 60_000);

/** Accepts whatever this machine says, so that only the protocol decides. */
const POLICY = {
  policy: 'transcripts',
  settings: { 'max-message-size': '50MiB' },
  listeners: {
    plain: { address: '127.0.0.1', port: 0, exposure: 'internal' },
    tls: {
      address: '127.0.0.1',
      port: 0,
      exposure: 'internal',
      tls: { mode: 'starttls', certificate: 'default' },
    },
  },
  clients: ['plain', 'tls'].map((listener) => ({
    name: `${listener}-client`,
    match: { ip: '127.0.0.0/8', listener },
    relay: 'anywhere',
  })),
  routing: [{ name: 'everything', route: 'capture' }],
  routes: { capture: { file: { format: 'maildir', directory: 'capture' } } },
};

/** Right in SMTP, and refused by every policy: `%`, `!` and `@` in local parts, and a postmaster of no domain of ours. */
const REFUSED_BY_POLICY: ReadonlySet<string> = new Set([
  'greeting/case-does-not-matter.smtp',
  'paths/percent-and-bang.smtp',
  'paths/quoted-local-part.smtp',
  'paths/two-at-signs.smtp',
  'rcpt/postmaster.smtp',
]);

/** Those in which nobody is refused by an answer of their own, and no option is needed but STARTTLS. */
const playable = readTranscripts(path.resolve(import.meta.dirname, '../transcripts')).filter((transcript) => {
  const { limits = {}, startTls: _, ...others } = transcript.options;
  const plain = Object.keys(others).length === 0 && Object.keys(limits).length === 0;
  const accepted = transcript.answers.every(
    ({ question, answer }) =>
      answer.effect === 'accept' && (answer.reply === undefined || question.startsWith('message')),
  );
  return plain && accepted && canPlayOverTcp(transcript) && !REFUSED_BY_POLICY.has(transcript.file);
});

/** The gateway says its own name for a message, and the transcript that of its script; its refusals name the transaction. */
function withOwnIds(transcript: Transcript): Transcript {
  const steps = transcript.steps.map((step): Step => {
    if (step.kind !== 'expect') return step;
    const text = step.text.replace(/^250 2\.0\.0 Accepted.*/, '250 2.0.0 Accepted {id}');
    return { ...step, text: /^[45]/.test(text) ? `${text}{trace?}` : text };
  });
  return { ...transcript, steps };
}

describe('the running gateway', () => {
  let postern: RunningPostern;

  beforeAll(async () => {
    const env = { GATEWAY_HOSTNAME: 'mx.test' };
    postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: POLICY, env }));
  }, 180_000);

  test('has most transcripts to play', () => {
    expect(playable.length).toBeGreaterThanOrEqual(150);
  });

  test.each(playable.map((transcript) => [transcript.file, transcript] as const))('%s', async (_, transcript) => {
    const listener = transcript.options.startTls === true ? 'tls' : 'plain';
    await playOverTcp(withOwnIds(transcript), { host: '127.0.0.1', port: postern.port(listener) }, whole);
  });
});
