/**
 * TypeORM: migrations, and the plain tables of administration. Loaded lazily (26 MB), so that a gateway that only
 * moves mail never pays for it. Hot tables have no entity. `synchronize` stays off; a drift test compares entities and schema.
 */
import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { MIGRATIONS } from '../../../migrations/index.js';
import { connectionTarget, type DatabaseConfig } from './database-config.js';
import { ApiKeyEntity } from './entities/api-key.entity.js';
import { PolicyReleaseEntity } from './entities/policy-release.entity.js';
import { PolicyRevisionEntity } from './entities/policy-revision.entity.js';
import { MIGRATIONS_TABLE } from './schema-guard.js';

/** Handed to the stores with the manager, so that they need no import that loads TypeORM. */
export const ENTITIES = {
  policyRevision: PolicyRevisionEntity,
  policyRelease: PolicyReleaseEntity,
  apiKey: ApiKeyEntity,
} as const;

export async function openDataSource(config: DatabaseConfig, timeoutMs: number): Promise<DataSource> {
  const { user, host, port, database, password, ssl } = connectionTarget(config.url);
  const source = new DataSource({
    type: 'postgres',
    host,
    port,
    username: user,
    database,
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : { ssl: ssl as boolean }),
    applicationName: config.applicationName,
    connectTimeoutMS: config.connectTimeoutMs,
    poolSize: 2,
    // An idle connection that dies is replaced at the next use.
    poolErrorHandler: () => undefined,
    extra: { statement_timeout: timeoutMs, idle_in_transaction_session_timeout: timeoutMs, idleTimeoutMillis: 30_000 },
    entities: Object.values(ENTITIES),
    migrations: [...MIGRATIONS],
    migrationsTableName: MIGRATIONS_TABLE,
    synchronize: false,
    installExtensions: false,
    logging: false,
  });
  return source.initialize();
}
