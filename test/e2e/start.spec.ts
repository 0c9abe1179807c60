import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEmbeddedPostgres } from '../../scripts/lib/embedded-postgres.mjs';
import { reaches } from '../../scripts/lib/postgres-place.mjs';
import { isAlive, listProcesses, treeOf } from '../support/processes.js';
import { launch, PROJECT, RunningPostern, startThatFails } from '../support/running-postern.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const NOBODY = { uid: 65534, gid: 65534 };
const project = process.env['POSTERN_UNDER_TEST'] ?? PROJECT;
const asAnyoneElse = process.getuid?.() === 0 && reaches(NOBODY, join(project, 'scripts')) ? it : it.skip;
const FIRST_ANSWER_MS = 10_000;

let workspace: Workspace;
const policy = testPolicy();

beforeAll(() => {
  workspace = new Workspace('postern-start');
});

afterAll(async () => {
  await workspace.close();
});

const begin = async (name: string, env: Record<string, string> = {}): Promise<RunningPostern> =>
  workspace.use(await RunningPostern.start({ dataDir: workspace.path(name), policy, env }));

async function greeting(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.setTimeout(FIRST_ANSWER_MS, () => socket.destroy());
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString();
  } finally {
    socket.destroy();
  }
}

/** What still belongs to an installation: by the directory in its arguments (PostgreSQL) or in its environment (ours). */
const leftovers = (name: string): string[] =>
  listProcesses()
    .filter(({ pid, command }) => {
      const words = [...command.split(' '), ...environmentOf(pid)];
      return words.some((word) => `${word}/`.includes(`${workspace.path(name)}/`));
    })
    .map(({ command }) => command);

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0');
  } catch {
    return []; // it ended while we looked, or is not ours to look into
  }
}

function runFile(name: string): { smtp: { port: number }[]; pid: number } {
  return JSON.parse(readFileSync(workspace.path(name, 'run.json'), 'utf8')) as {
    smtp: { port: number }[];
    pid: number;
  };
}

