/**
 * One SCRAM-SHA-256 exchange, the server's side. RFC 5802, RFC 7677; over SMTP the last server message is a challenge
 * that the client answers with nothing (RFC 4954 s4).
 *
 * Channel binding is not offered: `n` and `y` are taken, `p=` is refused. For a name that does not exist the exchange
 * runs to its end with a salt made of the name, the same each time, and fails like one with a wrong password.
 * Known gaps: names are normalized to NFKC without the rest of SASLprep (RFC 4013).
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ScramCredentials } from './hooks.js';

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

const HASH_BYTES = 32;
const NONCE_BYTES = 18;
const MAX_MESSAGE_CHARS = 4096;

/** The client's first message, taken apart. */
export interface ScramStart {
  readonly username: string;
  /** Whom the client wants to act for; '' when for itself. */
  readonly authorizationId: string;
  readonly gs2Header: string;
  readonly bare: string;
  readonly clientNonce: string;
}

/** How exchanges for names that do not exist look. */
export interface Decoy {
  readonly secret: Uint8Array;
  readonly iterations: number;
  readonly saltBytes: number;
}

export function readScramStart(message: Buffer): ScramStart | undefined {
  const text = textOf(message);
  const match = /^([ny],(?:a=([^,]+))?,)(n=([^,]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,]+)*)$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, gs2Header = '', rawAuthorizationId = '', bare = '', rawUsername = '', clientNonce = ''] = match;
  const username = unescapeName(rawUsername);
  const authorizationId = rawAuthorizationId === '' ? '' : unescapeName(rawAuthorizationId);
  if (username === undefined || authorizationId === undefined) return undefined;
  return { username, authorizationId, gs2Header, bare, clientNonce };
}

/** `=2C` is a comma, `=3D` an equals sign, any other `=` is wrong. RFC 5802 s5.1. */
function unescapeName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  const name = text.replaceAll('=2C', ',').replaceAll('=3D', '=').normalize('NFKC');
  return /\p{C}/u.test(name) ? undefined : name;
}

function textOf(message: Buffer): string | undefined {
  if (message.length > MAX_MESSAGE_CHARS) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message);
  } catch {
    return undefined;
  }
}

/** For names that do not exist: as good as real, but no proof fits. */
export function decoyCredentials(username: string, { secret, iterations, saltBytes }: Decoy): ScramCredentials {
  const salt = createHmac('sha512', secret).update(`salt ${username}`).digest().subarray(0, saltBytes);
  return { salt, iterations, storedKey: randomBytes(HASH_BYTES), serverKey: randomBytes(HASH_BYTES) };
}

export class ScramExchange {
  readonly #start: ScramStart;
  readonly #credentials: ScramCredentials;
  readonly #nonce: string;
  readonly #serverFirst: string;

  /** `serverNonce` is random unless a test vector wants another. */
  constructor(start: ScramStart, credentials: ScramCredentials, serverNonce = newNonce()) {
    this.#start = start;
    this.#credentials = credentials;
    this.#nonce = start.clientNonce + serverNonce;
    const salt = Buffer.from(credentials.salt).toString('base64');
    this.#serverFirst = `r=${this.#nonce},s=${salt},i=${String(credentials.iterations)}`;
  }

  get serverFirst(): Buffer {
    return Buffer.from(this.#serverFirst);
  }

  /** The server's last message; undefined when the proof, the nonce or the binding is wrong. */
  finish(message: Buffer): Buffer | undefined {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,]+)*),p=([A-Za-z0-9+/=]+)$/.exec(
      textOf(message) ?? '',
    );
    if (match === null) return undefined;
    const [, withoutProof = '', binding = '', nonce = '', proofText = ''] = match;
    const proof = Buffer.from(proofText, 'base64');
    const expectedBinding = Buffer.from(this.#start.gs2Header).toString('base64');
    // All of it is computed whatever is wrong, so that time tells nothing.
    const authMessage = `${this.#start.bare},${this.#serverFirst},${withoutProof}`;
    const isProven = this.#isProof(proof, authMessage);
    if (!isProven || binding !== expectedBinding || nonce !== this.#nonce) return undefined;
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
