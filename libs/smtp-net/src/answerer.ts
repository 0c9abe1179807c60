/**
 * Answers the questions of one session's machine: most by the hooks; AUTH step by step, XCLIENT by becoming another
 * client, the greeting after the listener's delay.
 */
import { replyFor } from '#smtp-core';
import type { Answer, AuthQuestion, Question, Reply } from '#smtp-core';
import { askHooks } from './ask-hooks.js';
import type { AnyAnswer } from './ask-hooks.js';
import type { Connection } from './connection.js';
import type { ConnectionHost } from './connection-host.js';
import type { Endpoint, MaybePromise, XclientFacts } from './hooks.js';
import { SaslExchange } from './sasl-exchange.js';
import { readXclient } from './xclient.js';

/** When a hook has thrown; of the others the `engine-fault`. */
const FAULT_REPLIES: Partial<Record<Question['kind'], 'internal-error' | 'auth-unavailable'>> = {
  connect: 'internal-error',
  auth: 'auth-unavailable',
};

export class Answerer {
  readonly #host: ConnectionHost;
  readonly #connection: Connection;
  #client: Endpoint;
  readonly #local: Endpoint;
  #xclient: XclientFacts | undefined;
  #sasl: SaslExchange | undefined;
  #endDelay: (() => void) | undefined;

  constructor(host: ConnectionHost, connection: Connection, { client, local }: { client: Endpoint; local: Endpoint }) {
    this.#host = host;
    this.#connection = connection;
    this.#client = client;
    this.#local = local;
  }

  get client(): Endpoint {
    return this.#client;
  }

  /** Where the client connected to. */
  get local(): Endpoint {
    return this.#xclient?.destination ?? this.#local;
  }

  get xclient(): XclientFacts | undefined {
    return this.#xclient;
  }

  answer(question: Question): MaybePromise<AnyAnswer> {
    switch (question.kind) {
      case 'auth':
        return this.#authenticate(question);
      case 'xclient':
        return this.#becomeAnother(question.attributes);
      case 'connect':
        return this.#greet(question);
      default:
        return askHooks(this.#host.hooks, this.#connection, question);
    }
  }

  /** What a client is told when the answer threw. `named`: with the trace of its transaction, if it has one. */
  faultReply(kind: Question['kind'], named: (reply: Reply) => Reply): Reply {
    const plain = replyFor(FAULT_REPLIES[kind] ?? 'engine-fault');
    const reply = named(plain);
    if (reply !== plain) return reply;
    let trace: string | undefined;
    try {
      trace = this.#host.hooks.traceOf?.(this.#connection);
    } catch (error) {
      this.#host.bug(error, this.#connection);
    }
    return trace === undefined ? plain : { ...plain, lines: [`${plain.lines.join(' ')} [${trace}]`] };
  }

  /** Ends the delay of the greeting, if there is one. */
  greetNow(): void {
    this.#endDelay?.();
  }

  /** The session has ended. */
  leave(): MaybePromise<void> {
    const sasl = this.#sasl;
    this.#sasl = undefined;
    return sasl?.abandon();
  }

  /** Asks `connect`; the first time after the delay of the listener. */
  #greet(question: Extract<Question, { kind: 'connect' }>): MaybePromise<AnyAnswer> {
    const { hooks, settings } = this.#host;
    const delayMs = this.#xclient === undefined ? (settings.greetingDelayMs ?? 0) : 0;
    if (delayMs <= 0) return askHooks(hooks, this.#connection, question);
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#endDelay = () => {
        clearTimeout(timer);
        resolve();
      };
    }).then(() => {
      this.#endDelay = undefined;
      return askHooks(hooks, this.#connection, question);
    });
  }

  async #authenticate(question: AuthQuestion): Promise<AnyAnswer> {
    if (question.step === 'start') {
      await this.leave();
      const { hooks, decoy } = this.#host;
      this.#sasl = new SaslExchange(question.mechanism, { hooks, session: this.#connection, decoy });
    }
    const answer = (await this.#sasl?.step(question)) ?? { effect: 'refuse' };
    if (answer.effect !== 'challenge') this.#sasl = undefined;
    return answer;
  }

  /** The machine begins anew and asks `connect` when this is accepted. */
  #becomeAnother(attributes: ReadonlyMap<string, string>): Answer {
    const outcome = readXclient(attributes, this);
    if (outcome === undefined) return { effect: 'refuse', reply: replyFor('bad-argument') };
    if (!this.#host.recount(this.#connection, outcome.client)) {
      return { effect: 'refuse', reply: replyFor('too-many-connections') };
    }
    this.#client = outcome.client;
    this.#xclient = outcome.facts;
    return { effect: 'accept' };
  }
}
