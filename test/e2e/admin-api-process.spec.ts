/** The built processes as the supervisor starts them: the one-shot setup, then the admin API. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { send, smallPolicy } from './admin-api-support.js';
import { createEmptyDatabase, startTestServer, type TestDatabase } from '../support/postgres.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const PROGRAMS = resolve(import.meta.dirname, '../../dist/apps/admin-api/src');
const INHERITED = /^(PATH|HOME|LANG|TZ|TMPDIR)$/u;

interface Running {
  readonly child: ChildProcess;
  readonly messages: Record<string, unknown>[];
  readonly said: () => string;
}

let workspace: Workspace;
let database: TestDatabase;

beforeEach(async () => {
  workspace = new Workspace('admin-api');
  database = await createEmptyDatabase();
});
afterEach(async () => {
  await workspace.close();
  await database.drop();
});

const dataDir = (): string => workspace.path('data');

function start(program: string, env: Readonly<Record<string, string>> = {}): Running {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.test(name)));
  const child = spawn(process.execPath, [join(PROGRAMS, program)], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...inherited, DATABASE_URL: database.url, POSTERN_DATA_DIR: dataDir(), ADMIN_API_PORT: '0', ...env },
  });
  const messages: Record<string, unknown>[] = [];
  let text = '';
  child.on('message', (message) => messages.push(message as Record<string, unknown>));
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  workspace.use({ stop: () => Promise.resolve(child.kill('SIGKILL')) });
  return { child, messages, said: () => text };
}

const hasEnded = ({ child }: Running): boolean => child.exitCode !== null || child.signalCode !== null;

async function ended(running: Running): Promise<number | null> {
  await waitFor('the process to end', () => hasEnded(running), { deadlineMs: 40_000 });
  return running.child.exitCode;
}

function messageOf(running: Running, kind: string): Promise<Record<string, unknown>> {
  return waitFor(`${kind}: ${running.said()}`, () => running.messages.find((message) => message['kind'] === kind), {
    deadlineMs: 20_000,
  });
}

function policyFile(text: string): Record<string, string> {
  writeFileSync(workspace.path('first.yaml'), text);
  return { POSTERN_FIRST_POLICY: workspace.path('first.yaml') };
}

describe('setup', () => {
  test('migrates, publishes the first policy, and makes a key that only its owner can read', async () => {
    const setup = start('setup.js', policyFile(smallPolicy()));
    expect(await ended(setup)).toBe(0);
    const done = await messageOf(setup, 'done');
    const file = join(dataDir(), 'admin-key');
    expect(done).toEqual({ kind: 'done', adminKey: readFileSync(file, 'utf8').trim(), adminKeyFile: file });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir()).mode & 0o777).toBe(0o700);
    expect(setup.said()).not.toContain(String(done['adminKey']));
    expect(statSync(join(dataDir(), 'secret-key')).mode & 0o777).toBe(0o600);
    const secretKey = readFileSync(join(dataDir(), 'secret-key'), 'utf8');
    expect(await ended(start('setup.js'))).toBe(0);
    expect(readFileSync(join(dataDir(), 'secret-key'), 'utf8')).toBe(secretKey);
    const [live] = await database.query('select source, author from policy_revision');
    expect(live).toEqual({ source: smallPolicy(), author: 'setup' });
  });

  test('again, and twice at once, changes nothing', async () => {
    const both = [start('setup.js', policyFile(smallPolicy())), start('setup.js', policyFile(smallPolicy()))];
    expect(await Promise.all(both.map(ended))).toEqual([0, 0]);
    const again = start('setup.js', policyFile(smallPolicy(2999)));
    expect(await ended(again)).toBe(0);
    expect((await messageOf(again, 'done'))['adminKey']).toBeUndefined();
    expect(await database.query('select count(*)::int as releases from policy_release')).toEqual([{ releases: 1 }]);
  });

  test('a first key whose file was lost before it was used is replaced', async () => {
    await ended(start('setup.js', policyFile(smallPolicy())));
    const lost = readFileSync(join(dataDir(), 'admin-key'), 'utf8');
    rmSync(join(dataDir(), 'admin-key'));
    const again = start('setup.js');
    expect(await ended(again)).toBe(0);
    const { adminKey } = await messageOf(again, 'done');
    expect(adminKey).not.toBe(lost.trim());
    expect(await database.query('select count(*)::int as usable from api_key where revoked_at is null')).toEqual([
      { usable: 1 },
    ]);
  });

  test('a first key that was used, and whose file is gone, is told as lost and not replaced', async () => {
    await messageOf(start('setup.js'), 'done');
    await database.query('update api_key set last_used_at = now()');
    rmSync(join(dataDir(), 'admin-key'));
    const done = await messageOf(start('setup.js'), 'done');
    expect(done).toMatchObject({ adminKeyLost: true });
    expect(done).not.toHaveProperty('adminKey');
  });

  test('an installation with a data directory of its own gets a key of its own, and no other loses one', async () => {
    await ended(start('setup.js', policyFile(smallPolicy())));
    const second = start('setup.js', { POSTERN_DATA_DIR: workspace.path('second') });
    expect(await ended(second)).toBe(0);
    expect((await messageOf(second, 'done'))['adminKey']).toBe(
      readFileSync(workspace.path('second/admin-key'), 'utf8').trim(),
    );
    expect(await database.query('select count(*)::int as usable from api_key where revoked_at is null')).toEqual([
      { usable: 2 },
    ]);
  });

  test('the policy of a first start is one', async () => {
    const setup = start('setup.js');
    expect({ code: await ended(setup), said: setup.said() }).toEqual({ code: 0, said: '' });
  });

  test('a faulty first policy is told with every finding, and nothing is published', async () => {
    const faulty = smallPolicy()
      .replace('route: capture', 'route: captur')
      .replace('exposure: internal', 'exposure: x');
    const setup = start('setup.js', policyFile(faulty));
    expect(await ended(setup)).toBe(78);
    const { message } = await messageOf(setup, 'fatal');
    expect(message).toMatch(/first\.yaml:4:\d+: /u);
    expect(message).toContain('captur');
    expect(String(message).split('\n').length).toBeGreaterThan(2);
    expect(await database.query('select 1 as n from policy_release')).toEqual([]);
  });

  test('a first policy that is not there', async () => {
    const setup = start('setup.js', { POSTERN_FIRST_POLICY: '/nowhere/policy.yaml' });
    expect(await ended(setup)).toBe(78);
    expect((await messageOf(setup, 'fatal'))['message']).toContain('/nowhere/policy.yaml');
  });

  test('a key file that was named is never made: a typing mistake would leave every secret unreadable', async () => {
    const setup = start('setup.js', { POSTERN_SECRET_KEY_FILE: workspace.path('no-such-key') });
    expect(await ended(setup)).toBe(78);
    const { message } = await messageOf(setup, 'fatal');
    expect(message).toContain(`POSTERN_SECRET_KEY_FILE names \`${workspace.path('no-such-key')}\`, which is not there`);
  });

  test('a server that is not safe is refused in a sentence', async () => {
    const server = await startTestServer({ fsync: 'off' });
    workspace.use({ stop: () => server.remove() });
    const setup = start('setup.js', { DATABASE_URL: server.url });
    expect(await ended(setup)).toBe(78);
    expect((await messageOf(setup, 'fatal'))['message']).toContain('fsync');
  });
});

test.each(['main.js', 'setup.js'])(
  '%s: a wrong environment ends it with a sentence, and without a stack',
  async (program) => {
    const running = start(program, { ADMIN_API_PORT: 'secret-port', ADMIN_API_PROT: '1' });
    expect(await ended(running)).toBe(78);
    const { message } = await messageOf(running, 'fatal');
    expect(message).toContain('`ADMIN_API_PORT`: expected a port');
    expect(message).toContain('`ADMIN_API_PROT`: unknown setting');
    expect(running.said()).not.toMatch(/secret-port|^\s+at /mu);
  },
);

describe('the admin API', () => {
  test('starts, answers, and stops on SIGTERM', async () => {
    await ended(start('setup.js', policyFile(smallPolicy())));
    const api = start('main.js');
    const { url } = await messageOf(api, 'ready');
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/u);
    const key = readFileSync(join(dataDir(), 'admin-key'), 'utf8').trim();
    expect((await send(String(url), '/readyz', {})).status).toBe(200);
    expect((await send(String(url), '/v1/policies/main', { key })).body).toMatchObject({ revision: 1 });
    api.child.kill('SIGTERM');
    expect(await ended(api)).toBe(0);
    expect(api.said()).not.toContain(key);
  });

  test('goes when its supervisor goes', async () => {
    await ended(start('setup.js', policyFile(smallPolicy())));
    const api = start('main.js');
    await messageOf(api, 'ready');
    api.child.disconnect();
    expect(await ended(api)).toBe(0);
  });

  test('says which port is taken, and by what setting it is chosen', async () => {
    await ended(start('setup.js', policyFile(smallPolicy())));
    const other = createServer().listen(0, '127.0.0.1');
    await waitFor('the other server', () => other.listening);
    const { port } = other.address() as AddressInfo;
    const api = start('main.js', { ADMIN_API_PORT: String(port) });
    expect(await ended(api)).toBe(78);
    const { message } = await messageOf(api, 'fatal');
    expect(message).toContain(String(port));
    expect(message).toContain('ADMIN_API_PORT');
    other.close();
  });

  test('started before its database, it answers 503 until that is there', async () => {
    const server = await startTestServer();
    workspace.use({ stop: () => server.remove() });
    await ended(start('setup.js', { DATABASE_URL: server.url, ...policyFile(smallPolicy()) }));
    await server.stop();
    const port = await freePort();
    const api = start('main.js', { DATABASE_URL: server.url, ADMIN_API_PORT: String(port) });
    const url = `http://127.0.0.1:${String(port)}`;
    await waitFor('the API to listen', async () => (await send(url, '/healthz', {})).status === 200);
    expect((await send(url, '/readyz', {})).status).toBe(503);
    await server.start();
    await messageOf(api, 'ready');
    expect((await send(url, '/readyz', {})).status).toBe(200);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await waitFor('a port', () => server.listening);
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
