/** What judging and checking cost in processor time, by number of rules. */
import { buildManagedList, check, compile, createSnapshot, decideTransaction, type ManagedList } from '#policy';
import { addressOf, policyOfRules } from './policy-documents.js';

const CALLS = 30_000;
const STAFF = 1_000;
const BLOCKED = 10_000;

export function measureDecisions(): string[] {
  return [
    '| Rules | decision over all phases, µs | goal |',
    '|---:|---:|---:|',
    `| 200 | ${decision(200).toFixed(1)} | 20 |`,
    `| 10000 | ${decision(10_000).toFixed(1)} | 60 |`,
  ];
}

function decision(rules: number): number {
  const result = compile(policyOfRules(rules));
  if (!result.ok) throw new Error(JSON.stringify(result.findings[0]));
  const blocked = Array.from({ length: BLOCKED }, (_, i) => addressOf(i));
  const staff = Array.from({ length: STAFF }, (_, i) => `ann${String(i)}@example.com`);
  const lists = new Map<string, ManagedList>([
    ['staff', buildManagedList('address', 'staff', 1, staff)],
    ['blocked', buildManagedList('address', 'blocked', 1, blocked)],
  ]);
  const snapshot = createSnapshot(result.policy, lists);
  return perCall(CALLS, (i) => {
    const shared = {
      listener: i % 2 === 0 ? 'mx' : 'internal',
      ip: i % 2 === 0 ? `203.0.${String(i % 250)}.9` : '10.1.2.3',
      helo: `mail${String(i % 50)}.partner.example`,
      'helo.kind': 'fqdn',
      sender: i % 2 === 0 ? `a@host${String(i % 999)}.example` : 'noreply@example.com',
      time: '2026-06-01T12:00:00Z',
    };
    decideTransaction(snapshot, shared, [{ recipient: `ann${String(i % STAFF)}@example.com`, recipients: 1 }]);
  });
}

/**
 * The gateway compiles; `check` compiles and proves. Managed lists have a million entries or none: the document says only
 * that they are there, and so every proof is one about whatever they may hold.
 */
export function measureChecks(): string[] {
  return [
    '| Rules | MB | compile, CPU s | check with every proof, CPU s | goal |',
    '|---:|---:|---:|---:|---:|',
    ...[200, 10_000].map((rules) => {
      const text = policyOfRules(rules);
      const compiled = seconds(() => compile(text));
      const checked = seconds(() => check(text));
      const size = (text.length / 1e6).toFixed(2);
      return `| ${String(rules)} | ${size} | ${compiled.toFixed(2)} | ${checked.toFixed(2)} | 1 |`;
    }),
  ];
}

function seconds(run: () => { readonly ok: boolean }): number {
  const before = process.cpuUsage();
  if (!run().ok) throw new Error('refused');
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Microseconds of processor time each. */
export function perCall(calls: number, run: (index: number) => void): number {
  for (let i = 0; i < Math.min(calls, 20_000); i += 1) run(i);
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i += 1) run(i);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
