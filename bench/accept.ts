/**
 * The write path alone: how many messages a second one process commits, and what each costs. No SMTP, no policy.
 *
 *   node dist/bench/accept.js [--messages 50000] [--sessions 100] [--bytes 4096] [--groups 2] [--rounds 3] [--deliver]
 *
 * `--deliver` also records every message as delivered, in batches, as the relay does. A PostgreSQL of its own is
 * started in the temporary directory. Content is made before the clock starts; audit records are not.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase, type Database } from '#database';
import type { MessageToStore, RecipientOutcome } from '#delivery';
import type * as EmbeddedPostgres from '../scripts/lib/embedded-postgres.mjs';
import { makeMessage, outcomesOf } from '../test/database/message.js';

interface Options {
  readonly messages: number;
  readonly sessions: number;
  readonly bytes: number;
  readonly groups: number;
  readonly deliver: boolean;
}

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux in use. */
const TICK_MS = 10;
const BATCH = 500;

/** User and system time of a server and all its processes, ended ones included. */
function serverCpuMs(pid: number): number {
  const stat = (process: number): number[] => {
    const fields = readFileSync(`/proc/${process}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return fields.map(Number);
  };
  const own = stat(pid);
  let ticks = (own[11] ?? 0) + (own[12] ?? 0) + (own[13] ?? 0) + (own[14] ?? 0);
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const child = stat(Number(name));
      if (child[1] === pid) ticks += (child[11] ?? 0) + (child[12] ?? 0);
    } catch {
      // ended meanwhile: counted by its parent
    }
  }
  return ticks * TICK_MS;
}

async function run(db: Database, options: Options, serverPid: number): Promise<Record<string, number>> {
  const bytes = randomBytes(options.bytes);
  const accepted: MessageToStore[] = [];
  let made = 0;
  let recording: Promise<unknown> = Promise.resolve();
  const record = async (batch: readonly MessageToStore[]): Promise<void> => {
    const outcomes: RecipientOutcome[] = batch.flatMap(({ id, recipients }) =>
      outcomesOf({ id, recipients: recipients.map((recipient) => ({ ...recipient, attempts: 0 })) }),
    );
    await db.queue.record(outcomes, []);
  };
  const session = async (): Promise<void> => {
    while (made < options.messages) {
      made += 1;
      const message = makeMessage({ bytes, leased: true });
      await db.messages.accept(message);
      if (!options.deliver) continue;
      accepted.push(message);
      if (accepted.length >= BATCH) {
        const batch = accepted.splice(0);
        recording = recording.then(() => record(batch));
      }
    }
  };
  const before = {
    cpu: process.cpuUsage(),
    server: serverCpuMs(serverPid),
    commits: db.commits,
    at: performance.now(),
  };
  await Promise.all(Array.from({ length: options.sessions }, session));
  await recording;
  await record(accepted);
  const tookMs = performance.now() - before.at;
  const cpu = process.cpuUsage(before.cpu);
  const thousands = options.messages / 1000;
  return {
    messagesPerSecond: Math.round((options.messages * 1000) / tookMs),
    nodeMsPer1000: round((cpu.user + cpu.system) / 1000 / thousands),
    postgresMsPer1000: round((serverCpuMs(serverPid) - before.server) / thousands),
    commitsPer1000: round((db.commits - before.commits) / thousands),
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string', default: '50000' },
      sessions: { type: 'string', default: '100' },
      bytes: { type: 'string', default: '4096' },
      groups: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '3' },
      deliver: { type: 'boolean', default: false },
    },
  });
  // Seen from dist/bench, where this runs.
  const place = new URL('../../scripts/lib/embedded-postgres.mjs', import.meta.url).href;
  const { startEmbeddedPostgres } = (await import(place)) as typeof EmbeddedPostgres;
  const dataDir = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const server = await startEmbeddedPostgres({ dataDir });
  const options = {
    messages: Number(values.messages),
    sessions: Number(values.sessions),
    bytes: Number(values.bytes),
    groups: Number(values.groups),
    deliver: values.deliver,
  };
  try {
    const db = await openDatabase({ url: server.url, commitConnections: options.groups });
    await db.migrate();
    await db.nodes.join('bench');
    await run(db, { ...options, messages: 5000 }, server.pid);
    for (let round = 0; round < Number(values.rounds); round += 1) {
      console.log(JSON.stringify({ ...options, ...(await run(db, options, server.pid)) }));
    }
    await db.close();
  } finally {
    await server.stop();
    for (const directory of [dataDir, dirname(server.cluster)]) rmSync(directory, { recursive: true, force: true });
  }
}

await main();
