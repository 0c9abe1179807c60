/** Brings a checkout to the point where its programs can run: packages installed, TypeScript compiled. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.mjs';
import { takeLock } from './lock.mjs';
import { holdsWithin } from './processes.mjs';

const SOURCES = ['apps', 'libs', 'migrations', 'bench'];
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const SOMEBODY_ELSE_MS = 300_000;
/** For npm to leave off; what it leaves half done is done again at the next start. */
const TOOL_STOP_MS = 5_000;
const OWN_SIGNAL_MS = 200;

/**
 * @param {string} root the checkout
 * @param {{ log: (line: string) => void, signal?: AbortSignal, compile?: boolean }} how
 */
export async function prepare(root, { log, signal, compile = true }) {
  if (isInstalled(root) && (!compile || isBuilt(root))) return;
  // Two starts in one checkout must not install or compile over each other.
  const lock = await takeLockWithin(join(root, '.prepare.lock'), { log, signal });
  try {
    if (!isInstalled(root)) await install(root, { log, signal });
    if (compile && !isBuilt(root)) await build(root, { log, signal });
  } finally {
    lock.release();
  }
}

async function takeLockWithin(file, { log, signal }) {
  let lock;
  try {
    lock = takeLock(file);
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS') throw error;
    throw new Failure('this checkout is not ready to run and not ours to write: `npm run build` as its owner', {
      cause: error,
    });
  }
  if (lock.heldBy !== undefined) log(`waiting for process ${lock.heldBy}, which prepares this checkout`);
  await holdsWithin(
    SOMEBODY_ELSE_MS,
    () => lock.heldBy === undefined || signal?.aborted || (lock = takeLock(file)).heldBy === undefined,
    200,
  );
  if (signal?.aborted) {
    if (lock.heldBy === undefined) lock.release();
    signal.throwIfAborted();
  }
  if (lock.heldBy !== undefined) throw new Failure(`process ${lock.heldBy} still prepares this checkout (${file})`);
  return lock;
}

const digestOf = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

const textOf = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/** By our mark when there is one; after an `npm install` by hand, by npm's own record of what it installed. */
function isInstalled(root) {
  const lockfile = join(root, 'package-lock.json');
  const mark = textOf(join(root, 'node_modules/.postern-installed'));
  if (mark === digestOf(lockfile)) return true;
  const record = join(root, 'node_modules/.package-lock.json');
  return existsSync(record) && statSync(record).mtimeMs >= statSync(lockfile).mtimeMs;
}

async function install(root, { log, signal }) {
  log('installing packages (half a minute on a fast line)');
  const mark = join(root, 'node_modules/.postern-installed');
  rmSync(mark, { force: true });
  const cli = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  // NODE_ENV=production would leave out the compiler.
  const args = ['install', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  await runTool([...cli, ...args], { root, signal, failure: '`npm install` failed' });
  writeFileSync(mark, digestOf(join(root, 'package-lock.json')));
}

const isBuilt = (root) => textOf(join(root, 'dist/.sources-digest')) === sourcesDigest(root);

function sourcesDigest(root) {
  const hash = createHash('sha256');
  const files = SOURCES.flatMap((directory) => listSources(root, directory)).sort();
  for (const file of [...SETTINGS, ...files]) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function listSources(root, directory) {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : listSources(root, path);
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts') ? [path] : [];
  });
}

async function build(root, { log, signal }) {
  log('compiling');
  const mark = join(root, 'dist/.sources-digest');
  // Without our mark the last build was cut short, and the compiler's memory of it may name files that are not there.
  if (!existsSync(mark)) rmSync(join(root, 'dist'), { recursive: true, force: true });
  const digest = sourcesDigest(root);
  rmSync(mark, { force: true });
  const compiler = [process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'];
  await runTool(compiler, { root, signal, failure: 'the sources do not compile' });
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(mark, digest);
}

/**
 * What tools say goes to stderr: stdout belongs to `--json`. Ctrl-C reaches the tool as well as us, and may reach it
 * first; it has ended before anything else happens, so that nobody writes to `node_modules` behind our back.
 */
function runTool([program, ...args], { root, signal, failure }) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 2, 2] });
    let patience;
    const stop = () => {
      child.kill('SIGTERM');
      patience = setTimeout(() => child.kill('SIGKILL'), TOOL_STOP_MS);
    };
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => fail(new Failure(`${failure}: ${error.message}`)));
    child.once('exit', (code, killedBy) => {
      const tell = () => {
        clearTimeout(patience);
        signal?.removeEventListener('abort', stop);
        if (signal?.aborted) fail(signal.reason);
        else if (code === 0) done();
        else fail(new Failure(failure));
      };
      setTimeout(tell, killedBy === null ? 0 : OWN_SIGNAL_MS);
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // `npm run build`
  try {
    await prepare(resolve(import.meta.dirname, '../..'), { log: (line) => console.error(line) });
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exit(1);
  }
}
