/**
 * One question of the machine → the hook that answers it. A hook that is not given accepts.
 */
import type { Answer, AuthAnswer, Question } from '#smtp-core';
import type { ContentSink, DataAnswer, MaybePromise, ServerSession, SmtpServerHooks } from './hooks.js';

const ACCEPT: Answer = { effect: 'accept' };
const DISCARD: ContentSink = { write: () => undefined, abort: () => undefined };
const DISCARD_CONTENT: DataAnswer = { effect: 'accept', sink: DISCARD };

/** Questions that the connection answers itself are not for the hooks. */
type HookQuestion = Exclude<Question, { kind: 'auth' | 'xclient' }>;
export type AnyAnswer = Answer | AuthAnswer | DataAnswer;

export function askHooks(
  hooks: SmtpServerHooks,
  session: ServerSession,
  question: HookQuestion,
): MaybePromise<Answer | DataAnswer> {
  return ask(hooks, session, question) ?? (question.kind === 'data' ? DISCARD_CONTENT : ACCEPT);
}

function ask(
  hooks: SmtpServerHooks,
  session: ServerSession,
  question: HookQuestion,
): MaybePromise<Answer | DataAnswer> | undefined {
  switch (question.kind) {
    case 'connect':
      return hooks.connect?.(session);
    case 'helo':
      return hooks.helo?.(session, question.verb, question.domain);
    case 'mail':
      return hooks.mail?.(session, question.reversePath, question.params);
    case 'rcpt':
      return hooks.rcpt?.(session, question.forwardPath, question.params);
    case 'data':
      return hooks.data?.(session);
    case 'message':
      return hooks.message?.(session, question);
  }
}
