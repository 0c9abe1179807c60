/** `postern`, the built program, as a process of its own against a real API. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { publicId, traceOf } from '#audit';
import { newId } from '#database';
import { ApiUnderTest, smallPolicy } from './admin-api-support.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');

let api: ApiUnderTest;
let workspace: Workspace;

beforeAll(async () => {
  workspace = new Workspace('cli');
  api = await ApiUnderTest.start();
  mkdirSync(workspace.path('data'));
  writeFileSync(
    workspace.path('data', 'run.json'),
    JSON.stringify({ api: api.url, adminKeyFile: workspace.path('data', 'admin-key'), smtp: [], pid: 1 }),
  );
  writeFileSync(workspace.path('data', 'admin-key'), `${api.key}\n`);
});
afterAll(async () => {
  await api.stop();
  await workspace.close();
});

interface How {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** Finds API and key in the data directory, as on the machine where Postern runs. */
function postern(args: readonly string[], { env = {}, stdin = '' }: How = {}): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: workspace.path('data'), ...env },
    stdin: Buffer.from(stdin),
    cwd: workspace.folder,
  });
}

async function ok(...args: readonly string[]): Promise<string> {
  const result = await postern(args);
  expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code: 0 });
  return result.stdout;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of every shape
const json = async (...args: readonly string[]): Promise<any> => JSON.parse(await ok(...args, '--json'));

function file(name: string, text: string): string {
  writeFileSync(workspace.path(name), text);
  return name;
}

const FAULTY = smallPolicy()
  .replace('route: capture', 'route: captur')
  .replace('exposure: internal', 'exposure: inside');

