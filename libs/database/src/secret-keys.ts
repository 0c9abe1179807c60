/**
 * The keys that seal secrets. They live in a file that is never in the database nor in its backups: one key a line,
 * 32 octets in base64. The first one seals, all of them open; a rotation puts a new one in front.
 */
import { createHash, randomBytes } from 'node:crypto';

const KEY_OCTETS = 32;
const KEY_LINE = /^[A-Za-z0-9+/]{43}=$/;
/** Bits of a file's mode that let others than its owner in. */
const OTHERS = 0o077;

export interface SecretKey {
  /** Tells keys apart, and nothing about the key. */
  readonly id: string;
  readonly key: Buffer;
}

export type SecretKeys =
  | { readonly ok: true; readonly first: SecretKey; readonly all: readonly SecretKey[] }
  | { readonly ok: false; readonly message: string };

/** Asked at each use, so that a rotation needs no restart. */
export type SecretKeySource = () => Promise<SecretKeys>;

/** What this library may not do itself. */
export interface KeyFileAccess {
  readFile(file: string, encoding: 'utf8'): Promise<string>;
  stat(file: string): Promise<{ readonly mode: number }>;
}

export function newSecretKeyLine(): string {
  return randomBytes(KEY_OCTETS).toString('base64');
}

/** The keys of a file. What is wrong with it is a sentence; the text of a line is never in it. */
export function fileSecretKeys(file: string, access: KeyFileAccess): SecretKeySource {
  return async () => {
    try {
      const { mode } = await access.stat(file);
      if ((mode & OTHERS) !== 0) return unusable(`\`${file}\` may be read by others than its owner: chmod 600 it`);
      return parseSecretKeys(await access.readFile(file, 'utf8'), file);
    } catch (error) {
      const code =
        typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown fault';
      return unusable(code === 'ENOENT' ? `there is no \`${file}\`` : `\`${file}\` cannot be read (${code})`);
    }
  };
}

/** Of a program that was told of no file. */
export function noSecretKeys(): Promise<SecretKeys> {
  return Promise.resolve(unusable('this program was given none'));
}

function parseSecretKeys(text: string, file: string): SecretKeys {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const wrong = lines.findIndex((line) => !KEY_LINE.test(line.trim()));
  if (wrong >= 0) return unusable(`\`${file}\`, key ${String(wrong + 1)}: expected 32 octets in base64`);
  const all = lines.map((line) => secretKey(Buffer.from(line.trim(), 'base64')));
  return all[0] === undefined ? unusable(`\`${file}\` is empty`) : { ok: true, first: all[0], all };
}

function secretKey(key: Buffer): SecretKey {
  return { id: createHash('sha256').update('postern secret key').update(key).digest('hex').slice(0, 16), key };
}

function unusable(why: string): SecretKeys {
  return { ok: false, message: `the key of the secrets is not usable: ${why}` };
}
