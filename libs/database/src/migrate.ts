/** Brings the schema up to date; safe when several processes start at once: one migrates, the others wait. */
import { Client } from 'pg';
import { clientSettings } from './connections.js';
import type { DatabaseConfig } from './database-config.js';
import { OperationalError, toOperationalError } from './operational-error.js';
import { checkServer } from './server-checks.js';

/** Held while migrating; `postern` and a number. */
const LOCK_KEY = 0x706f7374_00;
const LONGEST_MS = 600_000;

/** Returns the names of the migrations that ran. */
export async function migrate(config: DatabaseConfig): Promise<readonly string[]> {
  const client = new Client(clientSettings(config, LONGEST_MS));
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    // Whoever had the lock before may have been a newer version.
    await checkServer(client);
    const { openDataSource } = await import('./data-source.js');
    const source = await openDataSource(config, LONGEST_MS);
    try {
      return (await source.runMigrations({ transaction: 'each' })).map((migration) => migration.name);
    } finally {
      await source.destroy();
    }
  } catch (error) {
    if (error instanceof OperationalError) throw error;
    throw toOperationalError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}