describe('policy check, without a server', () => {
  const offline = { POSTERN_DATA_DIR: '/nowhere' };

  test('a good policy', async () => {
    const result = await postern(['policy', 'check', file('good.yaml', smallPolicy())], { env: offline });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('good.yaml: ok');
  });

  test('a faulty one: place, line, mark, message, and exit code 1', async () => {
    const result = await postern(['policy', 'check', file('faulty.yaml', FAULTY)], { env: offline });
    expect(result.code).toBe(1);
    const lines = result.stderr.split('\n');
    const at = lines.findIndex((line) => /^faulty\.yaml:4:\d+: error [A-Z]\d+: /u.test(line));
    expect(at).toBeGreaterThanOrEqual(0);
    expect(lines[at + 1]).toMatch(/^ {2}4 \| {3}inside: \{ address/u);
    const column = Number(/:4:(\d+):/u.exec(lines[at] ?? '')?.[1]);
    expect((lines[at + 2] ?? '').indexOf('^')).toBe((lines[at + 1] ?? '').indexOf('|') + 1 + column);
    expect(result.stderr).toContain('captur');
    expect(result.stderr).toContain('  fix: ');
    expect(result.stderr.split('\n').at(-2)).toBe('postern: refused: faulty.yaml');
  });

  test('several at once, standard input, and JSON', async () => {
    file('good.yaml', smallPolicy());
    const result = await postern(['policy', 'check', '--each', '--json', 'good.yaml', '-'], {
      env: offline,
      stdin: FAULTY,
    });
    expect(result.code).toBe(1);
    const answers = JSON.parse(result.stdout) as { file: string; ok: boolean; findings: { line: number }[] }[];
    expect(answers.map((answer) => [answer.file, answer.ok])).toEqual([
      ['good.yaml', true],
      ['-', false],
    ]);
    expect(answers[1]?.findings.map(({ line }) => line)).toContain(4);
  });

  test('JSON is a policy too, and what is no text is not', async () => {
    expect((await postern(['policy', 'check', file('p.json', '{"policy": }')], { env: offline })).code).toBe(1);
    writeFileSync(workspace.path('octets'), new Uint8Array([0xff, 0xfe, 0x00]));
    expect(await postern(['policy', 'check', 'octets'], { env: offline })).toMatchObject({
      code: 1,
      stderr: 'postern: octets: is not UTF-8 text\n',
    });
  });

  test('a file that is not there is wrong usage', async () => {
    const result = await postern(['policy', 'check', 'missing.yaml'], { env: offline });
    expect(result).toMatchObject({ code: 2, stderr: 'postern: missing.yaml: there is no such file\n' });
    expect((await postern(['policy', 'check', '.'], { env: offline })).code).toBe(2);
  });
});

describe('policy', () => {
  test('apply, show, history, rollback', async () => {
    expect(await ok('policy', 'apply', file('a.yaml', smallPolicy()), '--dry-run')).toContain('nothing was changed');
    expect(await ok('policy', 'apply', 'a.yaml', '--reason', 'erste Fassung ☕')).toContain('revision 1 is live');
    expect(await ok('policy', 'apply', 'a.yaml')).toContain('live already');
    expect(await ok('policy', 'apply', file('b.yaml', smallPolicy(2626)), '--base', '1')).toContain(
      'revision 2 is live',
    );
    const shown = await postern(['policy', 'show']);
    expect(shown.stdout).toBe(smallPolicy(2626));
    expect(shown.stderr).toMatch(/revision: +2/u);
    expect(await ok('policy', 'show', '--revision', '1')).toBe(smallPolicy());
    expect(await ok('policy', 'rollback', '1', '--reason', 'back')).toContain('revision 1 is live');
    const history = await ok('policy', 'history');
    expect(history).toMatch(/^REVISION +LIVE/u);
    expect(history).toContain('erste Fassung ☕');
    expect(await json('policy', 'history')).toMatchObject({
      data: [
        { revision: 2, live: false },
        { revision: 1, live: true },
      ],
    });
    expect(await json('policy', 'show')).toMatchObject({ revision: 1, document: { policy: 'main' } });
  });

  test('apply from standard input', async () => {
    const result = await postern(['policy', 'apply', '-', '--json'], { stdin: smallPolicy(2727) });
    expect(JSON.parse(result.stdout)).toMatchObject({ changed: true });
  });

  test('a refusal shows the findings as check does, and changes nothing', async () => {
    const before = await json('policy', 'show');
    const result = await postern(['policy', 'apply', file('faulty.yaml', FAULTY)]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^faulty\.yaml:4:\d+: error/mu);
    expect(result.stderr).toContain('^');
    const asJson = await postern(['policy', 'apply', 'faulty.yaml', '--json']);
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ type: 'urn:postern:problem:policy-refused', status: 422 });
    expect(await json('policy', 'show')).toEqual(before);
  });

  test('a base that moved on, and a revision that is not there', async () => {
    file('c.yaml', smallPolicy(2828));
    expect(await postern(['policy', 'apply', 'c.yaml', '--base', '1'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is live by now, not 1'),
    });
    expect((await postern(['policy', 'rollback', '999'])).code).toBe(1);
    expect((await postern(['policy', 'show', '--revision', '999'])).code).toBe(1);
  });
});

