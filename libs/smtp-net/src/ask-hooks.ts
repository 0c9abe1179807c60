/**
 * One question of the machine → the hook that answers it. A hook that is not given accepts.
 */
import type { Answer, Question } from '#smtp-core';
import type { ContentSink, DataAnswer, MaybePromise, ServerSession, SmtpServerHooks } from './hooks.js';

const ACCEPT: Answer = { effect: 'accept' };
const DISCARD: ContentSink = { write: () => undefined, abort: () => undefined };
const DISCARD_CONTENT: DataAnswer = { effect: 'accept', sink: DISCARD };

export function askHooks(
  hooks: SmtpServerHooks,
  session: ServerSession,
  question: Question,
): MaybePromise<Answer | DataAnswer> {
  switch (question.kind) {
    case 'connect':
      return hooks.connect?.(session) ?? ACCEPT;
    case 'helo':
      return hooks.helo?.(session, question.verb, question.domain) ?? ACCEPT;
    case 'mail':
      return hooks.mail?.(session, question.reversePath, question.params) ?? ACCEPT;
    case 'rcpt':
      return hooks.rcpt?.(session, question.forwardPath) ?? ACCEPT;
    case 'data':
      return hooks.data?.(session) ?? DISCARD_CONTENT;
    case 'message':
      return hooks.message?.(session, question) ?? ACCEPT;
  }
}
