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
  return ask(hooks, session, question) ?? (question.kind === 'data' ? DISCARD_CONTENT : ACCEPT);
}

function ask(
  hooks: SmtpServerHooks,
  session: ServerSession,
  question: Question,
): MaybePromise<Answer | DataAnswer> | undefined {
  switch (question.kind) {
    case 'connect':
      return hooks.connect?.(session);
    case 'helo':
      return hooks.helo?.(session, question.verb, question.domain);
    case 'auth':
    case 'xclient':
      return undefined;
    case 'mail':
      return hooks.mail?.(session, question.reversePath, question.params);
    case 'rcpt':
      return hooks.rcpt?.(session, question.forwardPath);
    case 'data':
      return hooks.data?.(session);
    case 'message':
      return hooks.message?.(session, question);
  }
}
