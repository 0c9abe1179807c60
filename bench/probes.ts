/**
 * RCPT probes: MAIL, RCPT and RSET in one group, over and over, each for another recipient. Postern with a managed list of
 * recipients, Postfix with the same as `relay_recipient_maps` in lmdb; each with ten entries and with many, in turns.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { addressOf } from './policy-documents.js';
import { startProbedPostern, startProbedPostfix, type ProbedPeer } from './probe-peers.js';
import { probeFor, PROBES_PER_SESSION } from './probe-sessions.js';
import { median } from './report.js';

const SESSIONS = 20;
const FEW = 10;
/** A prime: neighbours in time are no neighbours in the list. */
const STRIDE = 7_919;

export interface ProbeLoad {
  readonly entries: number;
  readonly seconds: number;
  readonly runs: number;
}

interface ProbeRun {
  readonly perSecond: number;
  /** Processor milliseconds per 1000 probes, by part. */
  readonly cost: Readonly<Record<string, number>>;
}

interface Measured {
  readonly peer: ProbedPeer;
  readonly runs: ProbeRun[];
}

export async function measureProbes(project: string, load: ProbeLoad): Promise<readonly string[]> {
  const measured: Measured[] = [];
  try {
    for (const size of [FEW, load.entries]) {
      measured.push({ peer: await startProbedPostern(project, size), runs: [] });
      measured.push({ peer: await startProbedPostfix(size), runs: [] });
    }
    for (let run = 0; run <= load.runs; run += 1) {
      for (const each of measured) await measureOnce(each, run, load.seconds);
    }
    return render(measured, load);
  } finally {
    for (const { peer } of measured.reverse()) await peer.stop();
  }
}

/** Run 0 warms up and does not count. */
async function measureOnce({ peer, runs }: Measured, run: number, seconds: number): Promise<void> {
  const result = await runOnce(peer, run === 0 ? Math.min(2, seconds) : seconds);
  process.stderr.write(`probes, run ${String(run)}: ${describe(peer, result)}\n`);
  if (run > 0) runs.push(result);
}

async function runOnce(peer: ProbedPeer, seconds: number): Promise<ProbeRun> {
  const before = peer.cpuSeconds();
  const {
    probes,
    refused,
    seconds: taken,
  } = await probeFor(peer.port, { sessions: SESSIONS, seconds }, (probe) =>
    addressOf((probe * STRIDE) % peer.recipients),
  );
  if (refused > 0) throw new Error(`${peer.name} refused ${String(refused)} of ${String(probes)} probes`);
  const after = await settled(peer);
  const cost = Object.entries(after).map(([part, used]) => {
    return [part, ((used - (before[part] ?? 0)) * 1e6) / probes] as const;
  });
  return { perSecond: probes / taken, cost: Object.fromEntries(cost) };
}

/** What is still written down after the last probe belongs to the run. */
async function settled(peer: ProbedPeer): Promise<Readonly<Record<string, number>>> {
  const total = (): number => Object.values(peer.cpuSeconds()).reduce((sum, seconds) => sum + seconds, 0);
  for (let last = total(), round = 0; round < 25; round += 1) {
    await delay(200);
    const now = total();
    if (now - last < 0.02) break;
    last = now;
  }
  return peer.cpuSeconds();
}

function render(measured: readonly Measured[], load: ProbeLoad): string[] {
  const [few, fewReference, many, manyReference] = measured;
  if (few === undefined || fewReference === undefined || many === undefined || manyReference === undefined) return [];
  const times = (ours: Measured, theirs: Measured): string => (rateOf(ours) / rateOf(theirs)).toFixed(1);
  const cheaper = (ours: Measured, theirs: Measured): string => (costOf(theirs) / costOf(ours)).toFixed(1);
  const change = (rateOf(many) / rateOf(few) - 1) * 100;
  const costChange = (costOf(many) / costOf(few) - 1) * 100;
  return [
    `MAIL, RCPT and RSET in one segment on ${String(SESSIONS)} sessions, each for another of the recipients that the`,
    `server knows, ${String(PROBES_PER_SESSION)} of them on a connection; median of ${String(load.runs)} runs of ${String(load.seconds)} s in turns, lowest and highest in brackets. ` +
      `${few.peer.version}; Postfix ${fewReference.peer.version}.`,
    '',
    '| Recipients | Peer | probes/s | CPU ms per 1000 probes |',
    '|---:|---|---:|---|',
    ...measured.map(renderRow),
    '',
    `- ${String(few.peer.recipients)} recipients: ${times(few, fewReference)} × the probes of Postfix, ` +
      `with ${cheaper(few, fewReference)} × less processor time.`,
    `- ${String(many.peer.recipients)} recipients: ${times(many, manyReference)} × the probes of Postfix, ` +
      `with ${cheaper(many, manyReference)} × less processor time.`,
    `- Postern with ${String(many.peer.recipients)} against ${String(few.peer.recipients)}: rate ${signed(change)} %, ` +
      `processor time ${signed(costChange)} %.`,
  ];
}

function renderRow({ peer, runs }: Measured): string {
  const rates = runs.map(({ perSecond }) => perSecond);
  const range = `${Math.min(...rates).toFixed(0)}–${Math.max(...rates).toFixed(0)}`;
  const parts = Object.keys(runs[0]?.cost ?? {}).map(
    (part) => `${part} ${median(runs.map(({ cost }) => cost[part] ?? 0)).toFixed(0)}`,
  );
  const detail = parts.length > 1 ? ` (${parts.join(', ')})` : '';
  return `| ${String(peer.recipients)} | ${peer.name} | ${median(rates).toFixed(0)} (${range}) | ${costOf({ peer, runs }).toFixed(0)}${detail} |`;
}

function describe({ name, recipients }: ProbedPeer, { perSecond, cost }: ProbeRun): string {
  const parts = Object.entries(cost).map(([part, used]) => `${part} ${used.toFixed(0)}`);
  return `${name}, ${String(recipients)} recipients: ${perSecond.toFixed(0)} probes/s, CPU ms/1000: ${parts.join(', ')}`;
}

function rateOf({ runs }: Measured): number {
  return median(runs.map(({ perSecond }) => perSecond));
}

function costOf({ runs }: Measured): number {
  return median(runs.map(({ cost }) => Object.values(cost).reduce((sum, used) => sum + used, 0)));
}

function signed(percent: number): string {
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent).toFixed(0)}`;
}
