/** Refuses a schema this program does not know. `migrations/index.ts` is the list of what it knows. */
import type { ClientBase } from 'pg';
import { MIGRATION_NAMES } from '../../../migrations/index.js';
import { OperationalError } from './operational-error.js';

/** Where TypeORM notes the migrations that ran. */
export const MIGRATIONS_TABLE = 'schema_migration';

/** Throws when a migration was applied that this program does not contain: the schema is newer. */
export async function checkSchema(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(`select name from ${MIGRATIONS_TABLE} order by "timestamp"`);
  const unknown = rows.filter((row) => !MIGRATION_NAMES.includes(row.name));
  const newest = unknown.at(-1);
  if (newest === undefined) return;
  throw new OperationalError(
    'unfit-database',
    `the schema is newer than this program: it has \`${newest.name}\`; start the version that made it, or a later one`,
  );
}

/** Throws when migrations are missing; for processes that do not migrate themselves. */
export async function requireCurrentSchema(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ present: boolean }>(
    `select to_regclass('${MIGRATIONS_TABLE}') is not null as present`,
  );
  const applied = rows[0]?.present
    ? (await client.query<{ name: string }>(`select name from ${MIGRATIONS_TABLE}`)).rows.map((row) => row.name)
    : [];
  const missing = MIGRATION_NAMES.find((name) => !applied.includes(name));
  if (missing === undefined) return;
  throw new OperationalError(
    'unfit-database',
    `the schema is older than this program: it lacks \`${missing}\`; run the migrations first`,
  );
}
