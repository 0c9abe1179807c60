/**
 * Who runs the embedded PostgreSQL, and where its files lie.
 *
 * PostgreSQL refuses to run as root, so root hands it to the account `postgres` or `nobody`. That account must reach
 * the binaries and the cluster; below a home directory of mode 0700 it cannot, and then they live elsewhere.
 */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Failure } from './failure.mjs';

/** Clusters of root whose data directory the account of PostgreSQL cannot reach. */
const SYSTEM_HOME = '/var/lib/postern';
/** The address of a unix socket is at most 107 bytes; PostgreSQL and its clients append `/.s.PGSQL.5432`. */
const MAX_SOCKET_PATH_BYTES = 100;

/** @typedef {{ uid: number, gid: number }} Account */

/** The account PostgreSQL runs as; undefined: the one we run as. An existing cluster keeps its owner. */
export function accountFor(dataDir, names = ['postgres', '_postgres', 'nobody']) {
  if (process.getuid?.() !== 0) return undefined;
  const cluster = existingCluster(dataDir);
  if (cluster !== undefined && statSync(cluster).uid !== 0) {
    const { uid, gid } = statSync(cluster);
    return { uid, gid };
  }
  const rows = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of names) {
    const [, , uid, gid] = rows.find((row) => row.startsWith(`${name}:`))?.split(':') ?? [];
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Failure(
    `PostgreSQL refuses to run as root, and there is no account ${names.join(' or ')}: start as an ordinary user, or set DATABASE_URL`,
  );
}

const systemHome = (dataDir) => join(SYSTEM_HOME, shortHash(dataDir));

const existingCluster = (dataDir) =>
  [dataDir, systemHome(dataDir)].map((home) => join(home, 'postgres')).find(existsSync);

/** Whether `account` may enter every directory up to `path`, and read `path` itself when it exists. */
export function reaches(account, path) {
  if (account === undefined) return true;
  for (let at = path, wanted = 0o5; ; at = dirname(at), wanted = 0o1) {
    if (existsSync(at) && !may(account, statSync(at), wanted)) return false;
    if (dirname(at) === at) return true;
  }
}

function may(account, { uid, gid, mode }, wanted) {
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

/**
 * Directory that holds cluster and copies of binaries: the data directory itself, or a place root can share. The data
 * directory remembers which, because that place is named after its path.
 */
export function homeFor(dataDir, account, log) {
  const cluster = existingCluster(dataDir);
  if (cluster !== undefined) return dirname(cluster);
  const note = join(dataDir, 'postgres-home');
  const home = systemHome(dataDir);
  const before = existsSync(note) ? readFileSync(note, 'utf8').trim() : home;
  if (before !== home && existsSync(before))
    throw new Failure(
      `the database of ${dataDir} lies in ${before}, from when it had another path: \`mv ${before} ${home}\``,
    );
  if (account === undefined || reaches(account, join(dataDir, 'postgres'))) return dataDir;
  mkdirSync(home, { recursive: true, mode: 0o755 });
  writeFileSync(note, `${home}\n`);
  log(`PostgreSQL, which does not run as root, cannot enter ${dataDir}; its files live in ${home}`);
  return home;
}

export const shortHash = (text) => createHash('sha256').update(text).digest('hex').slice(0, 12);

/**
 * The directory of binaries and libraries, complete and reachable: the installed one, or a copy of it.
 * npm cannot carry the symbolic links between libraries, and its install scripts may be switched off.
 */
export function usableNative(installed, version, { account, home, log }) {
  if (needed(installed).every((path) => reaches(account, path)) && linkLibraries(installed)) return installed;
  const copy = join(home, `native-${version}`);
  if (!existsSync(copy)) {
    log(`copying PostgreSQL's programs to ${copy}`);
    const draft = `${copy}.new-${process.pid}`;
    cpSync(installed, draft, { recursive: true, verbatimSymlinks: true });
    linkLibraries(draft);
    openForAll(draft);
    renameSync(draft, copy);
  }
  return copy;
}

const needed = (native) => ['bin/postgres', 'bin/initdb', 'lib', 'share'].map((name) => join(native, name));

function openForAll(path) {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chmodSync(path, stat.mode | 0o444 | (stat.mode & 0o100 ? 0o111 : 0));
  if (stat.isDirectory()) for (const name of readdirSync(path)) openForAll(join(path, name));
}

/** @returns {boolean} false when links are missing and cannot be made here */
function linkLibraries(native) {
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (existsSync(path)) continue;
    try {
      rmSync(path, { force: true }); // a link to nothing
      symlinkSync(basename(source), path);
    } catch (error) {
      if (error.code !== 'EEXIST') return false;
    }
  }
  return true;
}

/**
 * A directory of mode 0700 for the socket, owned by PostgreSQL's account: `trust` is safe only behind that.
 * Its path must be short; a deep data directory gets one below the system's directory for such things.
 */
export function socketDirectory(home, account) {
  const near = join(home, 'postgres-socket');
  if (Buffer.byteLength(`${near}/.s.PGSQL.5432`) <= MAX_SOCKET_PATH_BYTES) return makePrivate(near, account);
  const name = `postern-${process.getuid?.() ?? 0}-${shortHash(home)}`;
  const short = [process.env.XDG_RUNTIME_DIR, '/tmp', tmpdir()].filter(
    (parent) => parent !== undefined && existsSync(parent) && reaches(account, parent),
  );
  for (const parent of short) {
    const path = join(parent, name);
    if (Buffer.byteLength(`${path}/.s.PGSQL.5432`) > MAX_SOCKET_PATH_BYTES) continue;
    try {
      return makePrivate(path, account);
    } catch {
      continue; // not writable, or somebody else's: the next one
    }
  }
  return makePrivate(mkdtempSync('/tmp/postern-'), account);
}

function makePrivate(path, account) {
  const owner = account?.uid ?? process.getuid?.();
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const stat = lstatSync(path);
    if (!stat.isDirectory() || ![owner, process.getuid?.()].includes(stat.uid))
      throw new Failure(`\`${path}\` is in the way: expected a directory of our own`);
  }
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  chmodSync(path, 0o700);
  return path;
}
