import { connectionTarget, type Database } from '#database';
import type { AdminApiConfig } from './config.js';

/**
 * The gateway and the admin API sign in as roles of their own where they are given one: rights are set at every start, and
 * a role that does not exist yet is made where no password is needed (the embedded PostgreSQL).
 */
export async function ensureRoles(database: Database, config: AdminApiConfig): Promise<void> {
  const owner = connectionTarget(config.ownerDatabaseUrl).user;
  const wanted = [
    { url: config.gatewayDatabaseUrl, kind: 'gateway' },
    { url: config.databaseUrl, kind: 'admin-api' },
  ] as const;
  for (const { url, kind } of wanted) {
    if (url === undefined) continue;
    const { user, password } = connectionTarget(url);
    if (user === owner) continue;
    await database.grant(user, kind, { create: password === undefined });
  }
}
