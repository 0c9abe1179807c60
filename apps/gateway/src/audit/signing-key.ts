/** The key that signs checkpoints of the audit: made at the first start, kept in the data directory, read by its owner only. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'audit-signing-key.pem';

export interface SigningKey {
  /** SHA-256 of the public key (SPKI, DER), hex. */
  readonly fingerprint: string;
  /** Ed25519 over the octets of `text`, base64. */
  sign(text: string): string;
}

/** Reads the key of this data directory, or makes it. Two processes that start at once get the same one. */
export async function loadSigningKey(dataDir: string): Promise<SigningKey> {
  const path = join(dataDir, FILE);
  const pem = (await readIfThere(path)) ?? (await makeKey(path));
  return signingKey(createPrivateKey(pem));
}

export function signingKey(key: KeyObject): SigningKey {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    fingerprint: createHash('sha256').update(spki).digest('hex'),
    sign: (text) => sign(null, Buffer.from(text), key).toString('base64'),
  };
}

async function makeKey(path: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'w', 0o600);
  await file.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await file.sync();
  await file.close();
  try {
    await link(draft, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(path, 'utf8');
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
