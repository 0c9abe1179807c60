/**
 * Databases for specs: a template is migrated once per schema, every spec clones its own and drops it at the end.
 * Several Jest workers meet here, so the template is made under an advisory lock.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { openDatabase } from '#database';
import { startEmbeddedPostgres } from '../../scripts/lib/embedded-postgres.mjs';

const LOCK_KEY = 0x74657374;
const MIGRATIONS = fileURLToPath(new URL('../../migrations/', import.meta.url));

export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  /** One statement on a connection of its own; rows as objects. */
  query<R extends Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>;
  drop(): Promise<void>;
}

export interface TestServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
  /** Kills every process of the server at once, as `kill -9` of the postmaster and its children would. */
  kill(): Promise<void>;
  /** Starts it again on the same data and address. */
  start(): Promise<void>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

/** The server of this test run; set by the global set-up. */
function serverUrl(): string {
  const url = process.env['TEST_DATABASE_URL'];
  if (url === undefined)
    throw new Error('TEST_DATABASE_URL is not set; run the specs through Jest and its global set-up');
  return url;
}

/** A database of its own with the current schema, cloned from the template. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const template = await ensureTemplate();
  return createFrom(template);
}

/** A database without any schema. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  return createFrom('template0');
}

/** A server of its own for specs that stop it or need other settings. */
export async function startTestServer(settings: Record<string, string> = {}): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'postern-server-'));
  const begin = (): ReturnType<typeof startEmbeddedPostgres> =>
    startEmbeddedPostgres({ dataDir, settings: { shared_buffers: '64MB', ...settings } });
  let server = await begin();
  return {
    url: server.url,
    get pid() {
      return server.pid;
    },
    stop: () => server.stop({ immediate: true }),
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    async start() {
      server = await begin();
    },
    async remove() {
      await server.stop({ immediate: true }).catch(() => undefined);
      for (const directory of [dataDir, dirname(server.cluster)]) rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** `url` with another database. */
export function databaseUrl(url: string, name: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/[^/]*\/)[^?]*/, `$1${name}`);
}

async function createFrom(template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await withClient(serverUrl(), (client) => client.query(`create database ${name} template ${template}`));
  const url = databaseUrl(serverUrl(), name);
  return {
    url,
    name,
    query: <R extends Record<string, unknown>>(text: string, values: unknown[] = []) =>
      withClient(url, async (client) => (await client.query<R>(text, values)).rows),
    async drop() {
      await withClient(serverUrl(), (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}

/** Named after what the migrations contain: a server that outlives a run never serves an old schema. */
async function ensureTemplate(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of readdirSync(MIGRATIONS).sort()) hash.update(readFileSync(join(MIGRATIONS, file)));
  // Partitions are made ahead for some days: a template of another day would lack them.
  const name = `postern_template_${hash.update(new Date().toISOString().slice(0, 10)).digest('hex').slice(0, 12)}`;
  await withClient(serverUrl(), async (client) => {
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await makeTemplate(client, name);
  });
  return name;
}

async function makeTemplate(client: Client, name: string): Promise<void> {
  const draft = `${name}_draft`;
  await client.query(`drop database if exists ${draft} with (force)`);
  await client.query(`create database ${draft} template template0`);
  const database = await openDatabase({ url: databaseUrl(serverUrl(), draft) });
  await database.migrate();
  await database.close();
  await client.query(`alter database ${draft} rename to ${name}`);
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
