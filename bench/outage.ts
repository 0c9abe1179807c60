/**
 * One destination is away while its mail piles up; what do the others notice, and how does it come back?
 *
 *   node bench/run.mjs outage [--messages 2000] [--seconds 20] [--kind hang|refuse] [--size 4096] [--write]
 *
 * Both destinations are domains of one `mx` route. `hang`: its host takes connections and says nothing; `refuse`: nobody
 * listens. So many messages are sent to it, the outage lasts so many seconds, then smtp-sink takes its place. All the while
 * one message after the other goes to the other destination, timed from MAIL until its host has it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DnsServer } from '../test/support/dns-server.js';
import { RunningPostern } from '../test/support/running-postern.js';
import { SmtpDialog } from '../test/support/smtp-dialog.js';
import { startSink } from '../test/support/smtp-sink.js';
import type { RunningSink } from '../test/support/smtp-sink.js';
import { sendBulk } from '../test/support/smtp-source.js';
import { waitFor } from '../test/support/wait.js';
import { percentile } from './latency-probe.js';
import { machine, writeSection } from './report.js';

/** Policies name no port for `mx`: these addresses of the loopback must have their port 25 free. */
const WELL = '127.0.0.12';
const SICK = '127.0.0.13';
const SMTP_PORT = 25;
const PROBE_PAUSE_MS = 100;
const DEADLINE_MS = 7_200_000;
const SESSIONS = 20;

interface Options {
  readonly messages: number;
  readonly seconds: number;
  readonly kind: string;
  readonly size: number;
  readonly write: boolean;
}

interface Phase {
  readonly name: string;
  /** Milliseconds, ascending. */
  readonly times: readonly number[];
}

export async function main(argv: readonly string[], project: string): Promise<number> {
  const options = readOptions(argv);
  if (process.getuid?.() !== 0) {
    process.stderr.write('error: the bench needs the Debian package postfix, and root to run it\n');
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'outage-'));
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const dns = await DnsServer.listen({ 'well.test': { a: [WELL] }, 'sick.test': { a: [SICK] } });
    stops.push(() => dns.close());
    const well = await startSink({ host: WELL, port: SMTP_PORT });
    stops.push(() => well.stop());
    const env = { GATEWAY_DNS_SERVERS: dns.address };
    const postern = await RunningPostern.start({ dataDir: join(folder, 'data'), policy: POLICY, project, env });
    stops.push(() => postern.stop());
    const report = await play(postern, well, {
      options,
      stops,
      command: `node bench/run.mjs outage ${argv.join(' ')}`.trim(),
    });
    process.stdout.write(`${report}\n`);
    if (options.write) await writeSection(join(project, 'docs/performance.md'), 'outage', report);
    return 0;
  } finally {
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const POLICY = {
  policy: 'main',
  listeners: { bench: { address: '127.0.0.1', port: 0, exposure: 'internal' } },
  lists: { here: { type: 'network', entries: ['127.0.0.0/8'] }, senders: { type: 'domain', entries: ['source.test'] } },
  clients: [{ name: 'here', match: { ip: 'here', listener: ['bench'] }, relay: 'anywhere', senders: 'senders' }],
  routing: [{ name: 'all', route: 'world' }],
  routes: { world: { mx: true, retry: 'impatient' } },
  retry: { impatient: { first: '5s', factor: 1.5, longest: '30s', 'give-up': '1d' } },
};

interface Setting {
  readonly options: Options;
  readonly stops: (() => Promise<unknown>)[];
  readonly command: string;
}

async function play(postern: RunningPostern, well: RunningSink, { options, stops, command }: Setting): Promise<string> {
  const port = postern.port('bench');
  const { messages, seconds, size } = options;
  const outage = await beginOutage(options.kind);
  const phases: Phase[] = [];
  const phase = async (name: string, during: () => Promise<unknown>): Promise<void> => {
    const times = await probedWhile(port, well, during);
    phases.push({ name, times });
    process.stderr.write(`${name}: ${figures(times)}\n`);
  };
  try {
    await phase('before', () => delay(3_000));
    await phase('while its mail comes in', () =>
      sendBulk({
        port,
        messages,
        sessions: SESSIONS,
        bodyBytes: size,
        sender: 'app@source.test',
        recipient: 'u@sick.test',
        deadlineMs: DEADLINE_MS,
      }),
    );
    await phase('outage', () => delay(seconds * 1000));
  } finally {
    await outage();
  }
  const sick = await startSink({ host: SICK, port: SMTP_PORT });
  stops.push(() => sick.stop());
  const arrivals: number[] = [];
  await phase('heal', () => watched(sick, messages, arrivals));
  return render(phases, { arrivals, messages, options, command });
}

/** Resolves with what ends it. */
async function beginOutage(kind: string): Promise<() => Promise<void>> {
  if (kind === 'refuse') return () => Promise.resolve();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(SMTP_PORT, SICK, resolve));
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
}

