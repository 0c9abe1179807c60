import { rmSync } from 'node:fs';
import { dirname } from 'node:path';

export default async function tearDown() {
  const { server, dataDir } = globalThis.posternTestServer ?? {};
  if (server === undefined) return;
  await server.stop({ immediate: true });
  for (const directory of [dataDir, dirname(server.cluster)]) rmSync(directory, { recursive: true, force: true });
}
