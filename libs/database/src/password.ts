/**
 * Passwords of SMTP accounts as verifiers: argon2id for PLAIN and LOGIN, the keys of RFC 5802 for SCRAM-SHA-256.
 *
 * A stolen table must not be cheap to try passwords on, by either of the two. The password itself is kept nowhere.
 */
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** OWASP's least for argon2id: 19 MiB, two passes. About 20 ms; memory is what makes trying in bulk dear. */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 } as const;
/**
 * RFC 7677 asks for 4096 at the least. The client pays this at each sign-in, an attacker with the table at each guess:
 * 100 000 costs a client some 50 ms, and is the most that careful clients accept from a server they do not trust yet.
 */
export const SCRAM_ITERATIONS = 100_000;
const SALT_OCTETS = 16;
const KEY_OCTETS = 32;
/** 24 characters without any that need quoting: 144 random bits. */
const GENERATED_OCTETS = 18;

export const PASSWORD_LENGTH = { least: 10, most: 256 } as const;

export interface ScramVerifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export interface PasswordVerifiers {
  /** PHC string of argon2id. */
  readonly hash: string;
  readonly scram: ScramVerifier;
}

export function generatePassword(): string {
  return randomBytes(GENERATED_OCTETS).toString('base64url');
}

/** What RFC 4013 maps to nothing, and to a space. */
const MAPPED_TO_NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/gu;
const MAPPED_TO_SPACE = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu;
const PROHIBITED = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\u200e\u200f\u202a-\u202e\u206a-\u206f\ufff9-\ufffd]/u;

/**
 * The form in which passwords are compared (RFC 4013, SASLprep), so that `ö` typed on two keyboards is one letter.
 * Undefined for a text that can be no password: empty, or with control characters.
 */
export function preparePassword(text: string): string | undefined {
  const prepared = text.replace(MAPPED_TO_NOTHING, '').replace(MAPPED_TO_SPACE, ' ').normalize('NFKC');
  return prepared === '' || PROHIBITED.test(prepared) ? undefined : prepared;
}

/** Throws RangeError for a text that `preparePassword` refuses. */
export async function passwordVerifiers(password: string): Promise<PasswordVerifiers> {
  const prepared = preparePassword(password);
  if (prepared === undefined) throw new RangeError('the text can be no password');
  const { hash } = await import('@node-rs/argon2'); // a native module: only processes that see passwords load it
  return { hash: await hash(prepared, ARGON2), scram: await scramVerifier(prepared) };
}

async function scramVerifier(prepared: string): Promise<ScramVerifier> {
  const salt = randomBytes(SALT_OCTETS);
  const salted = await derive(prepared, salt, SCRAM_ITERATIONS, KEY_OCTETS, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  return {
    salt,
    iterations: SCRAM_ITERATIONS,
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: createHmac('sha256', salted).update('Server Key').digest(),
  };
}

/** Off the event loop. A text that can be no password costs the same work, and does not fit. */
export async function passwordFits(hash: string, password: string): Promise<boolean> {
  const { verify } = await import('@node-rs/argon2');
  const prepared = preparePassword(password);
  const fits = await verify(hash, prepared ?? '');
  return fits && prepared !== undefined;
}

/** A hash that costs what a stored one does, of a password that nobody knows: for names that do not exist. */
export async function decoyHash(): Promise<string> {
  const { hash } = await import('@node-rs/argon2');
  return hash(randomBytes(KEY_OCTETS), ARGON2);
}

/** The made-up verifier of an unknown name: always the same salt, and keys that no password has. */
export function decoyScram(seed: Buffer, name: string): ScramVerifier {
  const part = (what: string): Buffer => createHmac('sha256', seed).update(`${what} ${name}`).digest();
  return {
    salt: part('salt').subarray(0, SALT_OCTETS),
    iterations: SCRAM_ITERATIONS,
    storedKey: part('stored'),
    serverKey: part('server'),
  };
}
