/**
 * The policy by itself, in processor time: decisions by number of rules, look-ups by number of entries, what a big list
 * takes in memory and to load, what an edit of it takes, and how long a check takes.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { openDatabase } from '#database';
import { buildManagedList, check, compile, createSnapshot, decideTransaction, type ManagedList } from '#policy';
import { isWorn, loadList, rebuildList, updateList } from '../apps/gateway/src/policy/list-loader.js';
import { addressOf, policyOfRules } from './policy-documents.js';
import { measureProbes } from './probes.js';
import { startServer } from './server.js';

const HELP = `npm run bench:policy -- [options]

  --entries LIST   sizes of lists for the curve      (default 10,1000,100000,1000000)
  --load N         entries of the list that is loaded from PostgreSQL; 0 leaves it out   (default 1000000)
  --probes N       entries behind the RCPT probes against Postfix; 0 leaves them out     (default 0; needs root and postfix)
  --seconds N      seconds of each run of probes     (default 5)
  --runs N         runs of probes of each peer, in turns; the median counts   (default 3)
`;

export async function main(argv: readonly string[], project: string): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      entries: { type: 'string', default: '10,1000,100000,1000000' },
      load: { type: 'string', default: '1000000' },
      probes: { type: 'string', default: '0' },
      seconds: { type: 'string', default: '5' },
      runs: { type: 'string', default: '3' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  for (const rules of [200, 10_000]) decisions(rules);
  for (const rules of [200, 10_000]) checks(rules);
  for (const size of values.entries.split(',').map(Number)) lookUps(size);
  if (Number(values.load) > 0) await loading(project, Number(values.load));
  if (Number(values.probes) > 0) {
    const load = { entries: Number(values.probes), seconds: Number(values.seconds), runs: Number(values.runs) };
    for (const line of await measureProbes(project, load)) say(line);
  }
  return 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Microseconds of processor time each. */
function perCall(calls: number, run: (index: number) => void): number {
  for (let i = 0; i < Math.min(calls, 20_000); i += 1) run(i);
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i += 1) run(i);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

function decisions(rules: number): void {
  const result = compile(policyOfRules(rules));
  if (!result.ok) throw new Error(JSON.stringify(result.findings[0]));
  const lists = new Map<string, ManagedList>([
    [
      'staff',
      buildManagedList(
        'address',
        'staff',
        1,
        Array.from({ length: 1_000 }, (_, i) => `ann${String(i)}@example.com`),
      ),
    ],
    [
      'blocked',
      buildManagedList(
        'address',
        'blocked',
        1,
        Array.from({ length: 10_000 }, (_, i) => addressOf(i)),
      ),
    ],
  ]);
  const snapshot = createSnapshot(result.policy, lists);
  const used = perCall(30_000, (i) => {
    const shared = {
      listener: i % 2 === 0 ? 'mx' : 'internal',
      ip: i % 2 === 0 ? `203.0.${String(i % 250)}.9` : '10.1.2.3',
      helo: `mail${String(i % 50)}.partner.example`,
      'helo.kind': 'fqdn',
      sender: i % 2 === 0 ? `a@host${String(i % 999)}.example` : 'noreply@example.com',
      time: '2026-06-01T12:00:00Z',
    };
    decideTransaction(snapshot, shared, [{ recipient: `ann${String(i % 1_000)}@example.com`, recipients: 1 }]);
  });
  say(`decision over all phases, ${String(rules)} rules: ${used.toFixed(1)} µs`);
}

function checks(rules: number): void {
  const text = policyOfRules(rules);
  const seconds = (run: () => { readonly ok: boolean }): string => {
    const before = process.cpuUsage();
    if (!run().ok) throw new Error('refused');
    const { user, system } = process.cpuUsage(before);
    return ((user + system) / 1e6).toFixed(2);
  };
  const compiled = seconds(() => compile(text));
  const size = (text.length / 1e6).toFixed(2);
  say(
    `${String(rules)} rules, ${size} MB: compile ${compiled} s, check with every proof ${seconds(() => check(text))} s`,
  );
}

function lookUps(size: number): void {
  const list = buildManagedList('address', 'curve', 1, addresses(size));
  const probe = (i: number): string =>
    i % 2 === 0 ? addressOf((i * 7_919) % size) : `nobody${String(i)}@dest7.example.com`;
  const probes = Array.from({ length: 100_000 }, (_, i) => probe(i));
  const mean = perCall(probes.length, (i) => list.has(probes[i] ?? '', true));
  const times = probes.slice(0, 50_000).map((value) => {
    const from = process.hrtime.bigint();
    list.has(value, true);
    return Number(process.hrtime.bigint() - from);
  });
  times.sort((a, b) => a - b);
  const p99 = (times[Math.floor(times.length * 0.99)] ?? 0) / 1000;
  say(
    `look-up among ${String(size)} addresses: mean ${mean.toFixed(2)} µs, p99 ${p99.toFixed(2)} µs (the clock included)`,
  );
}

function* addresses(size: number): Generator<string> {
  for (let i = 0; i < size; i += 1) yield addressOf(i);
}

async function loading(project: string, size: number): Promise<void> {
  const server = await startServer(project);
  const database = await openDatabase({ url: server.url, applicationName: 'bench' });
  try {
    await database.migrate();
    for (let from = 0; from < size; from += 50_000) {
      const values = Array.from({ length: Math.min(50_000, size - from) }, (_, i) => addressOf(from + i));
      await database.lists.add('big', values, { actor: 'bench' });
    }
    const list = await timed(`${String(size)} addresses loaded from PostgreSQL`, () =>
      loadList(database.lists, 'big', 'address'),
    );
    await database.lists.add('big', ['new@example.com'], { actor: 'bench' });
    const changed = await timed('one address more', () => updateList(database.lists, list));
    await timed(`made anew (worn: ${String(isWorn(changed))})`, () => rebuildList(changed));
  } finally {
    await database.close();
    await server.remove();
  }
}

async function timed(what: string, work: () => Promise<ManagedList>): Promise<ManagedList> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  globalThis.gc?.();
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  const from = performance.now();
  delay.enable();
  const list = await work();
  delay.disable();
  const wall = performance.now() - from;
  const { user, system } = process.cpuUsage(cpu);
  globalThis.gc?.();
  const grown = (process.memoryUsage().rss - memory.rss) / 1e6;
  say(
    `${what}: ${(wall / 1000).toFixed(2)} s, processor ${((user + system) / 1e6).toFixed(2)} s, ` +
      `longest pause ${(delay.max / 1e6).toFixed(1)} ms, resident memory ${grown.toFixed(0)} MB more`,
  );
  return list;
}
