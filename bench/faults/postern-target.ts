/** One installation as `npm start` makes it, or several gateways that share a PostgreSQL. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as EmbeddedPostgres from '../../scripts/lib/embedded-postgres.mjs';
import { freePort, freePorts } from '../../test/support/free-port.js';
import { RunningPostern, type PosternOptions, type PosternProcess } from '../../test/support/running-postern.js';
import { SmtpDialog } from '../../test/support/smtp-dialog.js';
import { testPolicy } from '../../test/support/test-policy.js';
import { waitFor } from '../../test/support/wait.js';
import { auditFaults } from './audit-account.js';
import type { Target } from './target.js';

const BACK_DEADLINE_MS = 90_000;

type Scripts = typeof EmbeddedPostgres;

interface Installation {
  readonly options: PosternOptions;
  readonly port: number;
  running: RunningPostern;
}

function policyFor(port: number, hopPort: number): unknown {
  return testPolicy([{ host: '127.0.0.1', port: hopPort }], {
    listeners: { inside: { address: '127.0.0.1', port, exposure: 'internal' } },
    retry: { impatient: { first: '1s', factor: 1, longest: '2s', 'give-up': '1h' } },
  });
}

/** Gateway, admin API, PostgreSQL or everything may die. */
export async function oneInstallation(folder: string, hopPort: number, project: string): Promise<Target> {
  const [port = 0, apiPort] = await freePorts(2);
  const options = {
    ...(apiPort !== undefined && { apiPort }),
    dataDir: join(folder, 'data'),
    policy: policyFor(port, hopPort),
    project,
  };
  const installation: Installation = { options, port, running: await RunningPostern.start(options) };
  return {
    name: 'one installation',
    ports: () => [port],
    victims: { gateway: 4, postgres: 3, everything: 2, 'admin-api': 1 },
    kill: (victim) =>
      victim === 'everything' ? restart(installation) : killOne(installation, victim as PosternProcess),
    audit: (numbers) => auditFaults(installation.running.api, numbers),
    stop: () => installation.running.stop(),
  };
}

/** Gateways on one database, each with a data directory of its own; a whole one dies at a time, or the database. */
export async function severalGateways(
  folder: string,
  { count, hopPort, project }: { readonly count: number; readonly hopPort: number; readonly project: string },
): Promise<Target> {
  const { startEmbeddedPostgres } = await scriptsOf(project);
  const dataDir = join(folder, 'postgres');
  let server = await startEmbeddedPostgres({ dataDir });
  const installations: Installation[] = [];
  const victims: Record<string, number> = { postgres: 1 };
  for (let index = 0; index < count; index += 1) {
    const port = await freePort();
    // One policy for all: each listens on a port of its own, which only its host has.
    const options: PosternOptions = {
      dataDir: join(folder, `node-${String(index)}`),
      policy: policyFor(0, hopPort),
      apiPort: await freePort(),
      project,
      env: { DATABASE_URL: server.url, GATEWAY_NODE_NAME: `node-${String(index)}`, GATEWAY_BODY_STORE: 'database' },
    };
    installations.push({ options, port, running: await RunningPostern.start(options) });
    victims[`node-${String(index)}`] = 2;
  }
  return {
    name: `${String(count)} gateways`,
    ports: () => installations.flatMap(({ running }) => running.listeners.map((listener) => listener.port)),
    victims,
    kill: async (victim) => {
      if (victim === 'postgres') {
        process.kill(server.pid, 'SIGKILL');
        await server.exited;
        server = await startEmbeddedPostgres({ dataDir });
        return;
      }
      const installation = installations[Number(victim.slice('node-'.length))];
      if (installation !== undefined) await restart(installation);
    },
    audit: async (numbers) => {
      const [first] = installations;
      return first === undefined ? [] : auditFaults(first.running.api, numbers);
    },
    stop: async () => {
      for (const { running } of installations) await running.stop();
      await server.stop();
    },
  };
}

/** A script, and no part of what is compiled. */
function scriptsOf(project: string): Promise<Scripts> {
  const file = join(project, 'scripts/lib/embedded-postgres.mjs');
  return import(pathToFileURL(file).href) as Promise<Scripts>;
}

async function restart(installation: Installation): Promise<void> {
  await installation.running.killEverything();
  installation.running = await RunningPostern.start(installation.options);
}

async function killOne({ running, port }: Installation, victim: PosternProcess): Promise<void> {
  if (running.processId(victim) === undefined) return;
  running.signal(victim, 'SIGKILL');
  await waitFor(`mail to be taken again after ${victim} was killed`, () => takesMail(port), {
    deadlineMs: BACK_DEADLINE_MS,
    everyMs: 100,
  });
}

async function takesMail(port: number): Promise<boolean> {
  const dialog = await SmtpDialog.open({ port, deadlineMs: 2_000 });
  try {
    await dialog.expect(220);
    await dialog.command('EHLO probe.test', 250);
    return (await dialog.command('MAIL FROM:<probe@client.test>')).code === 250;
  } finally {
    dialog.destroy();
  }
}
