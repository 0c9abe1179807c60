/** Big lists by themselves: look-ups by number of entries, memory, and how they come from PostgreSQL. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openDatabase } from '#database';
import { buildManagedList, type ManagedList } from '#policy';
import { isWorn, loadList, rebuildList, updateList } from '../apps/gateway/src/policy/list-loader.js';
import { addressOf } from './policy-documents.js';
import { perCall } from './policy-decisions.js';
import { startServer } from './server.js';

const PROBES = 100_000;
const TIMED = 50_000;
const CHUNK = 50_000;
const STRIDE = 7_919;
/** Changes after which a list is made anew. */
const EDITS = 70_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Octets in use; resident memory would show what earlier steps have left behind. */
function memoryUsed(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

interface Kind {
  readonly type: 'address' | 'domain' | 'network';
  readonly entry: (index: number) => string;
  /** A value that entry covers, and one that nothing covers. */
  readonly covered: (index: number) => string;
  readonly other: (index: number) => string;
}

const KINDS: readonly Kind[] = [
  { type: 'address', entry: addressOf, covered: addressOf, other: (i) => `nobody${String(i)}@dest7.example.com` },
  {
    type: 'domain',
    entry: (i) => `.customer${String(i)}.example`,
    covered: (i) => `mail.customer${String(i)}.example`,
    other: (i) => `a.stranger${String(i)}.example`,
  },
  {
    type: 'network',
    entry: (i) => `${ipv4(2 * i)}/32`,
    covered: (i) => ipv4(2 * i),
    other: (i) => ipv4(2 * i + 1),
  },
  {
    type: 'network',
    entry: (i) => `2001:db8:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::/64`,
    covered: (i) => `2001:db8:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::25`,
    other: (i) => `2001:db9:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::25`,
  },
];

/** From 16.0.0.0 on. */
function ipv4(index: number): string {
  const bits = 16 * 2 ** 24 + index;
  return [24, 16, 8, 0].map((shift) => String(Math.floor(bits / 2 ** shift) % 256)).join('.');
}

/** Half of the look-ups find something. */
export function measureLookUps(sizes: readonly number[]): string[] {
  return [
    '| Entries | type | mean, µs CPU | p99, µs (the clock included) | memory, MB | to build, s CPU |',
    '|---:|---|---:|---:|---:|---:|',
    ...sizes.flatMap((size) => KINDS.map((kind) => lookUps(kind, size))),
    '',
    'Goal: mean 2 µs, p99 5 µs, a million addresses in 64 MB.',
  ];
}

function lookUps({ type, entry, covered, other }: Kind, size: number): string {
  collectGarbage();
  const memory = memoryUsed();
  const cpu = process.cpuUsage();
  const list = buildManagedList(type, 'curve', 1, entries(entry, size));
  const { user, system } = process.cpuUsage(cpu);
  collectGarbage();
  const grown = (memoryUsed() - memory) / 1e6;
  const probes = Array.from({ length: PROBES }, (_, i) => (i % 2 === 0 ? covered((i * STRIDE) % size) : other(i)));
  const mean = perCall(PROBES, (i) => list.has(probes[i] ?? '', true));
  const p99 = percentile99(probes.slice(0, TIMED), (value) => list.has(value, true));
  return `| ${String(size)} | ${entry(0).includes('::') ? 'network, IPv6' : type} | ${mean.toFixed(2)} | ${p99.toFixed(2)} | ${grown.toFixed(0)} | ${((user + system) / 1e6).toFixed(2)} |`;
}

function* entries(entry: (index: number) => string, size: number): Generator<string> {
  for (let i = 0; i < size; i += 1) yield entry(i);
}

/** In microseconds. */
function percentile99(values: readonly string[], run: (value: string) => void): number {
  const times = values.map((value) => {
    const from = process.hrtime.bigint();
    run(value);
    return Number(process.hrtime.bigint() - from);
  });
  times.sort((a, b) => a - b);
  return (times[Math.floor(times.length * 0.99)] ?? 0) / 1000;
}

/** As the gateway does it, in a process that does nothing else. */
export async function measureLoading(project: string, size: number): Promise<string[]> {
  const server = await startServer(project);
  const database = await openDatabase({ url: server.url, applicationName: 'bench' });
  try {
    await database.migrate();
    for (let from = 0; from < size; from += CHUNK) {
      const values = Array.from({ length: Math.min(CHUNK, size - from) }, (_, i) => addressOf(from + i));
      await database.lists.add('big', values, { actor: 'bench' });
    }
    const rows: string[] = [];
    const step = async (what: string, work: () => Promise<ManagedList>): Promise<ManagedList> => {
      const { result, row } = await timed(what, work);
      rows.push(row);
      return result;
    };
    const list = await step(`${String(size)} addresses loaded`, () => loadList(database.lists, 'big', 'address'));
    await database.lists.add('big', ['new@example.com'], { actor: 'bench' });
    await step('one address more', () => updateList(database.lists, list));
    const more = Array.from({ length: EDITS }, (_, i) => `new${String(i)}@dest1.example.com`);
    for (let from = 0; from < EDITS; from += CHUNK / 2) {
      await database.lists.add('big', more.slice(from, from + CHUNK / 2), { actor: 'bench' });
    }
    const changed = list.withChanges(more, [], list.revision);
    await step(`made anew after ${String(EDITS)} changes (due: ${isWorn(changed) ? 'yes' : 'no'})`, () =>
      rebuildList(changed),
    );
    return [
      '| Step | s | CPU s | longest pause, ms | longest turn, ms CPU | memory, MB more |',
      '|---|---:|---:|---:|---:|---:|',
      ...rows,
      '',
      'Goal: a million in 5 s, no pause above 20 ms. Where other programs use the processors, the turn in processor time tells',
      'more than the pause.',
    ];
  } finally {
    await database.close();
    await server.remove();
  }
}

async function timed(what: string, work: () => Promise<ManagedList>): Promise<{ result: ManagedList; row: string }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  collectGarbage();
  const memory = memoryUsed();
  const turns = watchTurns();
  const cpu = process.cpuUsage();
  const from = performance.now();
  delay.enable();
  const result = await work();
  delay.disable();
  const wall = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const longest = turns();
  collectGarbage();
  const grown = (memoryUsed() - memory) / 1e6;
  const cells = [
    what,
    wall.toFixed(2),
    ((user + system) / 1e6).toFixed(2),
    (delay.max / 1e6).toFixed(1),
    (longest / 1000).toFixed(1),
    grown.toFixed(0),
  ];
  return { result, row: `| ${cells.join(' | ')} |` };
}

/** Longest processor time between two looks of the event loop, in microseconds; helpers of the garbage collector included. */
function watchTurns(): () => number {
  let longest = 0;
  let last = process.cpuUsage();
  let next: NodeJS.Immediate | undefined;
  const look = (): void => {
    const now = process.cpuUsage();
    longest = Math.max(longest, now.user + now.system - last.user - last.system);
    last = now;
    next = setImmediate(look);
  };
  next = setImmediate(look);
  return () => {
    clearImmediate(next);
    return longest;
  };
}
