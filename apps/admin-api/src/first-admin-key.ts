import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiKey, Database } from '#database';
import { writePrivate } from './private-file.js';

const ACTOR = 'setup';

export interface AdminKeyResult {
  /** The key, when one was made just now. */
  readonly created: string | undefined;
  readonly file: string;
}

/**
 * Makes sure that whoever started this installation can get in: its data directory's own first key is made once, and
 * written to a file only its owner can read. Also made when no admin key is usable any more. A first key that was
 * never used and whose file is gone (a crash in between) is replaced. Keys of other installations on the same
 * database are never touched.
 */
export async function ensureAdminKey(database: Database, dataDir: string): Promise<AdminKeyResult> {
  const file = join(dataDir, 'admin-key');
  const name = firstKeyName(dataDir);
  const keys = await database.apiKeys.list();
  const own = keys.filter((key) => key.name === name);
  const lost = (await exists(file)) ? [] : own.filter((key) => isUsable(key) && key.lastUsedAt === undefined);
  const nobody = !keys.some((key) => key.role === 'admin' && isUsable(key));
  if (!nobody && own.length > 0 && lost.length === 0) return { created: undefined, file };
  const { key, secret } = await database.apiKeys.create({ name, role: 'admin', actor: ACTOR });
  try {
    await writePrivate(file, `${secret}\n`);
  } catch (error) {
    await database.apiKeys.revoke(key.id, ACTOR);
    throw error;
  }
  for (const old of lost) await database.apiKeys.revoke(old.id, ACTOR);
  return { created: secret, file };
}

/** One installation is one data directory: several may share a database. */
function firstKeyName(dataDir: string): string {
  return `first-admin-${createHash('sha256').update(dataDir).digest('hex').slice(0, 8)}`;
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
