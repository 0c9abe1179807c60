/** One run: load, faults at random moments, then quiet, then the account. */
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../../test/support/wait.js';
import { FaultyHop, type HopMode } from './faulty-hop.js';
import { Ledger, type Account } from './ledger.js';
import { Load } from './load.js';
import { Randomness } from './randomness.js';
import type { Target } from './target.js';

export interface FaultRun {
  readonly seed: number;
  readonly forMs: number;
  readonly clients: number;
  readonly pauseMs: number;
  /** How long acknowledged mail may take to arrive after the last fault. */
  readonly quietMs: number;
  readonly log: (line: string) => void;
  /** Starts what is tested, given the port of the next hop. */
  start(hopPort: number): Promise<Target>;
}

export interface FaultReport extends Account {
  readonly seed: number;
  readonly kills: Readonly<Record<string, number>>;
  readonly audit: readonly string[];
  /** Sentences about what must not be. */
  readonly faults: readonly string[];
}

const PAUSE_MS = { least: 300, most: 2_500 };
const MISDEED_MS = { least: 300, most: 2_500 };

export async function runFaults(run: FaultRun): Promise<FaultReport> {
  const random = new Randomness(run.seed);
  const ledger = new Ledger();
  const hop = new FaultyHop(ledger, 0);
  await hop.listen();
  const target = await run.start(hop.port);
  try {
    const load = new Load(() => target.ports(), ledger, { random: new Randomness(run.seed + 1), pauseMs: run.pauseMs });
    load.start(run.clients);
    const kills = await makeTrouble(run, { random, ledger, hop, target });
    hop.become('accept');
    await load.stop();
    await settle(ledger, run);
    return await report(run, { ledger, target, kills });
  } finally {
    await target.stop();
    await hop.close();
  }
}

interface Setting {
  readonly random: Randomness;
  readonly ledger: Ledger;
  readonly hop: FaultyHop;
  readonly target: Target;
}

async function makeTrouble(run: FaultRun, { random, ledger, hop, target }: Setting): Promise<Record<string, number>> {
  const kills: Record<string, number> = {};
  const endsAt = Date.now() + run.forMs;
  while (Date.now() < endsAt) {
    await delay(random.between(PAUSE_MS.least, PAUSE_MS.most));
    if (random.choose({ kill: 3, misdeed: 2 }) === 'misdeed') {
      await misdeed(hop, random, run.log);
      continue;
    }
    const victim = random.choose(target.victims);
    const killing = ledger.killed(victim);
    await target.kill(victim);
    killing.toMs = Date.now();
    kills[victim] = (kills[victim] ?? 0) + 1;
    run.log(
      `killed ${victim}, back after ${String(killing.toMs - killing.fromMs)} ms; ${String(ledger.acknowledged)} acknowledged`,
    );
  }
  return kills;
}

async function misdeed(hop: FaultyHop, random: Randomness, log: (line: string) => void): Promise<void> {
  const mode: HopMode = random.choose({ refuse: 1, hang: 1, drop: 1, away: 1 });
  hop.become(mode);
  await delay(random.between(MISDEED_MS.least, MISDEED_MS.most));
  hop.become('accept');
  log(`the next hop: ${mode}`);
}

/** Until everything acknowledged has arrived, and nothing comes any more. */
async function settle(ledger: Ledger, run: FaultRun): Promise<void> {
  await waitFor('acknowledged mail to arrive', () => ledger.missing().length === 0, {
    deadlineMs: run.quietMs,
    everyMs: 200,
  }).catch(() => undefined);
  let seen = -1;
  await waitFor(
    'the last copies',
    () => {
      const now = ledger.account().arrived;
      const still = now === seen;
      seen = now;
      return still;
    },
    { deadlineMs: 10_000, everyMs: 2_500 },
  ).catch(() => undefined);
}

async function report(
  run: FaultRun,
  { ledger, target, kills }: { ledger: Ledger; target: Target; kills: Record<string, number> },
): Promise<FaultReport> {
  const account = ledger.account();
  const numbers = { acknowledged: ledger.numbersAcknowledged(), arrived: ledger.numbersArrived() };
  const audit = await target.audit(numbers);
  const named = (numbersOf: readonly number[]): string =>
    `${String(numbersOf.length)} (${numbersOf.slice(0, 10).join(', ')})`;
  const faults = [
    ...(account.acknowledged === 0 ? ['nothing was acknowledged: the run proves nothing'] : []),
    ...(account.lost.length > 0 ? [`acknowledged and lost: ${named(account.lost)}`] : []),
    ...(account.altered.length > 0 ? [`altered: ${named(account.altered)}`] : []),
    ...(account.unexplained.length > 0 ? [`twice without a kill: ${named(account.unexplained)}`] : []),
    ...audit,
  ];
  return { ...account, seed: run.seed, kills, audit, faults };
}
