/**
 * Postern and Postfix with one next hop, whose mail can be kept in the queue and let go. Postern's route leads to a port
 * where nobody listens until a policy is published that names the right one, and the rows are made due in one statement;
 * Postfix defers its transport, and its queue is flushed. Postfix has every brake off, as in bench/peers/postfix.ts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectDatabase } from '../../test/support/audit-events.js';
import { freePort } from '../../test/support/free-port.js';
import { startPostfix } from '../../test/support/postfix.js';
import { cpuSecondsOf } from '../../test/support/processes.js';
import { runProgram } from '../../test/support/run-program.js';
import { RunningPostern } from '../../test/support/running-postern.js';
import { canConnect } from '../../test/support/smtp-sink.js';
import { waitFor } from '../../test/support/wait.js';

export const DOMAIN = 'dest.test';
const CONNECTIONS = 20;
const PROCESSES = 200;

export interface Hop {
  readonly host: string;
  readonly port: number;
}

export interface HoldingPeer {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  /** Mail stays in the queue from now on. */
  hold(): Promise<void>;
  /** It may go. Resolves when everything held is due. */
  release(): Promise<void>;
  cpuSeconds(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

export type StartPeer = (hop: Hop, folder: string, project: string) => Promise<HoldingPeer>;

export const PEERS: Readonly<Record<string, StartPeer>> = { postern: startPostern, postfix: startHoldingPostfix };

function policyTo(hop: Hop): unknown {
  return {
    policy: 'main',
    listeners: { bench: { address: '127.0.0.1', port: 0, exposure: 'internal' } },
    lists: {
      here: { type: 'network', entries: ['127.0.0.0/8'] },
      senders: { type: 'domain', entries: ['source.test'] },
    },
    clients: [{ name: 'here', match: { ip: 'here', listener: ['bench'] }, relay: 'anywhere', senders: 'senders' }],
    routing: [{ name: 'all', route: 'out' }],
    routes: {
      out: { hosts: [{ host: hop.host, port: hop.port }], retry: 'later', limits: { connections: CONNECTIONS } },
    },
    retry: { later: { first: '2h', factor: 1, longest: '2h', 'give-up': '1d' } },
  };
}

async function startPostern(hop: Hop, folder: string, project: string): Promise<HoldingPeer> {
  const nobody = { host: hop.host, port: await freePort() };
  const running = await RunningPostern.start({ dataDir: join(folder, 'data'), policy: policyTo(hop), project });
  const port = running.port('bench');
  const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string };
  return {
    name: 'Postern',
    version: `${manifest.version}, Node ${process.versions.node}`,
    port,
    hold: async () => {
      await running.api.publish(policyTo(nobody));
    },
    release: async () => {
      await running.api.publish(policyTo(hop));
      const client = await connectDatabase(running);
      await client.query('update queue set next_attempt_at = now() where owner is null');
      await client.end();
    },
    cpuSeconds: () => {
      const postgres = cpuSecondsOf([running.processId('postgres') ?? 0]);
      return { Node: cpuSecondsOf([running.pid]) - postgres, PostgreSQL: postgres };
    },
    stop: () => running.stop(),
  };
}

async function startHoldingPostfix({ host, port }: Hop, folder: string): Promise<HoldingPeer> {
  const settings = {
    relayhost: `[${host}]:${String(port)}`,
    default_process_limit: String(PROCESSES),
    in_flow_delay: '0',
    smtpd_client_connection_count_limit: '0',
    smtpd_client_event_limit_exceptions: 'static:all',
    smtp_connection_cache_destinations: `[${host}]:${String(port)}`,
    smtp_connection_reuse_count_limit: '0',
    smtp_destination_recipient_limit: '100',
    default_destination_concurrency_limit: String(CONNECTIONS),
    initial_destination_concurrency: String(CONNECTIONS),
  };
  const running = await startPostfix({ folder, settings, smtpdProcesses: PROCESSES });
  const set = async (value: string): Promise<void> => {
    await run('postconf', ['-c', running.config, '-e', value]);
    await run('postfix', ['-c', running.config, 'reload']);
    await waitFor('Postfix to be back', () => canConnect('127.0.0.1', running.port));
  };
  return {
    name: 'Postfix',
    version: running.version,
    port: running.port,
    hold: () => set('defer_transports=smtp'),
    release: async () => {
      await set('defer_transports=');
      await run('postqueue', ['-c', running.config, '-f']);
    },
    cpuSeconds: () => ({ Postfix: cpuSecondsOf([running.pid]) }),
    stop: () => running.stop(),
  };
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const result = await runProgram(program, args);
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}`);
}
