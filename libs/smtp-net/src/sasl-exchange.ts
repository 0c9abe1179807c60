/**
 * One SASL exchange of a session: PLAIN (RFC 4616), LOGIN (as everybody speaks it), SCRAM-SHA-256 (RFC 7677). RFC 4954.
 *
 * The machine reads AUTH, base64, `*` and the order of things; here is what the octets mean and whom the hooks know.
 * Passwords are handed to the hook and kept nowhere.
 */
import { readPlain, readSaslField, readScramClientFirst } from '#smtp-core';
import type { AuthAnswer, AuthQuestion, ScramClientFirst } from '#smtp-core';
import type {
  AuthOutcome,
  AuthRefusal,
  MaybePromise,
  PasswordAnswer,
  PasswordCredentials,
  ScramCredentials,
  ServerSession,
  SmtpServerHooks,
} from './hooks.js';
import { SCRAM_SHA_256, ScramExchange, decoyCredentials } from './scram.js';
import type { Decoy } from './scram.js';

const REFUSED: AuthRefusal = { effect: 'refuse' };
const EMPTY = Buffer.alloc(0);

/** Those of `wanted` that these hooks can serve. */
export function usableMechanisms(wanted: readonly string[], hooks: SmtpServerHooks): readonly string[] {
  return wanted.filter((mechanism) => {
    if (mechanism === SCRAM_SHA_256) return hooks.scramCredentials !== undefined;
    return (mechanism === 'PLAIN' || mechanism === 'LOGIN') && hooks.authenticate !== undefined;
  });
}

type Step = (response: Buffer | undefined) => MaybePromise<AuthAnswer>;

export class SaslExchange {
  readonly #mechanism: string;
  readonly #hooks: SmtpServerHooks;
  readonly #session: ServerSession;
  readonly #decoy: Decoy;
  #next: Step;
  /** Given, and not told of yet. */
  #username: string | undefined;

  constructor(
    mechanism: string,
    { hooks, session, decoy }: { hooks: SmtpServerHooks; session: ServerSession; decoy: Decoy },
  ) {
    this.#mechanism = mechanism;
    this.#hooks = hooks;
    this.#session = session;
    this.#decoy = decoy;
    this.#next = (response) => this.#begin(response);
  }

  step({ response }: AuthQuestion): MaybePromise<AuthAnswer> {
    return this.#next(response);
  }

  /** The client broke off or left. */
  abandon(): MaybePromise<void> {
    return this.#tell('abandoned');
  }

  #begin(response: Buffer | undefined): MaybePromise<AuthAnswer> {
    switch (this.#mechanism) {
      case 'PLAIN':
        return response === undefined ? this.#ask(EMPTY, (message) => this.#plain(message)) : this.#plain(response);
      case 'LOGIN':
        return response === undefined
          ? this.#ask(Buffer.from('Username:'), (username) => this.#loginName(username))
          : this.#loginName(response);
      case SCRAM_SHA_256:
        return response === undefined ? this.#ask(EMPTY, (message) => this.#scram(message)) : this.#scram(response);
      default:
        return REFUSED;
    }
  }

  #ask(challenge: Buffer, next: (response: Buffer) => MaybePromise<AuthAnswer>): AuthAnswer {
    this.#next = (response) => next(response ?? EMPTY);
    return { effect: 'challenge', challenge };
  }

  #plain(message: Buffer): MaybePromise<AuthAnswer> {
    const given = readPlain(message);
    return given === undefined ? REFUSED : this.#check({ mechanism: 'PLAIN', ...given });
  }

  #loginName(message: Buffer): AuthAnswer {
    return this.#ask(Buffer.from('Password:'), (password) => {
      return this.#check({ mechanism: 'LOGIN', username: readSaslField(message), password: readSaslField(password) });
    });
  }

  #check(given: {
    mechanism: 'PLAIN' | 'LOGIN';
    username: string | undefined;
    password: string | undefined;
    authorizationId?: string;
  }): MaybePromise<AuthAnswer> {
    const { mechanism, username, password, authorizationId = '' } = given;
    if (isNoName(username) || password === undefined) return REFUSED;
    const forAnother = authorizationId !== '' && authorizationId !== username;
    const credentials: PasswordCredentials = {
      mechanism,
      username,
      password,
      ...(forAnother ? { authorizationId } : {}),
    };
    this.#username = username;
    const answer = this.#hooks.authenticate?.(this.#session, credentials) ?? REFUSED;
    return after(answer, (given) => this.#settled(credentials, given));
  }

  #settled({ username, authorizationId }: PasswordCredentials, answer: PasswordAnswer): MaybePromise<AuthAnswer> {
    const identity = answer.effect === 'accept' ? (answer.identity ?? username) : undefined;
    const ok = identity !== undefined && (authorizationId === undefined || identity === authorizationId);
    return after(this.#tell(ok ? 'proved' : 'failed'), () => {
      if (ok) return { effect: 'accept', identity };
      return answer.effect === 'refuse' ? answer : REFUSED;
    });
  }

  #scram(message: Buffer): MaybePromise<AuthAnswer> {
    const start = readScramClientFirst(message);
    if (start === undefined || isNoName(start.username)) return REFUSED;
    this.#username = start.username;
    const found = this.#hooks.scramCredentials?.(this.#session, start.username);
    return after(found, (credentials) => {
      if (credentials === undefined || !('effect' in credentials)) return this.#scramFirst(start, credentials);
      return after(this.#tell('failed'), () => credentials);
    });
  }

  #scramFirst(start: ScramClientFirst, credentials: ScramCredentials | undefined): AuthAnswer {
    const { username, authorizationId } = start;
    const exchange = new ScramExchange(start, credentials ?? decoyCredentials(username, this.#decoy));
    const mayAct = authorizationId === '' || authorizationId === username;
    return this.#ask(exchange.serverFirst, (message) => {
      const last = exchange.finish(message);
      if (last === undefined || credentials === undefined || !mayAct) return after(this.#tell('failed'), () => REFUSED);
      const identity = credentials.identity ?? username;
      const accept: AuthAnswer = { effect: 'accept', identity };
      return after(this.#tell('proved'), () => this.#ask(last, ({ length }) => (length === 0 ? accept : REFUSED)));
    });
  }

  #tell(result: AuthOutcome['result']): MaybePromise<void> {
    const username = this.#username;
    if (username === undefined) return;
    this.#username = undefined;
    return this.#hooks.authenticated?.(this.#session, { mechanism: this.#mechanism, username, result });
  }
}

/** `next` with what `value` is or will be; at once, when it is there. */
function after<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function isNoName(username: string | undefined): username is undefined {
  return username === undefined || /\p{Cc}/u.test(username);
}
