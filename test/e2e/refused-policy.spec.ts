/** A released policy that a gateway cannot put in force: who asks is told which, and why, until it is over. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { RunningPostern } from '../support/running-postern.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { testPolicy, type PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');
const workspace = new Workspace('refused');
let postern: RunningPostern;

beforeAll(async () => {
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: testPolicy() }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);

interface Gateway {
  readonly revision?: number;
  readonly refused?: { readonly revision: number; readonly reason: string };
}

async function gateway(): Promise<Gateway> {
  const { data } = (await postern.api.expectOk('GET', '/v1/gateways')) as { data: Gateway[] };
  return data[0] ?? {};
}

function apply(policy: PolicyDocument): Promise<ProgramResult> {
  writeFileSync(workspace.path('policy.json'), JSON.stringify(policy));
  return runProgram(process.execPath, [PROGRAM, 'policy', 'apply', workspace.path('policy.json')], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: workspace.path('data') },
    stdin: Buffer.alloc(0),
    cwd: workspace.folder,
  });
}

test('a port that is taken', async () => {
  const foreign = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => foreign.once('listening', listening));
  const { port } = foreign.address() as AddressInfo;
  const base = testPolicy();
  const other = { address: '127.0.0.1', port, exposure: 'internal' };
  const running = (await gateway()).revision;

  const applied = await apply({ ...base, listeners: { ...(base['listeners'] as object), other } });
  expect(applied.code).toBe(0);
  const refused = (await gateway()).refused;
  expect(refused?.reason).toContain(`127.0.0.1:${port} is already in use by another program`);
  expect(applied.stderr).toContain(`does not take revision ${refused?.revision} and still runs revision ${running}`);
  expect(applied.stderr).toContain('is already in use by another program');
  expect((await gateway()).revision).toBe(running);

  // The cause goes away: it is tried again by itself.
  await new Promise((closed) => foreign.close(closed));
  await waitFor('the revision to be taken', async () => (await gateway()).revision === refused?.revision);
  await waitFor('the refusal to be over', async () => (await gateway()).refused === undefined);
}, 60_000);

test('what is released no longer is refused no longer', async () => {
  const foreign = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => foreign.once('listening', listening));
  const { port } = foreign.address() as AddressInfo;
  const base = testPolicy();
  const before = await postern.api.liveRevision();
  const other = { address: '127.0.0.1', port, exposure: 'internal' };
  await postern.api.putPolicy({ ...base, listeners: { ...(base['listeners'] as object), other } });
  await waitFor('the refusal', async () => (await gateway()).refused);
  const etag = (await postern.api.request('GET', '/v1/policies/main')).headers.get('etag') ?? '*';
  await postern.api.expectOk('POST', '/v1/policies/main/releases', {
    body: JSON.stringify({ revision: before }),
    headers: { 'If-Match': etag },
  });
  await waitFor('the refusal to be over', async () => (await gateway()).refused === undefined);
  await new Promise((closed) => foreign.close(closed));
}, 60_000);
