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
  /** The key was used before, and its file is gone: it may be kept elsewhere, so nothing is replaced unasked. */
  readonly lost?: true;
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
  const there = await exists(file);
  const unused = there ? [] : own.filter((key) => isUsable(key) && key.lastUsedAt === undefined);
  const nobody = !keys.some((key) => key.role === 'admin' && isUsable(key));
  if (!nobody && own.length > 0 && unused.length === 0) {
    return { created: undefined, file, ...(!there && { lost: true }) };
  }
  return { created: await replaceKey(database, { name, file, old: unused }), file };
}

/** Makes a new key for this data directory; those that were made for it before are worthless then. */
export async function resetAdminKey(
  database: Database,
  dataDir: string,
): Promise<{ readonly created: string; readonly file: string }> {
  const file = join(dataDir, 'admin-key');
  const name = firstKeyName(dataDir);
  const old = (await database.apiKeys.list()).filter((key) => key.name === name && isUsable(key));
  return { created: await replaceKey(database, { name, file, old }), file };
}

/** The old ones are revoked when the new one is safely in its file. */
async function replaceKey(
  database: Database,
  { name, file, old }: { readonly name: string; readonly file: string; readonly old: readonly ApiKey[] },
): Promise<string> {
  const { key, secret } = await database.apiKeys.create({ name, role: 'admin', actor: ACTOR });
  try {
    await writePrivate(file, `${secret}\n`);
  } catch (error) {
    await database.apiKeys.revoke(key.id, ACTOR);
    throw error;
  }
  for (const { id } of old) await database.apiKeys.revoke(id, ACTOR);
  return secret;
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
