/**
 * What becomes of a session when a question of it has been answered. RFC 5321 s4.1.1; RFC 4954 s4.
 */
import { bannerReply, ehloReply, heloReply } from './extensions.js';
import { replyFor } from './reply-catalogue.js';
import type { Reply } from './reply.js';
import { challengeReply } from './sasl-dialog.js';
import { beginChunk, refuseFirstChunk } from './session-content.js';
import { offersOf } from './session-demands.js';
import type { Answer, AuthAnswer, AuthQuestion, Question } from './session-io.js';
import type { SessionState, Transaction } from './session-state.js';
import type { SessionVoice } from './session-voice.js';

/** The answer fits the question: `assertFits`. */
export function takeAnswer(
  question: Question,
  answer: Answer | AuthAnswer,
  state: SessionState,
  voice: SessionVoice,
): void {
  if (question.kind === 'auth') takeAuthAnswer(question, answer as AuthAnswer, state, voice);
  else if (answer.effect === 'accept') accepted(question, answer, state, voice);
  else if (answer.effect === 'refuse') refused(question, answer as Extract<Answer, { effect: 'refuse' }>, state, voice);
}

type Accepted = Extract<Answer, { effect: 'accept' }>;

// INVARIANT (no unasked acceptance): the only place that utters a positive reply to a mail command.
function accepted(
  question: Exclude<Question, AuthQuestion>,
  { reply, trace }: Accepted,
  state: SessionState,
  voice: SessionVoice,
): void {
  switch (question.kind) {
    case 'connect':
      voice.reply(reply ?? bannerReply(state.options.hostname));
      return;
    case 'helo':
      voice.endTransaction('helo');
      state.spoiled = false;
      state.helo = question.domain;
      state.protocol = question.verb === 'EHLO' ? 'ESMTP' : 'SMTP';
      voice.reply(greetingReply(state));
      return;
    case 'xclient':
      // The session begins anew, for another client.
      state.forget();
      voice.ask({ kind: 'connect' });
      return;
    case 'mail':
      state.tally.transactions += 1;
      state.transaction = { recipients: 0, utf8: question.params.smtpUtf8 === true, trace };
      voice.reply(reply ?? replyFor('sender-ok'));
      return;
    case 'rcpt':
      state.transaction = withRecipient(state.transaction);
      voice.reply(reply ?? replyFor('recipient-ok'));
      return;
    case 'data':
      acceptContent(state, voice);
      return;
    case 'message':
      state.transaction = undefined;
      state.tally.messageAccepted();
      voice.reply(reply ?? replyFor('message-accepted'));
      return;
  }
}

function withRecipient(transaction: Transaction | undefined): Transaction {
  return {
    recipients: (transaction?.recipients ?? 0) + 1,
    utf8: transaction?.utf8 === true,
    trace: transaction?.trace,
  };
}

function greetingReply(state: SessionState): Reply {
  const { hostname } = state.options;
  if (state.protocol === 'SMTP') return heloReply(hostname);
  const { maxMessageBytes, maxRecipients } = state.limits;
  return ehloReply({ hostname, maxMessageBytes, maxRecipients, offers: offersOf(state) });
}

function acceptContent(state: SessionState, voice: SessionVoice): void {
  const chunk = state.firstChunk;
  state.firstChunk = undefined;
  if (chunk !== undefined) beginChunk(chunk, state, voice);
  else {
    state.intake.beginDots();
    voice.reply(replyFor('send-content'));
  }
}

function refused(
  question: Question,
  { reply, close }: Extract<Answer, { effect: 'refuse' }>,
  state: SessionState,
  voice: SessionVoice,
): void {
  const chunk = state.firstChunk;
  state.firstChunk = undefined;
  if (question.kind === 'message') state.transaction = undefined;
  if (close === true || question.kind === 'connect' || reply.code === 421) voice.close('refused', reply);
  else if (chunk !== undefined) refuseFirstChunk(chunk, reply, state, voice);
  else voice.reply(reply);
}

function takeAuthAnswer(question: AuthQuestion, answer: AuthAnswer, state: SessionState, voice: SessionVoice): void {
  if (answer.effect === 'challenge') {
    voice.reply(challengeReply(answer.challenge));
    return;
  }
  state.sasl = undefined;
  if (answer.effect === 'accept') {
    state.auth = { identity: answer.identity, mechanism: question.mechanism };
    voice.reply(answer.reply ?? replyFor('auth-ok'));
    return;
  }
  const reply = answer.reply ?? replyFor('auth-failed');
  state.tally.errors += 1;
  if (answer.close === true || reply.code === 421) voice.close('refused', reply);
  else voice.replyUnlessTooMany(reply);
}
