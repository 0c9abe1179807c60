/** The servers that are probed: each knows so many recipients, Postern from a managed list, Postfix from lmdb. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '#database';
import { postmap, startPostfix } from '../test/support/postfix.js';
import { cpuSecondsOf } from '../test/support/processes.js';
import { RunningPostern } from '../test/support/running-postern.js';
import { waitFor } from '../test/support/wait.js';
import { addressOf } from './policy-documents.js';
import type { RunningPeer } from './peer.js';
import { ProbeSession } from './probe-sessions.js';
import { startServer } from './server.js';

/** Entries of one change of the list. */
const CHUNK = 50_000;
const DOMAINS = 5_000;
const SMTPD_PROCESSES = 40;

export interface ProbedPeer extends RunningPeer {
  readonly name: string;
  readonly recipients: number;
  /** Of a gateway: where its list is kept. */
  readonly databaseUrl?: string;
}

export async function startProbedPostern(project: string, recipients: number): Promise<ProbedPeer> {
  const folder = mkdtempSync(join(tmpdir(), 'probes-'));
  const server = await startServer(project);
  await fillList(server.url, recipients);
  const running = await RunningPostern.start({
    dataDir: join(folder, 'data'),
    policy: policyOf(recipients),
    project,
    env: { DATABASE_URL: server.url },
  });
  const port = running.port('probes');
  const session = await ProbeSession.open(port);
  await waitFor('the list to be in force', () => session.probe(addressOf(recipients - 1)), { deadlineMs: 60_000 });
  session.close();
  return {
    name: 'Postern',
    recipients,
    databaseUrl: server.url,
    version: `Node ${process.versions.node}`,
    port,
    cpuSeconds: () => ({ Node: cpuSecondsOf([running.pid]), PostgreSQL: cpuSecondsOf([server.pid]) }),
    async stop() {
      await running.killEverything();
      await server.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Before the start: the list is loaded, not changed. */
async function fillList(url: string, recipients: number): Promise<void> {
  const database = await openDatabase({ url, applicationName: 'bench' });
  try {
    await database.migrate();
    for (let from = 0; from < recipients; from += CHUNK) {
      const values = Array.from({ length: Math.min(CHUNK, recipients - from) }, (_, i) => addressOf(from + i));
      await database.lists.add('staff', values, { actor: 'bench' });
    }
  } finally {
    await database.close();
  }
}

function policyOf(recipients: number): unknown {
  return {
    policy: 'main',
    listeners: { probes: { address: '127.0.0.1', port: 0, exposure: 'internal' } },
    lists: {
      ours: { type: 'domain', entries: domainsOf(recipients) },
      staff: { type: 'address', source: 'managed', within: { domain: 'ours' } },
    },
    domains: [{ match: 'ours', recipients: 'staff' }],
    routing: [{ name: 'all', route: 'keep' }],
    routes: { keep: { file: { format: 'maildir', directory: 'keep' } } },
    settings: { 'max-connections': 400, 'max-connections-per-address': 400 },
  };
}

export async function startProbedPostfix(recipients: number): Promise<ProbedPeer> {
  const folder = mkdtempSync(join(tmpdir(), 'probes-'));
  chmodSync(folder, 0o755);
  const config = join(folder, 'etc');
  mkdirSync(config, { recursive: true });
  writeFileSync(join(config, 'main.cf'), 'compatibility_level = 3.6\nlmdb_map_size = 1073741824\n');
  const people = Array.from({ length: recipients }, (_, i) => addressOf(i));
  const tables = { recipients: people, domains: domainsOf(recipients) };
  for (const [name, keys] of Object.entries(tables)) {
    writeFileSync(join(config, name), keys.map((key) => `${key} OK\n`).join(''));
    await postmap(config, `lmdb:${join(config, name)}`);
  }
  const running = await startPostfix({
    folder,
    smtpdProcesses: SMTPD_PROCESSES,
    settings: {
      lmdb_map_size: '1073741824',
      relay_domains: `lmdb:${join(config, 'domains')}`,
      relay_recipient_maps: `lmdb:${join(config, 'recipients')}`,
      mynetworks: '',
      smtpd_relay_restrictions: 'reject_unauth_destination',
      smtpd_client_event_limit_exceptions: 'static:all',
      smtpd_client_connection_count_limit: '0',
      in_flow_delay: '0',
    },
  });
  return {
    name: 'Postfix',
    recipients,
    version: `${running.version}, lmdb`,
    port: running.port,
    cpuSeconds: () => ({ Postfix: cpuSecondsOf([running.pid]) }),
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function domainsOf(recipients: number): readonly string[] {
  return Array.from({ length: Math.min(recipients, DOMAINS) }, (_, i) => `dest${String(i)}.example.com`);
}
