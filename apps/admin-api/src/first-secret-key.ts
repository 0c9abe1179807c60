import { access } from 'node:fs/promises';
import { newSecretKeyLine } from '#database';
import type { AdminApiConfig } from './config.js';
import { writePrivateOnce } from './private-file.js';

/** A file that was named and is not there: making another key would leave every secret unreadable. */
export class SecretKeyMissing extends Error {
  override readonly name = 'SecretKeyMissing';
}

/** The key that secrets are sealed with is made once, in the data directory. */
export async function ensureSecretKey({ secretKeyFile, secretKeyFileNamed }: AdminApiConfig): Promise<void> {
  const there = await access(secretKeyFile).then(
    () => true,
    () => false,
  );
  if (there) return;
  if (!secretKeyFileNamed) return writePrivateOnce(secretKeyFile, `${newSecretKeyLine()}\n`);
  throw new SecretKeyMissing(
    `POSTERN_SECRET_KEY_FILE names \`${secretKeyFile}\`, which is not there; make a first one with \`(umask 077; openssl rand -base64 32 > ${secretKeyFile})\``,
  );
}
