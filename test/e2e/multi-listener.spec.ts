/** Where it listens, and what it says when it cannot start. */
import { createServer } from 'node:net';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freePort, freePorts } from '../support/free-port.js';
import { RunningPostern, startThatFails } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { canConnect } from '../support/smtp-sink.js';
import { testPolicy } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('listen');
afterAll(() => workspace.close(), 60_000);

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
type Wrong = readonly (readonly [name: string, value: string, expected: RegExp])[];

const STACK_TRACE = /\bat .*\.(ts|js|mjs):\d+|node_modules/;

describe('several listeners', () => {
  let postern: RunningPostern;
  let samePort: number;
  const more = HAS_IPV6 ? ['::1'] : [];
  const inside = { address: ['127.0.0.1', '127.0.0.2', ...more], port: 0, exposure: 'internal' };

  beforeAll(async () => {
    if (!HAS_IPV6) process.stderr.write('SKIPPED: listeners on ::1: this machine has no IPv6 loopback\n');
    samePort = await freePort();
    const policy = testPolicy([], {
      listeners: {
        inside,
        first: { address: '127.0.0.3', port: samePort, exposure: 'internet' },
        second: { address: '127.0.0.4', port: samePort, exposure: 'internal' },
      },
    });
    postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy }));
  }, 180_000);

  test('answer on each address the policy names, and on no other', async () => {
    const bound = postern.listeners.map(({ listener, address }) => `${listener} ${address}`);
    const wanted = ['inside 127.0.0.1', 'inside 127.0.0.2', ...more.map((one) => `inside ${one}`)];
    expect(bound.sort()).toEqual([...wanted, 'first 127.0.0.3', 'second 127.0.0.4'].sort());
    for (const { address, port } of postern.listeners) {
      const dialog = await SmtpDialog.start({ host: address, port });
      await dialog.quit();
    }
    expect(await canConnect('127.0.0.5', samePort)).toBe(false);
    expect(await canConnect('127.0.0.1', samePort)).toBe(false);
  }, 60_000);

  test('on the same port are told apart by their address', async () => {
    const answers = [];
    for (const [host, listener] of [['127.0.0.3', 'first'] as const, ['127.0.0.4', 'second'] as const]) {
      const dialog = await SmtpDialog.start({ host, port: samePort });
      await dialog.command(`MAIL FROM:<a@${listener}.test>`, 250);
      answers.push((await dialog.command('RCPT TO:<b@anywhere.test>')).code);
      await dialog.quit();
      const story = await postern.api.storyWhen('the transaction', { sender: `a@${listener}.test` }, () => true);
      expect(story.session.listener).toBe(listener);
    }
    expect(answers).toEqual([550, 550]);
  }, 60_000);

  test('can be added, moved and removed while a session goes on', async () => {
    const dialog = await SmtpDialog.start({ port: postern.port('inside') });
    const [added = 0, moved = 0] = await freePorts(2);
    const withMore = (port: number): unknown =>
      testPolicy([], {
        listeners: { inside, more: { address: '127.0.0.1', port, exposure: 'internal' } },
      });
    await postern.api.publish(withMore(added));
    await waitFor('the added listener', () => canConnect('127.0.0.1', added));
    await waitFor('the removed one to be gone', async () => !(await canConnect('127.0.0.3', samePort)));
    await postern.api.publish(withMore(moved));
    await waitFor('the moved listener', () => canConnect('127.0.0.1', moved));
    await waitFor('its old port to be closed', async () => !(await canConnect('127.0.0.1', added)));
    const envelope = { sender: 'a@client.test', recipients: ['b@capture.test'] };
    expect((await dialog.deliver(envelope, Buffer.from('x\r\n'))).code).toBe(250);
    await dialog.quit();
  }, 60_000);

  test('can change from one address to all of the machine on the same port, and back', async () => {
    const port = await freePort();
    const at = (address: string): unknown =>
      testPolicy([], { listeners: { inside: { address, port, exposure: 'internal' } } });
    await postern.api.publish(at('127.0.0.1'));
    await waitFor('the first listener', () => canConnect('127.0.0.1', port));
    await postern.api.publish(at('0.0.0.0'));
    await waitFor('all addresses', () => canConnect('127.0.0.9', port));
    await postern.api.publish(at('127.0.0.1'));
    await waitFor('one address again', async () => !(await canConnect('127.0.0.9', port)));
    expect(await canConnect('127.0.0.1', port)).toBe(true);
  }, 60_000);
});

describe('a start that cannot work', () => {
  test('a taken SMTP port: says which, and by what setting it is chosen', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const policy = testPolicy([], { listeners: { inside: { address: '127.0.0.1', port, exposure: 'internal' } } });
    const { code, said } = await startThatFails({ dataDir: workspace.path('taken'), policy });
    holder.close();
    expect(code).toBe(1);
    expect(said).toContain(`127.0.0.1:${String(port)}`);
    expect(said).toContain('listeners.inside');
    expect(said).not.toMatch(STACK_TRACE);
  }, 120_000);

  test('a taken API port: says which, and by what setting it is chosen', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const { code, said } = await startThatFails({
      dataDir: workspace.path('taken-api'),
      policy: testPolicy(),
      apiPort: port,
    });
    holder.close();
    expect(code).toBe(1);
    expect(said).toContain(String(port));
    expect(said).toMatch(/--api-port|ADMIN_API_PORT/);
    expect(said).not.toMatch(STACK_TRACE);
  }, 120_000);

  const several: Wrong = [
    ['GATEWAY_HOSTNAME', 'not a host name', /expected a host name/],
    ['GATEWAY_MEMORY_BYTES', 'plenty', /expected a whole number/],
    ['GATEWAY_HOSTNAM', 'mx.test', /not a setting|unknown setting/],
    ['ADMIN_API_HOSTS', '127.0.0.1', /unknown setting|not a setting/],
  ];
  const apiPort: Wrong = [['ADMIN_API_PORT', 'http', /expected a port/]];
  const database: Wrong = [['DATABASE_URL', 'mysql://secret-password@nowhere/db', /postgresql:/]];
  for (const wrong of [several, apiPort, database]) {
    const names = wrong.map(([name]) => name).join(', ');
    test(`wrong ${names}: each name, what was expected, exit code 1`, async () => {
      const env = Object.fromEntries(wrong);
      const { code, said } = await startThatFails({ dataDir: workspace.path(names), policy: testPolicy(), env });
      expect(code).toBe(1);
      for (const [name, value, expected] of wrong) {
        expect(said).toContain(name);
        expect(said).toMatch(expected);
        expect(said).not.toContain(value);
      }
      expect(said).not.toMatch(STACK_TRACE);
    }, 120_000);
  }

  test('a first policy with faults: each with its line, and exit code 1', async () => {
    const policy =
      'policy: main\nlisteners:\n  inside: { port: 99999, exposure: internal }\nroutings: []\nroutes: {}\n';
    const { code, said } = await startThatFails({ dataDir: workspace.path('bad-policy'), policy });
    expect(code).toBe(1);
    expect(said).toMatch(/\b3\b.*99999|99999.*\b3\b/);
    expect(said).toContain('routings');
    expect(said).not.toMatch(STACK_TRACE);
  }, 120_000);
});
