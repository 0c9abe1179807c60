/**
 * The protocol alone: messages are read and thrown away. `npm run bench:protocol -- [--runs N] [--messages N] [--only load|hostile]
 * [--write]`
 *
 * Peers, in turns: this project's smtp-net, npm's smtp-server, Debian's Postfix (its smtpd told to DISCARD). One
 * process each, load by smtp-source. Then what hostile clients cost the first two: see hostile-clients.ts.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startPostfix } from '../test/support/postfix.js';
import { cpuSecondsOf } from '../test/support/processes.js';
import { programPath } from '../test/support/program-path.js';
import { sendBulk } from '../test/support/smtp-source.js';
import { HOSTILE_CLIENTS, LARGE_MESSAGE, attack } from './hostile-clients.js';
import type { ProtocolReport } from './protocol-server.js';
import { machine, median, writeSection } from './report.js';

const SESSIONS = 50;
const HOSTILE = 200;
const WARM_UP = 3_000;
const LARGE = 20;

interface ProtocolPeer {
  readonly name: string;
  readonly port: number;
  /** Milliseconds of processor time since it was last asked. */
  cpuMs(): Promise<number>;
  /** Of a peer in Node: everything it knows of itself. */
  readonly report?: (wanted?: 'report' | 'watch') => Promise<ProtocolReport>;
  stop(): Promise<void>;
}