/** One message after the other to the other destination: from MAIL until its host has it. */
async function probedWhile(port: number, well: RunningSink, during: () => Promise<unknown>): Promise<number[]> {
  const dialog = await SmtpDialog.start({ port, deadlineMs: 60_000 });
  const times: number[] = [];
  const state = { ended: false };
  const ending = during().finally(() => (state.ended = true));
  while (!state.ended) {
    const before = well.count();
    const startedAt = performance.now();
    const reply = await dialog.deliver(
      { sender: 'probe@source.test', recipients: ['u@well.test'] },
      Buffer.from('Subject: probe\r\n\r\n'),
    );
    if (reply.code !== 250) throw new Error(`the probe was answered: ${reply.text}`);
    await waitFor('the probe to arrive', () => well.count() > before, { deadlineMs: 120_000, everyMs: 2 });
    times.push(performance.now() - startedAt);
    await delay(PROBE_PAUSE_MS);
  }
  await ending;
  await dialog.quit();
  return times.sort((a, b) => a - b);
}

/** Counts each second until everything has arrived; `arrivals` begins with the first second in which something did. */
async function watched(sick: RunningSink, messages: number, arrivals: number[]): Promise<void> {
  let last = 0;
  while (last < messages) {
    await delay(1000);
    const now = sick.count();
    if (now > 0) arrivals.push(now - last);
    last = now;
  }
}

function figures(times: readonly number[]): string {
  const shown = [50, 99, 100].map((percent) => (percentile(times, percent) ?? Number.NaN).toFixed(0));
  return `${shown.join(' / ')} ms (p50 / p99 / most of ${String(times.length)})`;
}

interface Outcome {
  readonly arrivals: readonly number[];
  readonly messages: number;
  readonly options: Options;
  readonly command: string;
}

function render(phases: readonly Phase[], { arrivals, messages, options, command }: Outcome): string {
  const best = Math.max(...arrivals);
  return [
    `${new Date().toISOString().slice(0, 10)}, \`${command}\`. ${machine()}; load and sinks on the same processors. ${String(messages)} messages to a destination that does not answer (${options.kind}) for ${String(options.seconds)} s.`,
    '',
    '| Phase | Mail to another domain of the same route, MAIL to its host |',
    '|---|---|',
    ...phases.map(({ name, times }) => `| ${name} | ${figures(times)} |`),
    '',
    `Heal: messages a second, from the first second on: ${arrivals.slice(0, 20).join(', ')}${arrivals.length > 20 ? ' …' : ''}. ` +
      `All after ${String(arrivals.length)} s: ${(messages / arrivals.length).toFixed(0)} msg/s, ${String(best)} in the best second.`,
  ].join('\n');
}

function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      messages: { type: 'string', default: '2000' },
      seconds: { type: 'string', default: '20' },
      kind: { type: 'string', default: 'hang' },
      size: { type: 'string', default: '4096' },
      write: { type: 'boolean', default: false },
    },
  });
  if (values.kind !== 'hang' && values.kind !== 'refuse') throw new Error('--kind: expected `hang` or `refuse`');
  const [messages, seconds, size] = [values.messages, values.seconds, values.size].map((text) => {
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`\`${text}\` is not a whole number from 1`);
    return Number(text);
  }) as [number, number, number];
  return { messages, seconds, kind: values.kind, size, write: values.write };
}
