import { OperationalError } from '#database';
import { readConfig } from './config.js';
import { DatabaseAccess } from './database-access.js';
import { resetAdminKey } from './first-admin-key.js';
import { createLogger } from './logger.js';
import { endAsMisconfigured, tellSupervisor } from './process-messages.js';

const DATABASE_DEADLINE_MS = 10_000;

/**
 * Runs once, for whoever lost the admin key: whoever may write the data directory and reach the database is the owner of
 * this installation, and gets a new one. Nothing else is touched; gateway and API may run meanwhile.
 */
async function main(): Promise<void> {
  const read = readConfig(process.env);
  if (!read.ok) return endAsMisconfigured(read.faults.join('; '));
  const access = new DatabaseAccess();
  try {
    await access.open(read.config, createLogger('silent', 'reset-key'), AbortSignal.timeout(DATABASE_DEADLINE_MS));
    const { created, file } = await resetAdminKey(access.current, read.config.dataDir);
    await tellSupervisor({ kind: 'done', adminKey: created, adminKeyFile: file });
  } catch (error) {
    if (error instanceof OperationalError || error instanceof TypeError) await endAsMisconfigured(error.message);
    if (error instanceof Error && error.name === 'AbortError') {
      await endAsMisconfigured('the database cannot be reached; DATABASE_URL must name a PostgreSQL server that runs');
    }
    throw error;
  } finally {
    await access.close();
  }
}

await main();
