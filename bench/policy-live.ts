/** A list of a million entries in a running gateway: how soon an entry is in force, and whether transactions feel it. */
import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase } from '#database';
import { addressOf } from './policy-documents.js';
import { startProbedPostern, type ProbedPeer } from './probe-peers.js';
import { ProbeSession, PROBES_PER_SESSION } from './probe-sessions.js';

const EDITS = 10;
const BETWEEN_EDITS_MS = 500;
const CLIENTS = 5;
/** Between two transactions of a client: the gateway is busy, not loaded to the brim. */
const REST_MS = 2;
const PATIENCE_MS = 10_000;

export async function measureLive(project: string, size: number): Promise<string[]> {
  const postern = await startProbedPostern(project, size);
  try {
    await transactionsDuring(postern, () => delay(2_000)); // warm-up
    const quiet = await transactionsDuring(postern, () => delay(EDITS * BETWEEN_EDITS_MS));
    const inForce: number[] = [];
    const edited = await transactionsDuring(postern, async () => {
      for (let edit = 0; edit < EDITS; edit += 1) {
        inForce.push(await addOne(postern, `live${String(edit)}@dest1.example.com`));
        await delay(BETWEEN_EDITS_MS);
      }
    });
    inForce.sort((a, b) => a - b);
    return [
      `A gateway with a list of ${String(size)} addresses and ${String(CLIENTS)} clients: ${String(EDITS)} addresses added one by one.`,
      '',
      `- in force after ${(inForce[EDITS / 2] ?? 0).toFixed(0)} ms (median), ${(inForce.at(-1) ?? 0).toFixed(0)} ms (longest). Goal: 1000 ms.`,
      `- MAIL, RCPT and RSET, p99: ${quiet.toFixed(1)} ms without edits, ${edited.toFixed(1)} ms with them. Goal: the same.`,
    ];
  } finally {
    await postern.stop();
  }
}

/** Milliseconds from the commit to the first RCPT that knows it. */
async function addOne({ databaseUrl, port }: ProbedPeer, address: string): Promise<number> {
  const database = await openDatabase({ url: databaseUrl ?? '', applicationName: 'bench' });
  const session = await ProbeSession.open(port);
  try {
    await database.lists.add('staff', [address], { actor: 'bench' });
    const from = performance.now();
    while (!(await session.probe(address))) {
      if (performance.now() - from > PATIENCE_MS) throw new Error(`\`${address}\` did not come into force`);
      await delay(15);
    }
    return performance.now() - from;
  } finally {
    session.close();
    await database.close();
  }
}

/** p99 in milliseconds of the transactions while `work` is done. */
async function transactionsDuring(postern: ProbedPeer, work: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  const over = new AbortController();
  const clients = Promise.all(
    Array.from({ length: CLIENTS }, async (_, number) => {
      for (let round = number; !over.signal.aborted; round += CLIENTS)
        times.push(...(await oneSession(postern, round)));
    }),
  );
  await work();
  over.abort();
  await clients;
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? 0;
}

/** Milliseconds of each transaction of one connection. */
async function oneSession(postern: ProbedPeer, round: number): Promise<number[]> {
  const session = await ProbeSession.open(postern.port);
  const times: number[] = [];
  for (let sent = 0; sent < PROBES_PER_SESSION; sent += 1) {
    const from = performance.now();
    await session.probe(addressOf((round * 7_919 + sent * 104_729) % postern.recipients));
    times.push(performance.now() - from);
    await delay(REST_MS);
  }
  session.close();
  return times;
}