export async function main(argv: readonly string[], project: string): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: 'string', default: '3' },
      messages: { type: 'string', default: '30000' },
      only: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  if (programPath('smtp-source') === undefined || process.getuid?.() !== 0) {
    process.stderr.write('error: the bench needs the Debian package postfix, and root to run it\n');
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  chmodSync(folder, 0o755);
  const peers: ProtocolPeer[] = [];
  try {
    for (const kind of ['smtp-net', 'smtp-server']) peers.push(await startNodePeer(kind));
    if (values.only !== 'hostile') peers.push(await startPostfixPeer(folder));
    if (values.only !== 'load') peers.push(await startNodePeer('scanned'));
    const load = { runs: Number(values.runs), messages: Number(values.messages) };
    const report = [
      `${new Date().toISOString().slice(0, 10)}, \`npm run bench:protocol -- ${argv.join(' ')}\`. ${machine()}.`,
      '',
      ...(values.only === 'hostile'
        ? []
        : await compare(
            peers.filter(({ name }) => name !== 'scanned'),
            load,
          )),
      '',
      ...(values.only === 'load' ? [] : [...(await besiege(peers)), '', ...(await sendLarge(peers))]),
    ].join('\n');
    process.stdout.write(`${report}\n`);
    if (values.write) await writeSection(join(project, 'docs/performance.md'), 'protocol', report);
    return 0;
  } finally {
    for (const peer of peers) await peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(peers: readonly ProtocolPeer[], load: { runs: number; messages: number }): Promise<string[]> {
  const rates = peers.map(() => [] as number[]);
  const costs = peers.map(() => [] as number[]);
  for (let run = 0; run <= load.runs; run += 1) {
    for (const [index, peer] of peers.entries()) {
      // Postfix is slower by far: the same number of messages would only take longer.
      const messages = Math.ceil(load.messages / (peer.report === undefined ? 10 : 1));
      await peer.cpuMs();
      const { seconds } = await sendMail(peer, messages);
      const cost = ((await peer.cpuMs()) * 1000) / messages;
      process.stderr.write(
        `run ${String(run)}: ${peer.name} ${(messages / seconds).toFixed(0)} msg/s, ${cost.toFixed(0)} ms/1000\n`,
      );
      if (run === 0) continue;
      rates[index]?.push(messages / seconds);
      costs[index]?.push(cost);
    }
  }
  return [
    `Messages of 4096 octets, ${String(SESSIONS)} sessions kept; median of ${String(load.runs)} runs in turns.`,
    '',
    '| Server | msg/s | CPU ms per 1000 messages |',
    '|---|---:|---:|',
    ...peers.map(
      ({ name }, index) =>
        `| ${name} | ${median(rates[index] ?? []).toFixed(0)} | ${median(costs[index] ?? []).toFixed(0)} |`,
    ),
  ];
}

function sendMail({ port }: ProtocolPeer, messages: number): ReturnType<typeof sendBulk> {
  const envelope = { sender: 'a@source.test', recipient: 'b@sink.test' };
  return sendBulk({ port, ...envelope, messages, sessions: SESSIONS, bodyBytes: 4096 });
}

async function besiege(peers: readonly ProtocolPeer[]): Promise<string[]> {
  const lines = [
    `${String(HOSTILE)} hostile clients of a kind at the same time: the longest time the event loop stood still, in`,
    'processor time of its thread and by the clock on the wall, and the resident memory over that before the attack.',
    '`scanned` is smtp-net with the content looked through for attachments, as for message rules.',
    '',
    '| Clients | Server | longest block ms | by the wall | memory over baseline MiB |',
    '|---|---|---:|---:|---:|',
  ];
  // What the first mail loads and compiles belongs to no attack.
  for (const peer of peers) await sendMail(peer, WARM_UP);
  for (const client of HOSTILE_CLIENTS) {
    for (const { name, port, report } of peers) {
      if (report === undefined) continue;
      const before = await report('watch');
      const release = await attack(port, client, HOSTILE);
      const after = await report('watch');
      await release();
      const grown = ((after.rssBytes - before.rssBytes) / 2 ** 20).toFixed(1);
      const { longestMs = 0, longestWallMs = 0 } = { ...after.blocks };
      lines.push(`| ${client.what} | ${name} | ${longestMs.toFixed(1)} | ${longestWallMs.toFixed(1)} | ${grown} |`);
      process.stderr.write(`${lines.at(-1) ?? ''}\n`);
    }
  }
  return lines;
}

/** What a session holds of a large message, at its highest. */
async function sendLarge(peers: readonly ProtocolPeer[]): Promise<string[]> {
  const lines = [
    `${String(LARGE)} messages of 25 MB at the same time: resident memory over that before, at its highest, for each.`,
    '',
    '| Server | memory MiB each |',
    '|---|---:|',
  ];
  for (const { name, port, report } of peers) {
    if (report === undefined) continue;
    const before = (await report()).rssBytes;
    let most = before;
    let isUnderWay = true;
    const sending = attack(port, LARGE_MESSAGE, LARGE).finally(() => (isUnderWay = false));
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set by the promise
    while (isUnderWay) {
      await delay(50);
      most = Math.max(most, (await report()).rssBytes);
    }
    await (
      await sending
    )();
    lines.push(`| ${name} | ${((most - before) / LARGE / 2 ** 20).toFixed(2)} |`);
  }
  return lines;
}

async function startNodePeer(kind: string): Promise<ProtocolPeer> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'protocol-server.js'), [kind], {
    execArgv: ['--expose-gc'],
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const report = async (wanted: 'report' | 'watch' = 'report'): Promise<ProtocolReport> => {
    child.send(wanted);
    const [answer] = (await once(child, 'message')) as [ProtocolReport];
    return answer;
  };
  return {
    name: kind,
    port,
    report,
    cpuMs: async () => (await report()).cpuMs,
    stop: async () => {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

async function startPostfixPeer(folder: string): Promise<ProtocolPeer> {
  const postfix = await startPostfix({
    folder: join(folder, 'postfix'),
    smtpdProcesses: 200,
    settings: {
      default_process_limit: '200',
      in_flow_delay: '0',
      smtpd_client_connection_count_limit: '0',
      smtpd_client_event_limit_exceptions: 'static:all',
      smtpd_relay_restrictions: 'permit_mynetworks, reject',
      smtpd_recipient_restrictions: 'check_recipient_access static:DISCARD',
    },
  });
  let before = 0;
  return {
    name: `Postfix ${postfix.version}, DISCARD`,
    port: postfix.port,
    cpuMs: () => {
      const used = cpuSecondsOf([postfix.pid]) * 1000 - before;
      before += used;
      return Promise.resolve(used);
    },
    stop: () => postfix.stop(),
  };
}
