/** Brings the schema up to date; safe when several processes start at once: one migrates, the others wait. */
import { Client } from 'pg';
import { clientSettings } from './connections.js';
import type { DatabaseConfig } from './database-config.js';
import { OperationalError, sqlState, toOperationalError } from './operational-error.js';
import { checkServer } from './server-checks.js';

/** Held while migrating; `postern` and a number. */
const LOCK_KEY = 0x706f7374_00;
const LONGEST_MS = 600_000;
const NOT_PERMITTED = '42501';

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
    throw (
      (sqlState(error) === NOT_PERMITTED ? await notPermitted(client, error) : undefined) ?? toOperationalError(error)
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Who it is and what it lacks, with the statement that gives it. */
async function notPermitted(client: Client, error: unknown): Promise<OperationalError> {
  const { rows } = await client.query<{ role: string; database: string; owner: string }>(
    `select current_user as role, datname as database, pg_get_userbyid(datdba) as owner
     from pg_database where datname = current_database()`,
  );
  const { role = '', database = '', owner = '' } = rows[0] ?? {};
  const detail = error instanceof Error ? error.message : 'not permitted';
  const cure =
    owner === role
      ? `the tables belong to another role: give them to it, or sign in as their owner`
      : `the database belongs to \`${owner}\`; run \`alter database ${quoted(database)} owner to ${quoted(role)}\` as a superuser, or sign in as its owner`;
  return new OperationalError(
    'unfit-database',
    `role \`${role}\` may not create or change tables (${detail}): ${cure}`,
    {
      cause: error,
    },
  );
}

/** As SQL wants an identifier. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
