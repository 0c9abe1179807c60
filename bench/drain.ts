/**
 * How fast a queue empties, beside Postfix emptying the same:
 *
 *   node bench/run.mjs drain [--messages 2000] [--runs 1] [--size 4096] [--variants drain,recipients] [--peers postern,postfix] [--write]
 *
 * `drain`: so many messages are held in the queue and let go. `recipients`: a hundredth as many messages of 100 recipients
 * of one domain each, from MAIL to the sink; each must arrive in one transaction.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startSink } from '../test/support/smtp-sink.js';
import type { RunningSink } from '../test/support/smtp-sink.js';
import { sendBulk } from '../test/support/smtp-source.js';
import { waitFor } from '../test/support/wait.js';
import { DOMAIN, PEERS } from './drain/peers.js';
import type { HoldingPeer } from './drain/peers.js';
import { machine, median, writeSection } from './report.js';

const VARIANTS = ['drain', 'recipients'] as const;
const RECIPIENTS = 100;
const SESSIONS = 50;
const DEADLINE_MS = 3_600_000;

interface Options {
  readonly messages: number;
  readonly runs: number;
  readonly size: number;
  readonly variants: readonly string[];
  readonly peers: readonly string[];
  readonly write: boolean;
}

interface Run {
  readonly messagesPerSecond: number;
  readonly cpuPer1000: number;
}

interface Row {
  readonly variant: string;
  readonly peer: string;
  readonly messages: number;
  readonly runs: readonly Run[];
}

export async function main(argv: readonly string[], project: string): Promise<number> {
  const options = readOptions(argv);
  if (process.getuid?.() !== 0) {
    process.stderr.write('error: the bench needs the Debian package postfix, and root to run it\n');
    return 1;
  }
  const rows: Row[] = [];
  const versions: string[] = [];
  for (const name of options.peers) {
    const folder = mkdtempSync(join(tmpdir(), 'drain-'));
    chmodSync(folder, 0o755);
    const sink = await startSink();
    const peer = await PEERS[name]?.(sink, join(folder, name), project);
    try {
      if (peer === undefined) continue;
      versions.push(`${peer.name} ${peer.version}`);
      for (const variant of options.variants) rows.push(await measured(peer, sink, { variant, options }));
    } finally {
      await peer?.stop();
      await sink.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const report = render(rows, versions, `node bench/run.mjs drain ${argv.join(' ')}`.trim());
  process.stdout.write(`${report}\n`);
  if (options.write) await writeSection(join(project, 'docs/performance.md'), 'drain', report);
  return 0;
}

async function measured(
  peer: HoldingPeer,
  sink: RunningSink,
  { variant, options }: { readonly variant: string; readonly options: Options },
): Promise<Row> {
  const messages = variant === 'drain' ? options.messages : Math.max(20, Math.round(options.messages / RECIPIENTS));
  const runs: Run[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    const done =
      variant === 'drain'
        ? await drained(peer, sink, messages, options.size)
        : await spread(peer, sink, messages, options.size);
    process.stderr.write(
      `${variant}: ${peer.name} ${done.messagesPerSecond.toFixed(0)} msg/s, CPU s/1000 ${done.cpuPer1000.toFixed(3)}\n`,
    );
    runs.push(done);
  }
  return { variant, peer: peer.name, messages, runs };
}

async function drained(peer: HoldingPeer, sink: RunningSink, messages: number, size: number): Promise<Run> {
  await peer.hold();
  await send(peer, { messages, size });
  await settled(peer);
  return timed(peer, sink, { messages, begin: () => peer.release() });
}

async function spread(peer: HoldingPeer, sink: RunningSink, messages: number, size: number): Promise<Run> {
  const begin = async (): Promise<void> => {
    await send(peer, { messages, size, recipientsPerMessage: RECIPIENTS });
  };
  const before = sink.count();
  const run = await timed(peer, sink, { messages, begin });
  const transactions = sink.count() - before;
  if (transactions !== messages)
    throw new Error(`${peer.name}: ${String(transactions)} transactions for ${String(messages)} messages`);
  return run;
}

async function timed(
  peer: HoldingPeer,
  sink: RunningSink,
  { messages, begin }: { readonly messages: number; readonly begin: () => Promise<void> },
): Promise<Run> {
  const before = { count: sink.count(), cpu: peer.cpuSeconds() };
  const startedAt = performance.now();
  await begin();
  await waitFor('the sink to have everything', () => sink.count() - before.count >= messages, {
    deadlineMs: DEADLINE_MS,
    everyMs: 5,
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await settled(peer);
  const parts = Object.entries(peer.cpuSeconds()).map(([part, used]) => {
    return [part, ((used - (before.cpu[part] ?? 0)) * 1000) / messages] as const;
  });
  const shown = parts.map(([part, used]) => `${part} ${used.toFixed(3)}`).join(', ');
  process.stderr.write(`  CPU s per 1000 messages: ${shown}\n`);
  return { messagesPerSecond: messages / seconds, cpuPer1000: parts.reduce((sum, [, used]) => sum + used, 0) };
}

function send(
  { port }: HoldingPeer,
  {
    messages,
    size,
    ...more
  }: { readonly messages: number; readonly size: number; readonly recipientsPerMessage?: number },
): Promise<unknown> {
  const load = { port, messages, sessions: Math.min(SESSIONS, messages), bodyBytes: size, deadlineMs: DEADLINE_MS };
  return sendBulk({ ...load, ...more, sender: 'app@source.test', recipient: `user@${DOMAIN}` });
}

function totalCpu(peer: HoldingPeer): number {
  return Object.values(peer.cpuSeconds()).reduce((sum, seconds) => sum + seconds, 0);
}

/** What goes on after the last message belongs to the run. */
async function settled(peer: HoldingPeer): Promise<void> {
  let last = totalCpu(peer);
  for (let round = 0; round < 50; round += 1) {
    await delay(200);
    const now = totalCpu(peer);
    if (now - last < 0.02) return;
    last = now;
  }
}

