/** A PostgreSQL of its own for a measurement, as safe about its writes as the product's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Embedded from '../scripts/lib/embedded-postgres.mjs';

export interface BenchServer {
  readonly url: string;
  /** Its postmaster: the backends are its children. */
  readonly pid: number;
  remove(): Promise<void>;
}

/** The script is plain JavaScript and not compiled: it is taken from the project itself. */
export async function startServer(project: string): Promise<BenchServer> {
  const script = pathToFileURL(join(project, 'scripts/lib/embedded-postgres.mjs')).href;
  const { startEmbeddedPostgres } = (await import(script)) as typeof Embedded;
  const dataDir = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const server = await startEmbeddedPostgres({ dataDir });
  return {
    url: server.url,
    pid: server.pid,
    async remove() {
      await server.stop({ immediate: true });
      for (const directory of [dataDir, dirname(server.cluster)]) rmSync(directory, { recursive: true, force: true });
    },
  };
}
