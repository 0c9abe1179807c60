/**
 * Small judgements of `SmtpServerSession` that need none of its state.
 */
import type { ContentFault } from './content-decoder.js';
import { replyFor } from './reply-catalogue.js';
import type { ReplyKey } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import type { Answer, AuthAnswer, CloseReason, Question, TransactionEnd } from './session-io.js';

/** Refusals that are no mistake of the client's and are not counted as one. */
export const NO_FAULTS: ReadonlySet<ReplyKey> = new Set<ReplyKey>([
  'message-too-big',
  'no-recipients',
  'too-many-recipients',
]);

/** What a transaction that was open when the session closed is told. */
export function endFor(reason: CloseReason): TransactionEnd {
  if (reason === 'quit' || reason === 'timeout') return reason;
  return reason === 'eof' || reason === 'lost' ? 'lost' : 'closed';
}

export function refusalOf(fault: ContentFault | undefined): Reply | undefined {
  if (fault === undefined) return undefined;
  return replyFor(fault === 'too-large' ? 'message-too-big' : 'bad-content');
}

/** INVARIANT (no false acceptance): a refusal is never told with a positive code, nor an acceptance with another. */
export function assertFits(question: Question, answer: Answer | AuthAnswer): void {
  if (question.kind === 'auth') {
    if (answer.effect === 'accept' && !('identity' in answer)) throw new Error('`auth` was accepted for no identity');
  } else if (answer.effect === 'challenge' || (answer.effect === 'refuse' && answer.reply === undefined)) {
    throw new Error(`the answer to \`${question.kind}\` has no reply`);
  }
  if (answer.effect === 'challenge' || answer.reply === undefined) return;
  const { effect, reply } = answer;
  const fits = effect === 'accept' ? reply.code >= 200 && reply.code < 300 : reply.code >= 400 && reply.code < 600;
  if (!fits) throw new Error(`an answer \`${effect}\` cannot be told with reply code ${String(reply.code)}`);
}
