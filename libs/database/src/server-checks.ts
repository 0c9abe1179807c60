/** Is this server fit for keeping mail? One query; refusals say in one sentence what to change. */
import type { ClientBase } from 'pg';
import { OperationalError } from './operational-error.js';
import { checkSchema } from './schema-guard.js';

const OLDEST_SERVER = 15;

export interface ServerFacts {
  version: string;
  fsync: string;
  commit: string;
  encoding: string;
  recovery: boolean;
  migrations: boolean;
}

/** Throws OperationalError `unfit-database`. Cheap: it also runs after every reconnection. */
export async function checkServer(client: ClientBase): Promise<void> {
  const { rows } = await client.query<ServerFacts>(`
    select current_setting('server_version_num') as version, current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as commit, current_setting('server_encoding') as encoding,
      pg_is_in_recovery() as recovery, to_regclass('schema_migration') is not null as migrations`);
  const facts = rows[0];
  if (facts === undefined) throw new OperationalError('unfit-database', 'the server told nothing about itself');
  const refusal = refusalOf(facts);
  if (refusal !== undefined) throw new OperationalError('unfit-database', refusal);
  if (facts.migrations) await checkSchema(client);
}

/** Why a server with these facts is refused, in one sentence; undefined when it is fit. */
export function refusalOf(facts: ServerFacts): string | undefined {
  const major = Math.floor(Number(facts.version) / 10_000);
  if (major < OLDEST_SERVER) return `PostgreSQL ${major} is too old: ${OLDEST_SERVER} or newer is needed`;
  if (facts.fsync !== 'on') return 'PostgreSQL runs with `fsync` off: mail could be lost; set `fsync = on`';
  if (facts.commit === 'off')
    return '`synchronous_commit` is off: mail could be lost; set it to `on` for this role and database';
  if (facts.encoding !== 'UTF8') return `the database is encoded in ${facts.encoding}: create it with encoding UTF8`;
  if (facts.recovery) return 'the server is a read-only standby: give the address of the primary';
  return undefined;
}
