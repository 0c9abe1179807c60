/** Connection settings. The environment is read by the applications, never here. */
import { Client, type ClientConfig } from 'pg';
import { z } from 'zod';
import type { SecretKeySource } from './secret-keys.js';

export const databaseConfigSchema = z.strictObject({
  /** `postgresql://user:password@host:port/database`, or `postgresql://user@/database?host=/socket/dir&port=5432`. */
  url: z.string().min(1),
  /** Shown in pg_stat_activity. */
  applicationName: z.string().min(1).max(63).default('postern'),
  /** Connections that commit groups of accepted mail and audit rows; measured: 1 or 2, more adds nothing. */
  commitConnections: z.int().min(1).max(8).default(2),
  queueConnections: z.int().min(1).max(16).default(2),
  /** Administration, housekeeping, reports. */
  readConnections: z.int().min(1).max(64).default(4),
  /** Searches in the audit at one time. */
  searchConnections: z.int().min(1).max(64).default(2),
  connectTimeoutMs: z.int().min(50).max(60_000).default(900),
  /** Longest wait for the commit of a group, or for any other statement of the mail path. */
  statementTimeoutMs: z.int().min(100).max(600_000).default(10_000),
  /** Longest search or report. */
  readTimeoutMs: z.int().min(100).max(600_000).default(15_000),
  /** Messages in one commit group. */
  groupMessages: z.int().min(1).max(5_000).default(500),
  /** Content octets in one commit group; a single larger message still forms a group of its own. */
  groupBytes: z
    .int()
    .min(1)
    .default(8 * 1024 * 1024),
  /** Audit events waiting for a commit above which `append` asks its caller to stop. */
  auditBufferEvents: z.int().min(10).default(20_000),
  /** Keys that open and seal secrets; without them secrets can be listed and removed, not set or revealed. */
  secretKeys: z.custom<SecretKeySource>((value) => typeof value === 'function').optional(),
});

export type DatabaseConfig = z.infer<typeof databaseConfigSchema>;
/** What openDatabase() takes: only `url` is required. */
export type DatabaseSettings = z.input<typeof databaseConfigSchema>;

/** Host (or socket directory), port and so on of a connection URL, understood by pg and TypeORM alike. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  readonly ssl?: NonNullable<ClientConfig['ssl']>;
}

/** `pg` has the parser; an unused Client is the public way to it. Throws TypeError for an unusable URL, without its text. */
export function connectionTarget(url: string): ConnectionTarget {
  if (!/^postgres(ql)?:\/\//.test(url)) throw new TypeError('the database URL must start with `postgresql://`');
  let client: Client;
  try {
    client = new Client({ connectionString: url });
  } catch {
    throw new TypeError('the database URL cannot be parsed; expected `postgresql://user@host:port/database`');
  }
  const { host, port, user, database, password, ssl } = client as Client & { ssl: ClientConfig['ssl'] };
  return {
    host,
    port,
    user: user ?? 'postgres',
    database: database ?? user ?? 'postgres',
    ...(typeof password === 'string' && password !== '' ? { password } : {}),
    ...(ssl ? { ssl } : {}),
  };
}
