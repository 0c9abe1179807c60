/**
 * The gateway's answers to the SMTP machine's questions: question → facts → decision → reply.
 *
 * It decides nothing itself: what a policy can say, the policy says; what remains
 * (no policy loaded, database away, no room, a loop) is refused temporarily, except the loop.
 */
import type {
  Answer,
  ForwardPath,
  MailParams,
  RcptParams,
  RefusedCommand,
  Reply,
  ReversePath,
  TransactionEnd,
} from '#smtp-core';
import type {
  AuthOutcome,
  AuthRefusal,
  DataAnswer,
  Endpoint,
  MaybePromise,
  PasswordAnswer,
  PasswordCredentials,
  ScramCredentials,
  ServerSession,
  SmtpServerHooks,
  TurnedAway,
} from '#smtp-net';
import type { AnswerDependencies } from './answer-dependencies.js';
import { AuthAnswers } from './auth-answers.js';
import { ContentAnswers } from './content-answers.js';
import { EnvelopeAnswers } from './envelope-answers.js';
import { SERVICE_NOT_READY } from './replies.js';
import { SessionAnswers } from './session-answers.js';

export class InboundAnswers implements SmtpServerHooks {
  readonly #session: SessionAnswers;
  readonly #auth: AuthAnswers;
  readonly #envelope: EnvelopeAnswers;
  readonly #content: ContentAnswers;

  readonly #turnedAway: AnswerDependencies['turnedAway'];
  readonly #isDraining: AnswerDependencies['isDraining'];

  constructor(use: AnswerDependencies) {
    this.#isDraining = use.isDraining;
    this.#turnedAway = use.turnedAway;
    this.#session = new SessionAnswers(use);
    this.#auth = new AuthAnswers(use);
    this.#envelope = new EnvelopeAnswers(use);
    this.#content = new ContentAnswers(use);
  }

  connect(session: ServerSession): MaybePromise<Answer> {
    return this.#session.connect(session);
  }

  helo(session: ServerSession, _verb: 'EHLO' | 'HELO', domain: string): MaybePromise<Answer> {
    return this.#session.helo(session, domain);
  }

  mail(session: ServerSession, reversePath: ReversePath, parameters: MailParams): MaybePromise<Answer> {
    if (this.#isDraining()) return { effect: 'refuse', reply: SERVICE_NOT_READY, close: true };
    return this.#envelope.mail(session, reversePath, parameters);
  }

  rcpt(session: ServerSession, forwardPath: ForwardPath, parameters: RcptParams): MaybePromise<Answer> {
    return this.#envelope.rcpt(session, forwardPath, parameters);
  }

  authenticate(session: ServerSession, credentials: PasswordCredentials): Promise<PasswordAnswer> {
    return this.#auth.password(session, credentials);
  }

  scramCredentials(session: ServerSession, username: string): Promise<ScramCredentials | AuthRefusal> {
    return this.#auth.scram(session, username);
  }

  authenticated(session: ServerSession, outcome: AuthOutcome): Promise<void> {
    return this.#auth.ended(session, outcome);
  }

  data(session: ServerSession): DataAnswer {
    return this.#content.data(session);
  }

  message(session: ServerSession): MaybePromise<Answer> {
    return this.#content.message(session);
  }

  commandRefused(session: ServerSession, command: RefusedCommand, reply: Reply): void {
    this.#envelope.notAsked(session, command, reply);
  }

  transactionEnded(session: ServerSession, why: TransactionEnd, reply?: Reply): void {
    this.#envelope.ended(session, why, reply);
  }

  sessionEnded(session: ServerSession, reason: string): void {
    this.#session.ended(session, reason);
  }

  traceOf(session: ServerSession): string | undefined {
    return this.#session.traceOf(session);
  }

  turnedAway(_client: Endpoint, why: TurnedAway, listener: string): void {
    this.#turnedAway.add(listener, why);
  }
}
