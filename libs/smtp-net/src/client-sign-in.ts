/** Answers the machine's questions about AUTH: whether credentials may be sent at all, and what is said next. */
import type { ClientInput } from '#smtp-core';
import { saslExchange } from './client-sasl.js';
import type { SaslExchange, SaslStep, SmtpCredentials } from './client-sasl.js';
import type { TlsEvidence } from './client-tls.js';

export class SignIn {
  readonly #credentials: SmtpCredentials;
  #exchange: SaslExchange | undefined;

  constructor(credentials: SmtpCredentials) {
    this.#credentials = credentials;
  }

  /** INVARIANT (secrets only to whom they are for): nothing of an exchange leaves before the server proved its name. */
  async answer(mechanism: string, challenge: Buffer | undefined, tls: TlsEvidence | undefined): Promise<ClientInput> {
    if (tls?.verified !== true && this.#credentials.withoutVerifiedTls !== true) {
      const message = `credentials are only sent over verified TLS: ${tls?.why ?? 'the connection is not encrypted'}`;
      return { kind: 'auth-impossible', message, enhanced: '4.7.11' };
    }
    const step = await this.#step(mechanism, challenge);
    return step.ok
      ? { kind: 'auth-response', response: step.response, mayEnd: step.mayEnd }
      : { kind: 'auth-impossible', message: step.message };
  }

  async #step(mechanism: string, challenge: Buffer | undefined): Promise<SaslStep> {
    try {
      this.#exchange ??= saslExchange(mechanism, this.#credentials);
      return await this.#exchange.respond(challenge);
    } catch {
      return { ok: false, message: 'the exchange of AUTH could not be computed' };
    }
  }
}
