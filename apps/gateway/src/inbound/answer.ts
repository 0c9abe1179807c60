/**
 * The gateway's answers to the SMTP machine's questions: question → facts → decision → reply.
 *
 * It decides nothing itself: what a policy can say, the policy says; what remains
 * (no policy loaded, database away, no room, a loop) is refused temporarily, except the loop.
 */
import type { Answer, ForwardPath, MailParams, Reply, ReversePath, TransactionEnd } from '#smtp-core';
import type { DataAnswer, ServerSession, SmtpServerHooks } from '#smtp-net';
import type { AnswerDependencies } from './answer-dependencies.js';
import { ContentAnswers } from './content-answers.js';
import { EnvelopeAnswers } from './envelope-answers.js';
import { SessionAnswers } from './session-answers.js';

export class InboundAnswers implements SmtpServerHooks {
  readonly #session: SessionAnswers;
  readonly #envelope: EnvelopeAnswers;
  readonly #content: ContentAnswers;

  constructor(use: AnswerDependencies) {
    this.#session = new SessionAnswers(use);
    this.#envelope = new EnvelopeAnswers(use);
    this.#content = new ContentAnswers(use);
  }

  connect(session: ServerSession): Answer {
    return this.#session.connect(session);
  }

  helo(session: ServerSession, _verb: 'EHLO' | 'HELO', domain: string): Answer {
    return this.#session.helo(session, domain);
  }

  mail(session: ServerSession, reversePath: ReversePath, parameters: MailParams): Answer {
    return this.#envelope.mail(session, reversePath, parameters);
  }

  rcpt(session: ServerSession, forwardPath: ForwardPath): Answer {
    return this.#envelope.rcpt(session, forwardPath);
  }

  data(session: ServerSession): DataAnswer {
    return this.#content.data(session);
  }

  message(session: ServerSession): Promise<Answer> {
    return this.#content.message(session);
  }

  transactionEnded(session: ServerSession, why: TransactionEnd, reply?: Reply): void {
    this.#envelope.ended(session, why, reply);
  }

  sessionEnded(session: ServerSession, reason: string): void {
    this.#session.ended(session, reason);
  }
}
