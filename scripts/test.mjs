// `npm test [-- jest arguments]`: installs and compiles what is missing, runs every spec, ends with one plain line of
// figures. The exit code is Jest's.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { prepare } from './lib/prepare.mjs';

const root = resolve(import.meta.dirname, '..');

try {
  await prepare(root, { log: (line) => console.error(line) });
} catch (error) {
  console.error(`error: ${error.message}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'postern-figures-'));
const figuresFile = join(scratch, 'figures.json');
const code = await runJest([...process.argv.slice(2), '--json', `--outputFile=${figuresFile}`]);
console.log(summary(readFigures(), code));
rmSync(scratch, { recursive: true, force: true });
process.exit(code);

function runJest(args) {
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, jest, ...args], {
    cwd: root,
    stdio: ['inherit', 'ignore', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((done) => child.once('close', (exitCode) => done(exitCode ?? 1)));
}

function readFigures() {
  try {
    return JSON.parse(readFileSync(figuresFile, 'utf8'));
  } catch {
    return undefined; // Jest ended before it counted
  }
}

function summary(figures, exitCode) {
  if (figures === undefined) return `0 passed, ${exitCode === 0 ? 0 : 1} failed`;
  // A spec that could not even be loaded failed as a whole, although none of its tests was counted.
  const failed = figures.numFailedTests + figures.numRuntimeErrorTestSuites;
  const skipped = figures.numPendingTests + figures.numTodoTests;
  return `${figures.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
