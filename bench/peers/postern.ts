/** Postern as `npm start` runs it, audit and policy on, nothing switched off. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuSecondsOf } from '../../test/support/processes.js';
import { RunningPostern } from '../../test/support/running-postern.js';
import { MAIL_AUTH_RULES, type SignedLoad } from '../mail-auth.js';
import type { Peer } from '../peer.js';
import { domainsOf } from '../scenario.js';
import type { Scenario } from '../scenario.js';

const CONNECTIONS_PER_ROUTE = 20;

export function posternPeer(project: string, mailAuth?: SignedLoad): Peer {
  return {
    name: 'Postern',
    async start(scenario, folder) {
      const running = await RunningPostern.start({
        dataDir: join(folder, 'data'),
        policy: policyOf(scenario, mailAuth),
        project,
        ...(mailAuth !== undefined && { env: { GATEWAY_DNS_SERVERS: mailAuth.dns } }),
      });
      const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string };
      return {
        version: `${manifest.version}, Node ${process.versions.node}`,
        port: running.port('bench'),
        cpuSeconds: () => {
          const postgres = cpuSecondsOf([running.processId('postgres') ?? 0]);
          return { Node: cpuSecondsOf([running.pid]) - postgres, PostgreSQL: postgres };
        },
        stop: () => running.stop(),
      };
    },
  };
}

function policyOf(scenario: Scenario, mailAuth: SignedLoad | undefined): unknown {
  const routed = scenario.nextHops.map((hop) => ({ hop, list: `domains-of-${hop.route}` }));
  const [last] = routed.slice(-1);
  return {
    policy: 'main',
    listeners: { bench: { address: '127.0.0.1', port: 0, exposure: 'internal' } },
    lists: {
      inside: { type: 'network', entries: scenario.networks },
      'our-domains': { type: 'domain', entries: scenario.domains },
      staff: { type: 'address', entries: scenario.recipients },
      senders: { type: 'domain', entries: scenario.senderDomains },
      ...Object.fromEntries(
        routed.map(({ hop, list }) => [list, { type: 'domain', entries: domainsOf(scenario, hop) }]),
      ),
    },
    clients: [
      {
        name: 'inside',
        match: { ip: 'inside', listener: ['bench'] },
        relay: { to: 'our-domains' },
        senders: 'senders',
      },
    ],
    domains: [{ match: 'our-domains', recipients: 'staff' }],
    acl: {
      mail: [
        ...scenario.refusedSenders.map((domain, index) => ({
          name: `refused-${String(index)}`,
          when: { 'sender.domain': [domain] },
          reject: '550 5.7.1 Sender refused',
        })),
        ...(mailAuth === undefined ? [] : MAIL_AUTH_RULES.mail),
      ],
      ...(mailAuth !== undefined && { message: MAIL_AUTH_RULES.message }),
    },
    routing: [
      ...routed.slice(0, -1).map(({ hop, list }) => ({
        name: `to-${hop.route}`,
        when: { 'recipient.domain': list },
        route: hop.route,
      })),
      { name: 'rest', route: last?.hop.route },
    ],
    routes: Object.fromEntries(
      scenario.nextHops.map(({ route, host, port }) => [
        route,
        { hosts: [{ host, port }], limits: { connections: CONNECTIONS_PER_ROUTE } },
      ]),
    ),
  };
}
