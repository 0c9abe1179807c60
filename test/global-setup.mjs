// One PostgreSQL for the whole run of the tests, as safe as the real one: the product refuses a server without fsync.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../scripts/lib/embedded-postgres.mjs';

export default async function setUp() {
  if (process.env.TEST_DATABASE_URL !== undefined) return; // somebody's own server, whose role may create databases
  const dataDir = mkdtempSync(join(tmpdir(), 'postern-test-'));
  const server = await startEmbeddedPostgres({
    dataDir,
    settings: { shared_buffers: '128MB', max_connections: '200', max_wal_size: '2GB' },
  });
  process.env.TEST_DATABASE_URL = server.url;
  globalThis.posternTestServer = { server, dataDir };
  process.once('exit', () => killQuietly(server.pid)); // an interrupted run leaves no server behind
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
}

function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGQUIT');
  } catch {
    // already stopped, as it should be
  }
}
