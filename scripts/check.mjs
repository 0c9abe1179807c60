// `npm run check`: what to run before every push, in under a minute; the first time, while nothing is cached, it takes
// up to two. Two parts at a time; the output of a part is shown when it fails. `npm run check -- lint types` runs only
// those. What it leaves out: specs with a database or sockets (`npm test`), and typed lint of a file that did not change
// but whose imports did (`npm run lint`).
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { prepare } from './lib/prepare.mjs';

const root = resolve(import.meta.dirname, '..');
const AT_A_TIME = 2;

const tool = (path) => join('node_modules', path);
const jestFlags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', tool('jest/bin/jest.js')];
const typesMemory = tool('.cache/types.tsbuildinfo');

/** What needs neither a database nor a socket. */
const PURE_LIBRARIES = ['audit', 'delivery', 'mime', 'policy', 'smtp-core'].map((name) => `libs/${name}/`);

/** Longest first, so that the last one to end is a short one. */
const PARTS = {
  specs: [...jestFlags, '--maxWorkers=1', '--silent', ...PURE_LIBRARIES],
  lint: [
    tool('eslint/bin/eslint.js'),
    '.',
    '--max-warnings',
    '0',
    '--cache',
    '--cache-strategy',
    'content',
    '--cache-location',
    tool('.cache/eslint/'),
  ],
  types: [
    tool('typescript/bin/tsc'),
    '--noEmit',
    '-p',
    'tsconfig.json',
    '--incremental',
    '--tsBuildInfoFile',
    typesMemory,
  ],
  format: [
    tool('prettier/bin/prettier.cjs'),
    '--check',
    '.',
    '--log-level',
    'warn',
    '--cache',
    '--cache-strategy',
    'content',
  ],
  fence: [
    tool('dependency-cruiser/bin/dependency-cruise.mjs'),
    '--config',
    '.dependency-cruiser.cjs',
    'apps',
    'libs',
    'migrations',
  ],
  generated: ['scripts/gen.mjs', '--check'],
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
const unknown = names.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  console.error(`unknown part \`${unknown[0]}\`; expected ${Object.keys(PARTS).join(', ')}`);
  process.exit(1);
}

const startedAt = Date.now();
try {
  await prepare(root, { log: (line) => console.error(line), compile: false });
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
const waiting = [...names];
const failed = [];
await Promise.all(Array.from({ length: AT_A_TIME }, worker));
console.log(`${failed.length === 0 ? 'all well' : `failed: ${failed.join(', ')}`} (${seconds(startedAt)})`);
process.exit(failed.length === 0 ? 0 : 1);

async function worker() {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const partStartedAt = Date.now();
    const { code, output } = await run(PARTS[name]);
    console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(10)} ${seconds(partStartedAt)}`);
    if (code === 0) continue;
    failed.push(name);
    console.log(output.trimEnd());
  }
}

function run(args) {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('close', (code) => done({ code, output }));
  });
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
