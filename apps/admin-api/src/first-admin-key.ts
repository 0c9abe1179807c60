import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiKey, Database } from '#database';

const FIRST_KEY_NAME = 'first-admin';
const ACTOR = 'setup';

export interface AdminKeyResult {
  /** The key, when one was made just now. */
  readonly created: string | undefined;
  readonly file: string;
}

/**
 * Makes sure that somebody can get in: without a usable admin key, one is made and written to a file only its owner
 * can read. A first key that was never used and whose file is gone (a crash in between) is replaced.
 */
export async function ensureAdminKey(database: Database, dataDir: string): Promise<AdminKeyResult> {
  const file = join(dataDir, 'admin-key');
  const usable = (await database.apiKeys.list()).filter((key) => key.role === 'admin' && isUsable(key));
  const lost = usable.filter((key) => key.name === FIRST_KEY_NAME && key.lastUsedAt === undefined);
  if (usable.length > lost.length || (usable.length > 0 && (await exists(file)))) return { created: undefined, file };
  const { key, secret } = await database.apiKeys.create({ name: FIRST_KEY_NAME, role: 'admin', actor: ACTOR });
  try {
    await writePrivate(dataDir, file, `${secret}\n`);
  } catch (error) {
    await database.apiKeys.revoke(key.id, ACTOR);
    throw error;
  }
  for (const old of lost) await database.apiKeys.revoke(old.id, ACTOR);
  return { created: secret, file };
}

function isUsable(key: ApiKey): boolean {
  return key.revokedAt === undefined && (key.expiresAt === undefined || key.expiresAt.getTime() > Date.now());
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** Whole or not at all, and never readable by others, not even for a moment. */
async function writePrivate(directory: string, file: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}