describe('npm start', () => {
  it('is ready with addresses and a key, stops without a trace, starts again as it was, and takes many a Ctrl-C', async () => {
    const first = await begin('again');
    expect(await greeting(first.port('inside'))).toMatch(/^220 /);
    expect(statSync(workspace.path('again/admin-key')).mode & 0o777).toBe(0o600);
    expect(runFile('again')).toMatchObject({ pid: first.pid, smtp: [{ port: first.port('inside') }] });
    const revision = await first.api.publish(testPolicy([], { description: 'second' }));
    await first.stop();
    expect(first.exitCode).toBe(0);
    expect(leftovers('again')).toEqual([]);
    for (const name of ['run.json', 'processes.json', 'supervisor.lock'])
      expect(existsSync(workspace.path('again', name))).toBe(false);

    const second = await begin('again');
    expect(second.output()).not.toMatch(/installing|compiling/);
    expect(await second.api.liveRevision()).toBe(revision);
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) process.kill(second.pid, signal);
    await waitFor('the supervisor to end', () => second.exitCode !== null);
    expect(second.exitCode).toBe(0);
    expect(leftovers('again')).toEqual([]);
    expect(readFileSync(workspace.path('again/postgres.log'), 'utf8')).toContain('database system is shut down');
  }, 120_000);

  it('ends with npm, when npm alone gets the signal', async () => {
    const policyFile = workspace.path('npm.policy.yaml');
    writeFileSync(policyFile, JSON.stringify(policy));
    const options = ['--json', '--api-port', '0', '--policy', policyFile, '--data-dir', workspace.path('npm')];
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const npm = spawn('npm', ['start', '--silent', '--', ...options], { cwd: project, stdio: 'pipe' });
      const [line] = (await once(npm.stdout, 'data')) as [Buffer];
      expect(line.toString()).toContain('"smtp"');
      npm.kill(signal);
      await waitFor('npm to end', () => npm.exitCode !== null || npm.signalCode !== null);
      expect({ signal, code: npm.exitCode, left: leftovers('npm') }).toEqual({ signal, code: 0, left: [] });
    }
  }, 60_000);

  it('takes a Ctrl-C that reaches the compiler first for what it is', async () => {
    const checkout = workspace.makeFolder('checkout');
    cpSync(join(project, 'scripts'), join(checkout, 'scripts'), { recursive: true });
    for (const file of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'])
      cpSync(join(project, file), join(checkout, file));
    mkdirSync(join(checkout, 'node_modules/typescript/bin'), { recursive: true });
    writeFileSync(join(checkout, 'node_modules/typescript/bin/tsc'), 'setInterval(() => {}, 1000);');
    const installed = createHash('sha256')
      .update(readFileSync(join(checkout, 'package-lock.json')))
      .digest('hex');
    writeFileSync(join(checkout, 'node_modules/.postern-installed'), installed);
    const { child, said } = launch({ dataDir: workspace.path('compiling'), policy, project: checkout });
    const compiler = await waitFor('the compiler', () => treeOf(child.pid ?? 0).find((at) => at.pid !== child.pid));
    process.kill(compiler.pid, 'SIGINT');
    await waitFor('the compiler to end', () => !isAlive(compiler.pid));
    child.kill('SIGINT');
    await waitFor('the supervisor to end', () => child.exitCode !== null);
    expect({ code: child.exitCode, said: said() }).toMatchObject({ code: 0 });
    expect(said()).not.toContain('do not compile');
  }, 30_000);

  it('leaves nothing behind when it is stopped while it starts', async () => {
    for (const word of ['starting PostgreSQL', 'preparing the database', 'starting the gateway']) {
      const { child, said } = launch({ dataDir: workspace.path('early'), policy });
      await waitFor(word, () => said().includes(word));
      child.kill('SIGTERM');
      await waitFor('the supervisor to end', () => child.exitCode !== null);
      expect({ word, code: child.exitCode, said: said() }).toMatchObject({ code: 0 });
      expect(leftovers('early')).toEqual([]);
    }
  }, 120_000);

  it('starts each of its processes again when it is killed', async () => {
    const running = await begin('crash');
    for (const name of ['gateway', 'admin-api', 'postgres'] as const) {
      const before = running.processId(name);
      running.signal(name, 'SIGKILL');
      await waitFor(`${name} to run again`, () => {
        const now = running.processId(name);
        return now !== undefined && now !== before;
      });
    }
    await waitFor('a greeting', async () => (await greeting(runFile('crash').smtp[0]?.port ?? 0)).startsWith('220 '));
    expect(running.output()).toMatch(/gateway ended \(SIGKILL\); starting it again/);
    await running.stop();
    expect(running.exitCode).toBe(0);
    expect(leftovers('crash')).toEqual([]);
  }, 120_000);

  it('begins where a killed supervisor ended: its children stop, its PostgreSQL is used again', async () => {
    const first = await begin('killed');
    const [gateway, postgres] = [first.processId('gateway'), first.processId('postgres')];
    process.kill(first.pid, 'SIGKILL');
    const second = await begin('killed');
    expect(isAlive(gateway ?? 0)).toBe(false);
    expect(second.processId('postgres')).toBe(postgres);
    expect(second.output()).toContain('using it');
    expect(await greeting(second.port('inside'))).toMatch(/^220 /);
    await second.stop();
    expect(leftovers('killed')).toEqual([]);
  }, 120_000);

  it('runs twice side by side, and once on the same data', async () => {
    const [one, two] = await Promise.all([begin('one'), begin('two')]);
    expect(one.port('inside')).not.toBe(two.port('inside'));
    for (const running of [one, two]) expect(await greeting(running.port('inside'))).toMatch(/^220 /);
    const { code, said } = await startThatFails({ dataDir: workspace.path('one'), policy });
    expect(code).toBe(1);
    expect(said).toContain(`process ${String(one.pid)} already runs on ${workspace.path('one')}`);
    await one.stop();
    expect(await greeting(two.port('inside'))).toMatch(/^220 /);
    await two.stop();
  }, 120_000);

  it("uses a PostgreSQL of one's own, and starts none", async () => {
    const server = workspace.use(await startEmbeddedPostgres({ dataDir: workspace.path('server-2') }));
    const running = await begin('own', { DATABASE_URL: server.url });
    expect(await greeting(running.port('inside'))).toMatch(/^220 /);
    expect(existsSync(workspace.path('own/postgres'))).toBe(false);
    await running.stop();
    await server.stop();
  }, 60_000);

  asAnyoneElse(
    'runs for an ordinary user in a directory of mode 0700',
    async () => {
      const home = workspace.makeFolder('home');
      chownSync(home, NOBODY.uid, NOBODY.gid);
      const args = [join(project, 'scripts/start.mjs'), '--json', '--api-port', '0', '--data-dir', join(home, 'data')];
      const policyFile = workspace.path('again.policy.yaml');
      const child = spawn(process.execPath, [...args, '--policy', policyFile], { ...NOBODY, cwd: '/', stdio: 'pipe' });
      let out = '';
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
      await waitFor('it to be ready', () => out.endsWith('\n') || child.exitCode !== null, { deadlineMs: 60_000 });
      expect({ out, said }).toMatchObject({ out: expect.stringMatching(/^\{.*\}\n$/) });
      const { smtp } = JSON.parse(out) as { smtp: { port: number }[] };
      expect(await greeting(smtp[0]?.port ?? 0)).toMatch(/^220 /);
      child.kill('SIGTERM');
      await waitFor('it to stop', () => child.exitCode !== null);
      expect(child.exitCode).toBe(0);
    },
    120_000,
  );
});

describe('npm start refuses', () => {
  const refused = async (name: string, more: Partial<Parameters<typeof startThatFails>[0]> = {}): Promise<string> => {
    const { code, said } = await startThatFails({ dataDir: workspace.path(name), policy, ...more });
    expect({ code, said }).toMatchObject({ code: 1 });
    expect(said).not.toMatch(/^ {4}at /m); // a sentence, never a stack
    expect(leftovers(name)).toEqual([]);
    return said;
  };

  it('an unknown option', async () => {
    const child = spawn(process.execPath, [join(project, 'scripts/start.mjs'), '--jsn'], { stdio: 'pipe' });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(1);
    expect(said).toMatch(/unknown option `--jsn`; expected --json/);
  });

  it('a data directory without a name', async () => {
    const child = spawn(process.execPath, [join(project, 'scripts/start.mjs'), '--data-dir', ''], { stdio: 'pipe' });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining('--data-dir: expected the path') });
  });

  it('a database that may lose what it acknowledged', async () => {
    const server = workspace.use(
      await startEmbeddedPostgres({ dataDir: workspace.path('server-1'), settings: { fsync: 'off' } }),
    );
    expect(await refused('unsafe', { env: { DATABASE_URL: server.url } })).toMatch(/fsync/);
    await server.stop();
  }, 60_000);

  it('a database that is not there, after waiting a while for it', async () => {
    const absent = `postgresql://postern@/postern?host=${workspace.path('nowhere')}&port=5432`;
    expect(await refused('absent', { env: { DATABASE_URL: absent } })).toMatch(/DATABASE_URL must name/);
  }, 90_000);
});
