/** The bench: peers, variants and runs interleaved; prints a table, and writes it into docs/performance.md on request. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../test/support/free-port.js';
import { programPath } from '../test/support/program-path.js';
import { startSink } from '../test/support/smtp-sink.js';
import type { RunningSink } from '../test/support/smtp-sink.js';
import { signedLoad } from './mail-auth.js';
import { measure } from './measure.js';
import type { Measurement } from './measure.js';
import { HELP, loadOf, readOptions } from './options.js';
import type { BenchOptions } from './options.js';
import type { Peer, RunningPeer } from './peer.js';
import { POSTFIX } from './peers/postfix.js';
import { posternPeer } from './peers/postern.js';
import { renderReport, writeIntoDocument } from './report.js';
import type { Row } from './report.js';
import { buildScenario } from './scenario.js';

const WARM_UP_MESSAGES = 500;

export async function main(argv: readonly string[], project: string): Promise<number> {
  const options = readOptions(argv);
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  if (programPath('smtp-source') === undefined || process.getuid?.() !== 0) {
    process.stderr.write('error: the bench needs the Debian package postfix, and root to run it\n');
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  chmodSync(folder, 0o755);
  const stops: (() => Promise<void>)[] = [];
  try {
    const sinks = await startSinks(stops);
    const scenario = buildScenario(
      sinks.map(({ host, port }, index) => ({ route: `hop-${String(index)}`, host, port })),
    );
    const signed = options.mailAuth ? await signedLoad(scenario, folder, options.size) : undefined;
    if (signed !== undefined) stops.push(() => signed.stop());
    const peers: { peer: Peer; running: RunningPeer }[] = [];
    for (const peer of [posternPeer(project, signed), POSTFIX].filter(({ name }) =>
      options.peers.includes(name.toLowerCase()),
    )) {
      const running = await peer.start(scenario, join(folder, peer.name.toLowerCase()));
      stops.push(() => running.stop());
      peers.push({ peer, running });
    }
    const content = signed === undefined ? {} : { contentFile: signed.contentFile };
    const rows = await runAll(peers, { scenario, sinks, ...content }, options);
    const versions = peers.map(({ peer, running }) => `${peer.name} ${running.version}`);
    const report = renderReport(rows, { versions, command: `npm run bench -- ${argv.join(' ')}`.trim(), options });
    process.stdout.write(`${report}\n`);
    if (options.write) await writeIntoDocument(join(project, 'docs/performance.md'), report);
    return 0;
  } finally {
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startSinks(stops: (() => Promise<void>)[]): Promise<RunningSink[]> {
  const sinks: RunningSink[] = [];
  for (const port of await freePorts(3)) {
    const sink = await startSink({ port });
    stops.push(() => sink.stop());
    sinks.push(sink);
  }
  return sinks;
}

type BenchSetting = Parameters<typeof measure>[1] & { readonly contentFile?: string };

async function runAll(
  peers: readonly { readonly peer: Peer; readonly running: RunningPeer }[],
  setting: BenchSetting,
  options: BenchOptions,
): Promise<Row[]> {
  const rows: (Row & { readonly runs: Measurement[] })[] = [];
  for (const variant of options.variants) {
    const measured = peers.map(({ peer }) => ({ variant, peer: peer.name, runs: [] as Measurement[] }));
    rows.push(...measured);
    for (let run = 0; run <= options.runs; run += 1) {
      const results = await runOnce(peers, setting, { variant, run, options });
      if (run === 0) continue;
      for (const [index, result] of results.entries()) measured[index]?.runs.push(result);
    }
  }
  return rows;
}

/** Each peer once, one after the other; run 0 is the warm-up. */
async function runOnce(
  peers: readonly { readonly peer: Peer; readonly running: RunningPeer }[],
  setting: BenchSetting,
  { variant, run, options }: { variant: string; run: number; options: BenchOptions },
): Promise<Measurement[]> {
  const results: Measurement[] = [];
  for (const { peer, running } of peers) {
    const { contentFile } = setting;
    const load = { ...loadOf(variant, peer.name, options), ...(contentFile !== undefined && { contentFile }) };
    const result = await measure(running, setting, run === 0 ? { ...load, messages: WARM_UP_MESSAGES } : load);
    results.push(result);
    process.stderr.write(`${variant}, ${run === 0 ? 'warm-up' : `run ${String(run)}`}: ${peer.name} ${inShort(result)}
`);
  }
  return results;
}

function inShort({ messagesPerSecond, messages, seconds, surplus, cpuPer1000 }: Measurement): string {
  const cpu = Object.entries(cpuPer1000).map(([part, used]) => `${part} ${used.toFixed(3)}`);
  const twice = surplus === 0 ? '' : `, ${String(surplus)} arrived twice`;
  return `${messagesPerSecond.toFixed(0)} msg/s (${String(messages)} in ${seconds.toFixed(1)} s), CPU s/1000: ${cpu.join(', ')}${twice}`;
}
