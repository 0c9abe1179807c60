/** The course of `npm start`: options, packages, build, lock, processes; then until a signal, and back in order. */
import { chmodSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.mjs';
import { takeLock } from './lock.mjs';
import { HELP, readOptions } from './options.mjs';
import { prepare } from './prepare.mjs';
import { Supervisor } from './supervisor.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const SAME_CTRL_C_MS = 500;

/** Never rejects: what goes wrong is printed as a sentence and becomes the exit code. */
export async function start(argv, env) {
  const startedAt = Date.now();
  const log = (line) => console.error(`[${((Date.now() - startedAt) / 1000).toFixed(1).padStart(5)} s] ${line}`);
  const stop = new AbortController();
  listenForSignals(stop, log);
  let lock;
  let supervisor;
  try {
    const options = readOptions(argv, env, root);
    if (options.help) return void process.stdout.write(HELP);
    options.dataDir = makeDataDir(options.dataDir);
    lock = lockDataDir(options.dataDir);
    await prepare(root, { log, signal: stop.signal });
    supervisor = new Supervisor({ root, options, env, log });
    await run(supervisor, { options, stop, log });
  } catch (error) {
    if (!stop.signal.aborted || error.name !== 'AbortError') report(error, log);
  }
  try {
    await supervisor?.stop();
  } catch (error) {
    report(error, log);
  }
  lock?.release();
  if (supervisor !== undefined) log('stopped');
  process.exit(process.exitCode ?? 0);
}

async function run(supervisor, { options, stop, log }) {
  const stopped = new Promise((resolve) => {
    if (stop.signal.aborted) resolve();
    stop.signal.addEventListener('abort', () => resolve());
    supervisor.onFatal = (failure) => {
      report(failure, log);
      resolve();
    };
  });
  const starting = supervisor.start();
  starting.catch(() => undefined); // when a signal came first, its failure no longer matters
  const ready = await Promise.race([starting, stopped]);
  if (ready === undefined) return;
  tell(ready, options, log);
  await stopped;
}

/**
 * The first signal begins the stop; further ones change nothing, so that impatience never loses anything. One Ctrl-C comes
 * twice: from the terminal, and from npm, which hands it on.
 */
function listenForSignals(stop, log) {
  let toldAt = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (Date.now() - toldAt > SAME_CTRL_C_MS) log(stop.signal.aborted ? 'still stopping' : 'stopping');
      toldAt = Date.now();
      stop.abort();
    });
  }
  process.on('uncaughtException', (error) => {
    report(error, log);
    stop.abort(); // in order, as always
  });
  process.stdout.on('error', () => undefined); // nobody reads any more; mail goes on
  process.stderr.on('error', () => undefined);
}

function report(error, log) {
  process.exitCode = 1;
  // Errors of the file system name path and reason; anything else without a cure is a bug and keeps its stack.
  log(
    error instanceof Failure || error.syscall !== undefined
      ? `error: ${error.message}`
      : `internal error: ${error.stack}`,
  );
}

function makeDataDir(path) {
  if (!existsSync(path)) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o700);
  }
  return realpathSync(path);
}

function lockDataDir(dataDir) {
  const lock = takeLock(join(dataDir, 'supervisor.lock'));
  if (lock.heldBy === undefined) return lock;
  throw new Failure(`process ${lock.heldBy} already runs on ${dataDir}: stop it, or choose another --data-dir`);
}

function tell({ adminKey, adminKeyLost, ...ready }, { json, dataDir }, log) {
  log('ready');
  if (json) return void process.stdout.write(`${JSON.stringify(ready)}\n`);
  const at = dataDir === join(root, 'data') ? '' : `POSTERN_DATA_DIR=${shellWord(relativeTo(process.cwd(), dataDir))} `;
  const smtp = ready.smtp.map(({ listener, address, port }) => `${hostPort(address, port)} (listener ${listener})`);
  const kept = `in ${ready.adminKeyFile}`;
  const lost = `gone: there is no ${ready.adminKeyFile} any more; make a new one with \`${at}npx postern key reset\``;
  const known = adminKeyLost ? lost : kept;
  const key = adminKey === undefined ? known : `${adminKey}  (shown once; kept ${kept})`;
  process.stdout.write(`
Postern is ready.

  SMTP        ${smtp.join('\n              ')}
  HTTP API    ${ready.api}
  Data        ${dataDir}
  Admin key   ${key}

Try in another terminal:
  ${at}npm run send-test          sends a message to the first address above
  ${at}npx postern tx list        what happened to it, and why
  ${at}npx postern policy show    the policy that decided

Ctrl-C stops everything in order.
`);
}

const hostPort = (address, port) => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);

const relativeTo = (from, path) => (relative(from, path).startsWith('..') ? path : relative(from, path) || '.');

const shellWord = (text) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
