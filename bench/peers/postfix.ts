/**
 * Debian's Postfix with the same networks, senders, recipients and next hops, and with every brake off that a relay of
 * this size would switch off: enough smtpd processes, no flow delay, connections to next hops kept, no name look-ups.
 * Its durability (fsync before 250) is the default.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postmap, startPostfix } from '../../test/support/postfix.js';
import { cpuSecondsOf } from '../../test/support/processes.js';
import { runProgram } from '../../test/support/run-program.js';
import type { Peer } from '../peer.js';
import { nextHopOf } from '../scenario.js';
import type { Scenario } from '../scenario.js';

const PROCESSES = 200;

export const POSTFIX: Peer = {
  name: 'Postfix',
  async start(scenario, folder) {
    const type = await tableType();
    await writeTables(scenario, folder, type);
    const running = await startPostfix({
      folder,
      settings: settingsOf(scenario, folder, type),
      smtpdProcesses: PROCESSES,
    });
    return {
      version: `${running.version}, ${type} tables`,
      port: running.port,
      cpuSeconds: () => ({ Postfix: cpuSecondsOf([running.pid]) }),
      stop: () => running.stop(),
    };
  },
};

function settingsOf(scenario: Scenario, folder: string, type: string): Record<string, string> {
  const table = (name: string): string => `${type}:${join(folder, 'etc', name)}`;
  return {
    mynetworks: scenario.networks.join(' '),
    relay_domains: table('domains'),
    relay_recipient_maps: table('recipients'),
    transport_maps: table('transport'),
    smtpd_client_restrictions: `check_client_access cidr:${join(folder, 'etc/networks')}, reject`,
    smtpd_sender_restrictions: `check_sender_access ${table('senders')}`,
    smtpd_relay_restrictions: 'reject_unauth_destination',
    smtpd_recipient_restrictions: '',
    default_process_limit: String(PROCESSES),
    in_flow_delay: '0',
    smtpd_client_connection_count_limit: '0',
    smtpd_client_event_limit_exceptions: 'static:all',
    smtp_connection_cache_destinations: scenario.nextHops
      .map(({ host, port }) => `[${host}]:${String(port)}`)
      .join(' '),
    smtp_connection_reuse_count_limit: '0',
    default_destination_concurrency_limit: '50',
    initial_destination_concurrency: '20',
  };
}

async function writeTables(scenario: Scenario, folder: string, type: string): Promise<void> {
  const config = join(folder, 'etc');
  mkdirSync(config, { recursive: true });
  writeFileSync(join(config, 'main.cf'), 'compatibility_level = 3.6\n'); // postmap wants one; startPostfix writes the real one
  writeFileSync(join(config, 'networks'), lines(scenario.networks, 'OK'));
  const tables = {
    domains: lines(scenario.domains, 'OK'),
    recipients: lines(scenario.recipients, 'OK'),
    senders: lines(scenario.refusedSenders, 'REJECT'),
    transport: scenario.domains
      .map((domain) => {
        const { host, port } = nextHopOf(scenario, domain);
        return `${domain} smtp:[${host}]:${String(port)}\n`;
      })
      .join(''),
  };
  for (const [name, text] of Object.entries(tables)) {
    writeFileSync(join(config, name), text);
    await postmap(config, `${type}:${join(config, name)}`);
  }
}

function lines(keys: readonly string[], value: string): string {
  return keys.map((key) => `${key} ${value}\n`).join('');
}

/** lmdb where its package is installed, Debian's default otherwise. */
async function tableType(): Promise<string> {
  const types = (await runProgram('postconf', ['-m'])).stdout.split('\n');
  return types.includes('lmdb') ? 'lmdb' : 'hash';
}
