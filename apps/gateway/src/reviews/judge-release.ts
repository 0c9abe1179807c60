/**
 * Held mail judged again from the message phase on: facts of connection and envelope as they were recorded, facts of the
 * content as the policy in force asks for them, without the rule that held it.
 */
import type { Database, DueReview } from '#database';
import type { MailAuthResults } from '#mail-auth';
import { StructureScanner } from '#mime';
import { judgeMessage, type Facts, type RecipientDecision, type Snapshot } from '#policy';
import { contentFacts } from '../inbound/content-facts.js';
import { recordedAuthFacts } from '../mail-auth/mail-auth-facts.js';
import { readSpool } from '../relay/spool-content.js';
import type { Spool } from '../relay/spooled-queue.js';

export interface ReleaseUses {
  readonly transaction: Database['audit']['transaction'];
  readonly spool: Spool;
}

export interface JudgedRelease {
  readonly decision: RecipientDecision;
  /** What was found out about who sent it, when it came. */
  readonly authentication: MailAuthResults | undefined;
}

export async function judgeRelease(use: ReleaseUses, mail: DueReview, snapshot: Snapshot): Promise<JudgedRelease> {
  const story = await use.transaction(mail.messageId);
  const recorded = story?.record.recipients.find(({ id }) => id === mail.id);
  if (story === undefined || recorded === undefined) throw new Error('the record of the transaction is gone');
  const { record } = story;
  const content = await factsOfContent(use, mail, snapshot, record.message?.sizeBytes ?? 0);
  const facts: Facts = {
    ...record.facts,
    ...recorded.facts,
    ...content,
    ...recordedAuthFacts(snapshot.policy, record.authentication),
    time: new Date().toISOString(),
  };
  const decided: RecipientDecision = {
    verdict: 'accept',
    by: '',
    client: record.client,
    tags: recorded.tags ?? [],
    answer: 'now',
    original: recorded.original,
    recipient: recorded.address,
  };
  return {
    decision: judgeMessage(snapshot, { facts, decided, overridden: mail.rule }),
    // Written by `evidenceOf`.
    authentication: record.authentication as MailAuthResults | undefined,
  };
}

async function factsOfContent(
  use: ReleaseUses,
  mail: DueReview,
  snapshot: Snapshot,
  sizeBytes: number,
): Promise<Facts> {
  const { contentFacts: wanted } = snapshot.policy;
  if (wanted === undefined) return { size: sizeBytes };
  const scanner = new StructureScanner({ structure: [...wanted].some((name) => name.startsWith('attachment.')) });
  const content = await use.spool.fetched(mail.content);
  let isFirst = true;
  for await (const chunk of content.kind === 'inline' ? [content.bytes] : readSpool(content)) {
    scanner.write(isFirst ? withoutTrace(chunk) : chunk);
    isFirst = false;
  }
  return contentFacts(wanted, { report: scanner.report(), sizeBytes });
}

const LF = 10;

/** Our own trace field is not what the client sent. It is the first, and shorter than a block. */
function withoutTrace(chunk: Uint8Array): Uint8Array {
  let at = 0;
  for (;;) {
    const lf = chunk.indexOf(LF, at);
    if (lf === -1) return chunk;
    at = lf + 1;
    if (chunk[at] !== 32 && chunk[at] !== 9) return chunk.subarray(at);
  }
}
