/**
 * One SCRAM-SHA-256 exchange, the server's side. RFC 5802, RFC 7677; over SMTP the last server message is a challenge
 * that the client answers with nothing (RFC 4954 s4).
 *
 * Channel binding is not offered: `n` and `y` are taken, `p=` is refused. For a name that does not exist the exchange
 * runs to its end with a salt made of the name, the same each time, and fails like one with a wrong password.
 * Known gaps: names are normalized to NFKC without the rest of SASLprep (RFC 4013).
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { printScramServerFirst, readScramClientFinal } from '#smtp-core';
import type { ScramClientFirst } from '#smtp-core';
import type { ScramCredentials } from './hooks.js';

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

const HASH_BYTES = 32;
const NONCE_BYTES = 18;

/** How exchanges for names that do not exist look. */
export interface Decoy {
  readonly secret: Uint8Array;
  readonly iterations: number;
  readonly saltBytes: number;
}

/** For names that do not exist: as good as real, but no proof fits. */
export function decoyCredentials(username: string, { secret, iterations, saltBytes }: Decoy): ScramCredentials {
  const salt = createHmac('sha512', secret).update(`salt ${username}`).digest().subarray(0, saltBytes);
  return { salt, iterations, storedKey: randomBytes(HASH_BYTES), serverKey: randomBytes(HASH_BYTES) };
}

export class ScramExchange {
  readonly #start: ScramClientFirst;
  readonly #credentials: ScramCredentials;
  readonly #nonce: string;
  readonly #serverFirst: string;

  /** `serverNonce` is random unless a test vector wants another. */
  constructor(start: ScramClientFirst, credentials: ScramCredentials, serverNonce = newNonce()) {
    this.#start = start;
    this.#credentials = credentials;
    this.#nonce = start.nonce + serverNonce;
    const { iterations } = credentials;
    this.#serverFirst = printScramServerFirst({ nonce: this.#nonce, salt: Buffer.from(credentials.salt), iterations });
  }

  get serverFirst(): Buffer {
    return Buffer.from(this.#serverFirst);
  }

  /** The server's last message; undefined when the proof, the nonce or the binding is wrong. */
  finish(message: Buffer): Buffer | undefined {
    const final = readScramClientFinal(message);
    if (final === undefined) return undefined;
    // All of it is computed whatever is wrong, so that time tells nothing.
    const authMessage = `${this.#start.bare},${this.#serverFirst},${final.withoutProof}`;
    const isProven = this.#isProof(final.proof, authMessage);
    if (!isProven || final.binding !== this.#start.gs2Header || final.nonce !== this.#nonce) return undefined;
    return Buffer.from(`v=${hmac(this.#credentials.serverKey, authMessage).toString('base64')}`);
  }

  #isProof(proof: Buffer, authMessage: string): boolean {
    const storedKey = Buffer.from(this.#credentials.storedKey);
    const signature = hmac(storedKey, authMessage);
    const clientKey = signature.map((octet, at) => octet ^ (proof[at] ?? 0));
    const computed = createHash('sha256').update(clientKey).digest();
    return proof.length === HASH_BYTES && storedKey.length === HASH_BYTES && timingSafeEqual(computed, storedKey);
  }
}

function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString('base64');
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
