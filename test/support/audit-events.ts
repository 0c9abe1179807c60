/** Events of a running installation that belong to no transaction, read where they are stored: no page shows them yet. */
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import type { RunningPostern } from './running-postern.js';
import { waitFor } from './wait.js';

/** A connection to the database of a running installation, as its own processes have it. */
export async function connectDatabase(postern: RunningPostern): Promise<Client> {
  const pid = postern.processId('admin-api');
  const environment = readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0');
  const url = environment.find((line) => line.startsWith('DATABASE_URL='))?.slice('DATABASE_URL='.length);
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

/** The data of the events of a kind, oldest first, as soon as there are that many, or one that fits is among them. */
export async function auditEvents(
  postern: RunningPostern,
  kind: string,
  wanted: number | ((event: Readonly<Record<string, unknown>>) => boolean) = 1,
): Promise<readonly Record<string, unknown>[]> {
  const client = await connectDatabase(postern);
  try {
    return await waitFor(`events ${kind}`, async () => {
      const found = await client.query<{ data: Record<string, unknown> }>(
        'select data from audit_event where kind = $1 order by id',
        [kind],
      );
      const events = found.rows.map(({ data }) => data);
      const there = typeof wanted === 'number' ? events.length >= wanted : events.some(wanted);
      return there ? events : undefined;
    });
  } finally {
    await client.end();
  }
}