function render(rows: readonly Row[], versions: readonly string[], command: string): string {
  const lines = rows.map(({ variant, peer, messages, runs }) => {
    const rate = median(runs.map(({ messagesPerSecond }) => messagesPerSecond)).toFixed(0);
    const cpu = median(runs.map(({ cpuPer1000 }) => cpuPer1000)).toFixed(3);
    const what = variant === 'drain' ? 'a queue of' : 'end to end, 100 recipients each:';
    return `| ${what} ${String(messages)} messages | ${peer} | ${rate} | ${cpu} |`;
  });
  const ratios = VARIANTS.flatMap((variant) => {
    const of = (peer: string): number =>
      median(
        rows.find((row) => row.variant === variant && row.peer === peer)?.runs.map((run) => run.messagesPerSecond) ??
          [],
      );
    const ratio = of('Postern') / of('Postfix');
    return Number.isFinite(ratio) ? [`- ${variant}: ${ratio.toFixed(1)} × the messages per second of Postfix.`] : [];
  });
  return [
    `${new Date().toISOString().slice(0, 10)}, \`${command}\`: ${versions.join('; ')}. ${machine()}; the sink is on the same processors.`,
    '',
    '| Load | Peer | msg/s | CPU s per 1000 messages |',
    '|---|---|---:|---:|',
    ...lines,
    '',
    ...ratios,
  ].join('\n');
}

function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      messages: { type: 'string', default: '2000' },
      runs: { type: 'string', default: '1' },
      size: { type: 'string', default: '4096' },
      variants: { type: 'string', default: VARIANTS.join(',') },
      peers: { type: 'string', default: Object.keys(PEERS).join(',') },
      write: { type: 'boolean', default: false },
    },
  });
  return {
    messages: positive(values.messages),
    runs: positive(values.runs),
    size: positive(values.size),
    variants: known(values.variants, VARIANTS),
    peers: known(values.peers, Object.keys(PEERS)),
    write: values.write,
  };
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`\`${text}\` is not a whole number from 1`);
  return Number(text);
}

function known(text: string, all: readonly string[]): string[] {
  const wanted = text.split(',');
  const unknown = wanted.find((word) => !all.includes(word));
  if (unknown !== undefined) throw new Error(`\`${unknown}\` is not one of ${all.join(', ')}`);
  return wanted;
}
