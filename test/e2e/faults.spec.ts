/**
 * Faults at random moments, and the account of every message: the short form of `npm run faults`. The seed is printed; it
 * repeats the choices (`npm run faults -- --seed N`). The control shows that the account catches a server that lies.
 */
import { randomInt } from 'node:crypto';
import { afterAll, expect, test } from '@jest/globals';
import { liarTarget } from '../../bench/faults/liar-target.js';
import { oneInstallation } from '../../bench/faults/postern-target.js';
import { runFaults, type FaultRun } from '../../bench/faults/run-faults.js';
import { PROJECT } from '../support/running-postern.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('faults');
afterAll(() => workspace.close(), 60_000);

const project = process.env['POSTERN_UNDER_TEST'] ?? PROJECT;
const LOAD = { clients: 4, pauseMs: 20, quietMs: 90_000 };

function seeded(): Pick<FaultRun, 'seed' | 'log'> {
  const seed = Number(process.env['FAULTS_SEED'] ?? randomInt(2 ** 31));
  process.stderr.write(`faults: seed ${String(seed)}\n`);
  return { seed, log: () => undefined };
}

test('kills and misdeeds of the next hop: every acknowledged message is accounted for', async () => {
  const report = await runFaults({
    ...seeded(),
    ...LOAD,
    forMs: 12_000,
    start: (hopPort) => oneInstallation(workspace.makeFolder('one'), hopPort, project),
  });
  const { seed, acknowledged, duplicates, faults } = report;
  process.stderr.write(`faults: ${String(acknowledged)} acknowledged, ${String(duplicates)} arrived twice\n`);
  expect({ seed, faults }).toEqual({ seed, faults: [] });
}, 240_000);

test('a server that says 250 before it stores is caught', async () => {
  const report = await runFaults({
    ...seeded(),
    ...LOAD,
    forMs: 4_000,
    quietMs: 3_000,
    start: (hopPort) => liarTarget(hopPort, project),
  });
  expect(report.lost.length).toBeGreaterThan(0);
}, 60_000);
