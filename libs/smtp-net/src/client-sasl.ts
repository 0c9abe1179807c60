/**
 * SASL as a client: PLAIN (RFC 4616), LOGIN (as everybody does it), SCRAM-SHA-256 (RFC 5802, RFC 7677).
 *
 * SCRAM lets the server prove that it knows the password too; until it has, the exchange may not end. Hostile parameters
 * (few or endless iterations, a nonce that is not ours) end it.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import {
  printPlain,
  printScramClientFirst,
  printScramWithoutProof,
  readScramServerFinal,
  readScramServerFirst,
} from '#smtp-core';
import type { ScramClientFirst } from '#smtp-core';

export const SASL_MECHANISMS = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];

export interface SmtpCredentials {
  readonly username: string;
  readonly password: string;
  /** Best first; default all, SCRAM first. */
  readonly mechanisms?: readonly SaslMechanism[];
  /** Sent although the server has not proven its name by TLS. */
  readonly withoutVerifiedTls?: boolean;
}

/** `mayEnd`: the server may accept now. A fault is why we do not go on. */
export type SaslStep =
  | { readonly ok: true; readonly response: Buffer | undefined; readonly mayEnd: boolean }
  | { readonly ok: false; readonly message: string };

export interface SaslExchange {
  /** `challenge` is undefined at the start. */
  respond(challenge: Buffer | undefined): SaslStep | Promise<SaslStep>;
}

const MIN_ITERATIONS = 4096;
const MAX_ITERATIONS = 1_000_000;
const KEY_OCTETS = 32;
const NO_OCTETS = Buffer.alloc(0);
const stretch = promisify(pbkdf2);

export function saslExchange(mechanism: string, credentials: SmtpCredentials): SaslExchange {
  switch (mechanism) {
    case 'SCRAM-SHA-256':
      return new ScramExchange(credentials);
    case 'LOGIN':
      return loginExchange(credentials);
    default:
      return plainExchange(credentials);
  }
}

function plainExchange({ username, password }: SmtpCredentials): SaslExchange {
  return {
    respond: (challenge) =>
      challenge === undefined || challenge.length === 0
        ? { ok: true, response: printPlain({ authorizationId: '', username, password }), mayEnd: true }
        : { ok: false, message: 'the server sent a challenge, and PLAIN has none' },
  };
}

function loginExchange({ username, password }: SmtpCredentials): SaslExchange {
  const answers = [undefined, username, password];
  let step = -1;
  return {
    respond: () => {
      step += 1;
      if (step >= answers.length) return { ok: false, message: 'the server asked for more than name and password' };
      const answer = answers[step];
      return { ok: true, response: answer === undefined ? undefined : Buffer.from(answer), mayEnd: step === 2 };
    },
  };
}

class ScramExchange implements SaslExchange {
  readonly #credentials: SmtpCredentials;
  readonly #nonce = randomBytes(18).toString('base64');
  readonly #first: ScramClientFirst;
  #step: 'first' | 'final' | 'proof' | 'over' = 'first';
  #serverSignature: Buffer | undefined;

  constructor(credentials: SmtpCredentials) {
    this.#credentials = credentials;
    const { username } = credentials;
    this.#first = printScramClientFirst({ username, authorizationId: '', nonce: this.#nonce });
  }

  respond(challenge: Buffer | undefined): SaslStep | Promise<SaslStep> {
    switch (this.#step) {
      case 'first':
        // RFC 4954 s4: an empty challenge asks for the initial response again.
        this.#step = 'final';
        return { ok: true, response: Buffer.from(this.#first.gs2Header + this.#first.bare), mayEnd: false };
      case 'final':
        this.#step = 'proof';
        return this.#prove(challenge ?? NO_OCTETS);
      case 'proof':
        this.#step = 'over';
        return this.#verify(challenge ?? NO_OCTETS);
      case 'over':
        return { ok: false, message: 'the server goes on after the end of SCRAM' };
    }
  }

  async #prove(challenge: Buffer): Promise<SaslStep> {
    const serverFirst = readScramServerFirst(challenge);
    if (serverFirst === undefined || !this.#isContinued(serverFirst.nonce)) {
      return { ok: false, message: 'the server sent a challenge that is not SCRAM' };
    }
    const { nonce, salt, iterations } = serverFirst;
    if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
      const wanted = `the server wants ${String(iterations)} iterations of SCRAM`;
      return { ok: false, message: `${wanted}, expected 4096 to 1000000` };
    }
    const password = this.#credentials.password.normalize('NFKC');
    const salted = await stretch(password, salt, iterations, KEY_OCTETS, 'sha256');
    const withoutProof = printScramWithoutProof(this.#first.gs2Header, nonce);
    const signed = `${this.#first.bare},${challenge.toString('utf8')},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
    const proof = Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0)));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), signed);
    return { ok: true, response: Buffer.from(`${withoutProof},p=${proof.toString('base64')}`), mayEnd: false };
  }

  #isContinued(nonce: string): boolean {
    return nonce.startsWith(this.#nonce) && nonce !== this.#nonce;
  }

  #verify(serverFinal: Buffer): SaslStep {
    const given = readScramServerFinal(serverFinal);
    const expected = this.#serverSignature;
    const proven = given !== undefined && expected?.length === given.length && timingSafeEqual(given, expected);
    if (!proven) {
      return { ok: false, message: 'the server could not prove that it knows the password' };
    }
    return { ok: true, response: Buffer.alloc(0), mayEnd: true };
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
