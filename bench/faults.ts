/** `npm run faults`: kills, cuts and refusals under load, and then the account of every message. */
import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { liarTarget } from './faults/liar-target.js';
import { oneInstallation, severalGateways } from './faults/postern-target.js';
import { runFaults, type FaultReport } from './faults/run-faults.js';
import type { Target } from './faults/target.js';

const HELP = `npm run faults -- [options]

  --minutes N      how long faults happen                                     (default 1)
  --seed N         repeats the choices of an earlier run
  --gateways N     so many gateways on one database, each killed as a whole    (default 1: one installation)
  --clients N      clients at the same time                                   (default 8)
  --pause-ms N     pause of each client between messages                      (default 0)
  --control        a server that says 250 before it stores: must be caught
`;

export async function main(argv: readonly string[], project: string): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string' },
      gateways: { type: 'string', default: '1' },
      clients: { type: 'string', default: '8' },
      'pause-ms': { type: 'string', default: '0' },
      control: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'faults-'));
  chmodSync(folder, 0o755);
  const gateways = Number(values.gateways);
  const start = (hopPort: number): Promise<Target> => {
    if (values.control) return liarTarget(hopPort, project);
    if (gateways > 1) return severalGateways(folder, { count: gateways, hopPort, project });
    return oneInstallation(folder, hopPort, project);
  };
  try {
    const report = await runFaults({
      seed: values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed),
      forMs: Number(values.minutes) * 60_000,
      clients: Number(values.clients),
      pauseMs: Number(values['pause-ms']),
      quietMs: 120_000,
      log: (line) => process.stderr.write(`${line}\n`),
      start,
    });
    process.stdout.write(`${render(report)}\n`);
    const caught = report.faults.length > 0;
    return caught === values.control ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function render(report: FaultReport): string {
  const { seed, sent, acknowledged, arrived, bounced, duplicates, kills, faults } = report;
  const killed = Object.entries(kills).map(([victim, times]) => `${victim} ${String(times)}x`);
  return [
    `seed ${String(seed)}`,
    `killed: ${killed.join(', ') || 'nothing'}`,
    `sent ${String(sent)}, acknowledged ${String(acknowledged)}, arrived ${String(arrived)}, bounced ${String(bounced)}, twice ${String(duplicates)}`,
    ...(faults.length === 0
      ? ['every acknowledged message is accounted for']
      : faults.map((fault) => `FAULT: ${fault}`)),
  ].join('\n');
}
