import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperationalError, type Database } from '#database';
import type { Logger } from 'pino';
import { readConfig, type AdminApiConfig } from './config.js';
import { DatabaseAccess } from './database-access.js';
import { ensureAdminKey, type AdminKeyResult } from './first-admin-key.js';
import { ensureSecretKey, SecretKeyMissing } from './first-secret-key.js';
import { ensurePolicy, PolicyFileRefused, publishPolicyFile } from './first-policy.js';
import { createLogger } from './logger.js';
import { ensureRoles } from './process-roles.js';
import { endAsMisconfigured, tellSupervisor } from './process-messages.js';

const DATABASE_DEADLINE_MS = 30_000;

/**
 * Runs once before the processes that stay: brings the schema up to date, gives an empty installation its first policy
 * and its first admin key. Running it again, or twice at once, does no harm.
 */
async function main(): Promise<void> {
  const read = readConfig(process.env);
  if (!read.ok) return endAsMisconfigured(`Postern cannot start: ${read.faults.join('; ')}`);
  const logger = createLogger(read.config.logLevel, 'setup');
  const access = new DatabaseAccess();
  try {
    await openDatabase(access, read.config, logger);
    const { created, file, lost } = await setUp(access.current, read.config);
    await tellSupervisor({
      kind: 'done',
      ...(created !== undefined && { adminKey: created }),
      adminKeyFile: file,
      ...(lost && { adminKeyLost: true }),
    });
  } catch (error) {
    if (isSentence(error)) {
      await endAsMisconfigured(error.message);
    }
    throw error;
  } finally {
    await access.close();
  }
}

/** Told as it is; anything else is a bug and keeps its stack. */
function isSentence(error: unknown): error is Error {
  const kinds = [PolicyFileRefused, SecretKeyMissing, OperationalError, TypeError];
  return kinds.some((kind) => error instanceof kind);
}

async function openDatabase(access: DatabaseAccess, config: AdminApiConfig, logger: Logger): Promise<void> {
  const deadline = AbortSignal.timeout(DATABASE_DEADLINE_MS);
  try {
    await access.open({ ...config, databaseUrl: config.ownerDatabaseUrl }, logger, deadline);
  } catch (error) {
    if (!deadline.aborted) throw error;
    await endAsMisconfigured(`the database cannot be reached; DATABASE_URL must name a PostgreSQL server that runs`);
  }
}

async function setUp(database: Database, config: AdminApiConfig): Promise<AdminKeyResult> {
  await ensureSecretKey(config);
  await database.migrate();
  await database.setRetention(config);
  await ensureRoles(database, config);
  const readText = (file: string): Promise<string> => readFile(file, 'utf8');
  if (config.publishPolicyFile === undefined) {
    await ensurePolicy(database, config.firstPolicyFile ?? defaultPolicyFile(import.meta.dirname), readText);
  } else await publishPolicyFile(database, config.publishPolicyFile, readText);
  return ensureAdminKey(database, config.dataDir);
}

/** `examples/` lies beside the nearest directory above that has it: from `dist/` as from the sources. */
function defaultPolicyFile(start: string): string {
  const inside = join('examples', 'policies', 'first-start', 'policy.yaml');
  for (let directory = start; directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, inside))) return join(directory, inside);
  }
  return inside;
}

await main();