describe('lists', () => {
  test('add, show, remove', async () => {
    expect(
      await ok(
        'list',
        'add',
        'staff',
        'ANN@example.com',
        '--note',
        'ticket 4711',
        '--owner',
        'helpdesk',
        '--expires',
        '30d',
      ),
    ).toMatch(/@example\.com is now in staff \(revision \d+\)/u);
    const again = await json('list', 'add', 'blocked-networks', '10.0.0.0/8');
    expect(again).toMatchObject({ value: '10.0.0.0/8', added: true });
    expect(await ok('list', 'add', 'blocked-networks', '10.0.0.0/8')).toContain('was already in');
    expect(await ok('lists')).toMatch(/blocked-networks +network/u);
    const shown = await ok('list', 'show', 'staff');
    expect(shown).toMatch(/^VALUE +OWNER/u);
    expect(shown).toContain('ticket 4711');
    expect(await json('list', 'show', 'blocked-networks', '10.0.0.0/8')).toMatchObject({ addedBy: 'tester' });
    expect(await ok('list', 'remove', 'blocked-networks', '10.0.0.0/8')).toContain('no longer in blocked-networks');
    expect(await postern(['list', 'remove', 'blocked-networks', '10.0.0.0/8'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not in'),
    });
    expect(await ok('list', 'show', 'blocked-networks')).toContain('has no entries');
  });

  test('what is refused, says why', async () => {
    const outside = await postern(['list', 'add', 'staff', 'ann@elsewhere.example']);
    expect(outside).toMatchObject({ code: 1, stdout: '' });
    expect(outside.stderr).toMatch(/^postern: .*ours/u);
    expect(await postern(['list', 'show', 'nonsense'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no managed list `nonsense`'),
    });
    expect(await postern(['list', 'add', 'staff', 'a@example.com', '--expires', 'never'])).toMatchObject({ code: 2 });
  });
});

describe('transactions, queue, gateways', () => {
  const id = newId();

  beforeAll(async () => {
    const recipient = {
      id: newId(),
      original: 'ann@example.com',
      address: 'ann@example.com',
      verdict: 'accept',
      by: '',
      reply: '250 2.1.5 OK',
      route: 'capture',
      facts: {},
    } as const;
    await api.database.messages.accept({
      id,
      sender: 'a@x.example',
      content: { kind: 'inline', bytes: Buffer.from('x') },
      sizeBytes: 1,
      body8bit: false,
      policyRevision: 1,
      recipients: [{ id: recipient.id, address: recipient.address, route: 'capture' }],
      leased: false,
      events: [
        {
          id: newId(),
          transactionId: id,
          sessionId: newId(),
          sender: 'a@x.example',
          recipient: 'ann@example.com',
          clientAddress: '203.0.113.9',
          kind: 'transaction.accepted',
          data: {
            listener: 'inside',
            clientPort: 4001,
            helo: 'client.example',
            protocol: 'ESMTP',
            startedAtMs: Date.now(),
            snapshot: { policy: 'main', revision: 1, digest: 'sha256:00', lists: {} },
            client: 'none',
            facts: {},
            parameters: {},
            message: { sizeBytes: 1, digest: '00', subject: 'evil \u001b]0;title\u0007\u001b[2J\u202etxt' },
            recipients: [recipient],
            reply: '250 2.0.0 Accepted',
            by: '',
          },
        },
      ],
    });
  });

  test('tx list, with and without filters', async () => {
    expect(await ok('tx', 'list', '--since', '1h', '--sender', 'a@x.example')).toContain(publicId('txn', id));
    expect(await json('tx', 'list', '--ip', '203.0.113.9', '--verdict', 'accepted')).toMatchObject({
      data: [{ id: publicId('txn', id) }],
    });
    expect(await json('tx', 'list', '--until', '1h')).toEqual({ data: [] });
    expect((await postern(['tx', 'list', '--verdict', 'maybe'])).code).toBe(2);
    expect((await postern(['tx', 'list', '--ip', 'nonsense'])).code).toBe(1);
  });

  test('tx show, by id and by trace; mail cannot steer the terminal', async () => {
    const text = await ok('tx', 'show', traceOf(id));
    expect(text).toMatch(/verdict: +accepted/u);
    expect(text).toMatch(/state: +queued/u);
    expect(text).toContain('\\u001b]0;title\\u0007\\u001b[2J\\u202etxt');

    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/u);
    expect(await json('tx', 'show', publicId('txn', id))).toMatchObject({
      recipients: [{ address: 'ann@example.com' }],
    });
    expect((await postern(['tx', 'show', 'txn_nonsense'])).code).toBe(1);
  });

  test('queue list and gateways', async () => {
    expect(await ok('queue', 'list')).toContain('ann@example.com');
    expect(await ok('queue', 'list', '--route', 'elsewhere')).toBe('the queue is empty\n');
    expect(await json('gateways')).toEqual({ data: [] });
  });

  test('a reader that stops reading is no fault', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'tx', 'list', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: workspace.path('data') },
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const code = await new Promise((done) => child.once('close', done));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('keys', () => {
  test('create, use, list, revoke', async () => {
    const created = await json('key', 'create', 'pipeline', '--role', 'viewer', '--expires', '90d');
    const env = { POSTERN_API_KEY: created.key as string };
    expect((await postern(['lists'], { env })).code).toBe(0);
    expect(await postern(['list', 'add', 'staff', 'x@example.com'], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('role `admin`'),
    });
    expect(await ok('key', 'list')).toMatch(/pipeline +viewer/u);
    expect(await ok('key', 'revoke', created.id as string)).toContain('is revoked');
    expect(await postern(['lists'], { env })).toMatchObject({ code: 1, stderr: expect.stringContaining('revoked') });
    expect(await ok('key', 'create', 'by hand')).toContain('not shown again');
  });
});

describe('finding the API', () => {
  test('it does not run here', async () => {
    const env = { POSTERN_DATA_DIR: '/nowhere' };
    const result = await postern(['lists'], { env });
    expect(result.code).toBe(3);
    expect(result.stderr).toContain('/nowhere/run.json');
    expect(result.stderr).toContain('npm start');
    expect(JSON.parse((await postern(['lists', '--json'], { env })).stdout)).toHaveProperty('detail');
  });

  test('it ran here, and does not answer', async () => {
    const result = await postern(['lists', '--api', 'http://127.0.0.1:1']);
    expect(result.code).toBe(3);
    expect(result.stderr).toContain('http://127.0.0.1:1');
  });

  test('by options, and by the environment', async () => {
    const nowhere = { POSTERN_DATA_DIR: '/nowhere' };
    expect((await postern(['lists', '--data-dir', workspace.path('data')], { env: nowhere })).code).toBe(0);
    expect(
      (await postern(['lists'], { env: { ...nowhere, POSTERN_API: api.url, POSTERN_API_KEY: api.key } })).code,
    ).toBe(0);
    expect(
      (await postern(['lists', '--api', api.url, '--key-file', workspace.path('data', 'admin-key')], { env: nowhere }))
        .code,
    ).toBe(0);
    expect((await postern(['lists', '--api', 'ftp://x'])).code).toBe(2);
  });

  test('the key of this machine is not sent to another', async () => {
    const result = await postern(['lists', '--api', 'http://api.elsewhere.example']);
    expect(result).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no key for http://api.elsewhere.example'),
    });
  });

  test('a key that may not be read, a key that is none', async () => {
    const missing = await postern(['lists', '--key-file', '/nowhere/key']);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('/nowhere/key') });
    expect((await postern(['lists'], { env: { POSTERN_API_KEY: 'nonsense' } })).code).toBe(1);
    chmodSync(workspace.path('data', 'admin-key'), 0o600);
    expect(readFileSync(join(workspace.path('data'), 'admin-key'), 'utf8')).toContain('pst_');
  });
});

test('wrong usage and help, as a process', async () => {
  const wrong = await postern(['policy', 'apply']);
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).not.toMatch(/^\s+at /mu);
  expect(await postern(['--help'])).toMatchObject({ code: 0, stderr: '' });
});

test('apply and rollback name the gateways that do not follow', async () => {
  await ok('policy', 'apply', file('first.yaml', smallPolicy()));
  const node = await api.database.nodes.join('deaf');
  const applied = await postern(['policy', 'apply', file('next.yaml', smallPolicy(2599))]);
  expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('is live') });
  expect(applied.stderr).toMatch(/gateway deaf still runs no policy: its log says why it does not load revision \d/u);
  await node.leave();
  expect(await postern(['policy', 'apply', 'first.yaml'])).toMatchObject({ code: 0, stderr: '' });
});
