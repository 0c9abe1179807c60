/** `GATEWAY_WORKERS`: several processes behind the same port, one of them killed while mail flows. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readMaildir } from '../support/maildir.js';
import { isAlive, treeOf } from '../support/processes.js';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const WORKERS = ['gateway-1', 'gateway-2'];
const CLIENTS = 6;

interface GatewayRow {
  readonly name: string;
  readonly alive: boolean;
  readonly revision?: number;
}

const workspace = new Workspace('workers');
let postern: RunningPostern;

beforeAll(async () => {
  const env = { GATEWAY_WORKERS: '2', GATEWAY_NODE_NAME: 'gateway', GATEWAY_METRICS_PORT: '0' };
  const options = { dataDir: workspace.path('data'), policy: testPolicy(), env };
  postern = workspace.use(await RunningPostern.start(options));
}, 180_000);

afterAll(() => workspace.close(), 60_000);

const gateways = async (): Promise<GatewayRow[]> =>
  ((await postern.api.expectOk('GET', '/v1/gateways')) as { data: GatewayRow[] }).data;

/** Pids of the workers, without the process that hands out connections. */
function workers(): number[] {
  const parent = postern.processId('gateway') ?? 0;
  return treeOf(parent)
    .map(({ pid }) => pid)
    .filter((pid) => pid !== parent);
}

/** Of each worker: it says in its log which port it got. */
function metricsPorts(): number[] {
  const lines = postern
    .log('gateway')
    .split('\n')
    .filter((line) => line.includes('metrics are served'));
  return lines.map((line) => (JSON.parse(line) as { port: number }).port);
}

async function figure(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

async function deliver(dialog: SmtpDialog, number: number): Promise<number> {
  const envelope = { sender: 'ann@client.test', recipients: ['bob@capture.test'] };
  const content = Buffer.from(`Subject: number ${String(number)}.\r\n\r\n${'x'.repeat(2000)}\r\n`);
  return (await dialog.deliver(envelope, content)).code;
}

test('each is a gateway of its own, takes connections in turn and follows the policy', async () => {
  expect((await gateways()).filter(({ alive }) => alive).map(({ name }) => name)).toEqual(WORKERS);
  expect(workers()).toHaveLength(WORKERS.length);
  const dialogs = await Promise.all(
    Array.from({ length: CLIENTS }, () => SmtpDialog.start({ port: postern.port('inside') })),
  );
  const share = CLIENTS / WORKERS.length;
  expect(await Promise.all(metricsPorts().map((port) => figure(port, 'postern_sessions')))).toEqual([share, share]);
  const revision = await postern.api.publish(testPolicy([], { description: 'second' }));
  await waitFor('both to run it', async () => (await gateways()).every((row) => row.revision === revision));
  expect(await Promise.all(dialogs.map(deliver))).toEqual(dialogs.map(() => 250));
  await Promise.all(dialogs.map((dialog) => dialog.quit()));
  for (const port of metricsPorts()) {
    expect(await figure(port, 'postern_audit_events_total{kind="transaction.accepted"}')).toBe(share);
    expect(await figure(port, 'postern_policy_revision')).toBe(revision);
    expect((await fetch(`http://127.0.0.1:${String(port)}/readyz`)).status).toBe(200);
  }
}, 60_000);

test('when one is killed the other goes on, it comes back, and nothing acknowledged is lost', async () => {
  const [victim = 0, survivor = 0] = workers();
  const acknowledged: number[] = [];
  let killed = false;
  let next = 1000;
  const sendOn = async (): Promise<void> => {
    for (let after = 0; after < 20;) {
      // A session of the victim breaks; the client comes again, as clients do.
      const dialog = await SmtpDialog.start({ port: postern.port('inside') }).catch(() => undefined);
      for (let more = 0; dialog !== undefined && more < 10; more += 1) {
        const number = (next += 1);
        const code = await deliver(dialog, number).catch(() => 0);
        if (code === 0) break;
        expect(code).toBe(250);
        acknowledged.push(number);
        if (killed) after += 1;
      }
      await dialog?.quit().catch(() => undefined);
    }
  };
  const sending = Array.from({ length: CLIENTS }, sendOn);
  await waitFor('mail to flow', () => acknowledged.length > 50);
  process.kill(victim, 'SIGKILL');
  killed = true;
  await Promise.all(sending);
  expect(isAlive(survivor)).toBe(true);
  await waitFor('both to run again', () => workers().length === WORKERS.length);
  const arrived = (): Set<number> =>
    new Set(
      readMaildir(postern.maildir('capture')).map((mail) =>
        Number(/^Subject: number (\d+)\./m.exec(mail.toString())?.[1]),
      ),
    );
  await waitFor('every acknowledged message', () => {
    const there = arrived();
    return acknowledged.every((number) => there.has(number));
  });
}, 120_000);

test('all stop in order', async () => {
  const all = workers();
  await postern.stop();
  expect(all.filter(isAlive)).toEqual([]);
  expect(postern.log('gateway')).not.toContain('did not stop cleanly');
}, 60_000);
