/**
 * The messages of SASL mechanisms, read and printed: PLAIN (RFC 4616 s2), SCRAM (RFC 5802 s5, s7), and the one field of
 * LOGIN. Nothing is computed here: hashes, nonces and passwords belong to whoever holds the exchange.
 *
 * Readers return undefined for whatever is not exactly such a message; they never throw. Channel binding is not offered,
 * so `p=` is no message of ours, nor is one with a mandatory extension (`m=`).
 */
import { decodeBase64 } from './base64.js';
import { decodeUtf8Octets } from './utf8.js';

/** RFC 4616 s2 demands 255 octets of each; longer ones are no names and no passwords. */
const MAX_FIELD_OCTETS = 1024;
const MAX_SCRAM_OCTETS = 4096;

// RFC 5802 s7: a nonce is printable without a comma; an extension behind what is known is passed over.
const NONCE = '[!-+\\--~]+';
const EXTENSIONS = '(?:,[A-Za-z]=[^,]+)*';
const BASE64 = '[A-Za-z0-9+/=]+';
const CLIENT_FIRST = new RegExp(`^([ny],(?:a=([^,]+))?,)(n=([^,]+),r=(${NONCE})${EXTENSIONS})$`, 'u');
const SERVER_FIRST = new RegExp(`^r=(${NONCE}),s=(${BASE64}),i=([1-9]\\d{0,8})${EXTENSIONS}$`, 'u');
const CLIENT_FINAL = new RegExp(`^(c=(${BASE64}),r=(${NONCE})${EXTENSIONS}),p=(${BASE64})$`, 'u');
const SERVER_FINAL = new RegExp(`^v=(${BASE64})${EXTENSIONS}$`, 'u');

export interface PlainMessage {
  /** Whom the client wants to act for; '' when for itself. */
  readonly authorizationId: string;
  readonly username: string;
  readonly password: string;
}

/** A name or a password as it stands in LOGIN and PLAIN: UTF-8 without NUL, not empty, of bearable length. */
export function readSaslField(octets: Buffer): string | undefined {
  if (octets.length === 0 || octets.length > MAX_FIELD_OCTETS || octets.includes(0)) return undefined;
  return decodeUtf8Octets(octets);
}

export function readPlain(message: Buffer): PlainMessage | undefined {
  const first = message.indexOf(0);
  const second = first < 0 ? -1 : message.indexOf(0, first + 1);
  if (second < 0) return undefined;
  const authorizationId = first === 0 ? '' : readSaslField(message.subarray(0, first));
  const username = readSaslField(message.subarray(first + 1, second));
  const password = readSaslField(message.subarray(second + 1));
  if (authorizationId === undefined || username === undefined || password === undefined) return undefined;
  return { authorizationId, username, password };
}

/** INVARIANT (three fields): no field may hold a NUL. */
export function printPlain({ authorizationId, username, password }: PlainMessage): Buffer {
  return Buffer.from(`${authorizationId}\0${username}\0${password}`);
}

/** What a SCRAM client says first. `gs2Header` and `bare` are the parts that are signed. */
export interface ScramClientFirst {
  readonly username: string;
  readonly authorizationId: string;
  readonly nonce: string;
  readonly gs2Header: string;
  readonly bare: string;
}

export interface ScramServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

export interface ScramClientFinal {
  /** The gs2 header again. */
  readonly binding: string;
  readonly nonce: string;
  readonly proof: Buffer;
  /** What is signed: the message up to the proof. */
  readonly withoutProof: string;
}

export function readScramClientFirst(message: Buffer): ScramClientFirst | undefined {
  const match = CLIENT_FIRST.exec(textOf(message));
  if (match === null) return undefined;
  const [, gs2Header = '', rawAuthorizationId = '', bare = '', rawUsername = '', nonce = ''] = match;
  const username = unescapeName(rawUsername);
  const authorizationId = unescapeName(rawAuthorizationId);
  if (username === undefined || authorizationId === undefined) return undefined;
  return { username, authorizationId, nonce, gs2Header, bare };
}

export function printScramClientFirst({
  username,
  authorizationId,
  nonce,
}: Pick<ScramClientFirst, 'username' | 'authorizationId' | 'nonce'>): ScramClientFirst {
  const gs2Header = authorizationId === '' ? 'n,,' : `n,a=${escapeName(authorizationId)},`;
  return { username, authorizationId, nonce, gs2Header, bare: `n=${escapeName(username)},r=${nonce}` };
}

export function readScramServerFirst(message: Buffer): ScramServerFirst | undefined {
  const [, nonce, salt = '', iterations] = SERVER_FIRST.exec(textOf(message)) ?? [];
  const octets = decodeBase64(salt);
  if (nonce === undefined || octets === undefined) return undefined;
  return { nonce, salt: octets, iterations: Number(iterations) };
}

export function printScramServerFirst({ nonce, salt, iterations }: ScramServerFirst): string {
  return `r=${nonce},s=${salt.toString('base64')},i=${String(iterations)}`;
}

export function readScramClientFinal(message: Buffer): ScramClientFinal | undefined {
  const match = CLIENT_FINAL.exec(textOf(message));
  const [, withoutProof = '', rawBinding = '', nonce = '', rawProof = ''] = match ?? [];
  const binding = decodeBase64(rawBinding);
  const proof = decodeBase64(rawProof);
  if (match === null || binding === undefined || proof === undefined) return undefined;
  return { binding: binding.toString('utf8'), nonce, proof, withoutProof };
}

/** The part that is signed; the message is this, `,p=` and the proof in base64. */
export function printScramWithoutProof(gs2Header: string, nonce: string): string {
  return `c=${Buffer.from(gs2Header).toString('base64')},r=${nonce}`;
}

/** The server's signature; undefined for anything else, `e=…` too. */
export function readScramServerFinal(message: Buffer): Buffer | undefined {
  const verifier = SERVER_FINAL.exec(textOf(message))?.[1];
  return verifier === undefined ? undefined : decodeBase64(verifier);
}

/** '' when it is no text, or too much: no message is empty. */
function textOf(message: Buffer): string {
  return message.length > MAX_SCRAM_OCTETS ? '' : (decodeUtf8Octets(message) ?? '');
}

/** `=2C` is a comma, `=3D` an equals sign, any other `=` is wrong. RFC 5802 s5.1. */
function unescapeName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  const name = text.replaceAll('=2C', ',').replaceAll('=3D', '=').normalize('NFKC');
  return /\p{C}/u.test(name) ? undefined : name;
}

function escapeName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C');
}
