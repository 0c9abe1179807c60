/** `postern policy plan, apply, rollback, blame` and `postern lists import, export`: what changes much, or is looked back at. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { Workspace } from '../support/workspace.js';
import { ApiUnderTest, smallPolicy } from './admin-api-support.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');
const workspace = new Workspace('cli-policy');
let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  for (const port of [2525, 2526]) await api.publish(smallPolicy(port));
});
afterAll(async () => {
  await api.stop();
  await workspace.close();
});

function postern(args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_API: api.url, POSTERN_API_KEY: api.key },
    stdin: Buffer.alloc(0),
    cwd: workspace.folder,
  });
}

async function ok(...args: readonly string[]): Promise<string> {
  const result = await postern(args);
  expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code: 0 });
  return result.stdout;
}

async function liveRevision(): Promise<number> {
  return (JSON.parse(await ok('policy', 'show', '--json')) as { revision: number }).revision;
}

function file(name: string, text: string): string {
  writeFileSync(workspace.path(name), text);
  return name;
}

describe('policy plan, rollback and blame', () => {
  test('plan tells what would change, and apply with its base does it', async () => {
    const revision = await liveRevision();
    const stricter = smallPolicy(2900).replace(
      '  mail:\n',
      '  mail:\n    - { name: spam, when: { sender.domain: [spam.example] }, reject: 550 5.7.1 No }\n',
    );
    const planned = await ok('policy', 'plan', file('d.yaml', stricter));
    expect(planned).toContain('+    - { name: spam');
    expect(planned).toContain('added: mail/spam');
    expect(planned).toContain('changed: listeners/inside');
    expect(planned).toContain(`--base ${String(revision)}`);
    expect(await liveRevision()).toBe(revision);
    const args = ['--base', String(revision), '--reason', 'ticket 4712', '--source-commit', '4be1a7c'];
    expect(await ok('policy', 'apply', 'd.yaml', ...args)).toMatch(/revision \d+ is live$/mu);
    expect(await postern(['policy', 'apply', 'd.yaml', ...args])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is live by now'),
    });
    expect(await ok('policy', 'history')).toContain('4be1a7c');
    expect(await ok('policy', 'blame', 'mail/spam')).toMatch(
      /introduced: +revision \d+\nby: +tester\n[^]*source: +4be1a7c/u,
    );
    expect(await ok('policy', 'blame')).toMatch(/^mail\/spam +\d+ +tester/mu);
    expect((await postern(['policy', 'blame', 'spam'])).code).toBe(2);
    expect((await postern(['policy', 'blame', 'mail/nobody'])).code).toBe(1);
    expect(await ok('policy', 'rollback')).toContain(`revision ${String(revision)} is live`);
  });

  test('what must be confirmed is confirmed, or taken back', async () => {
    const revision = await liveRevision();
    file('e.yaml', smallPolicy(2901));
    expect(await ok('policy', 'apply', 'e.yaml', '--confirm-within', '10m')).toMatch(
      /is live, until .* unless it is confirmed/u,
    );
    expect(await ok('policy', 'rollback')).toContain(`aborted; revision ${String(revision)} is live`);
    await ok('policy', 'apply', 'e.yaml', '--confirm-within', '10m');
    expect(await ok('policy', 'confirm', '--reason', 'works')).toContain('is live');
    expect((await postern(['policy', 'abort'])).code).toBe(1);
  });
});

describe('whole lists', () => {
  test('import, export and look-up', async () => {
    file('senders.csv', 'value,note\r\n*@spam.example,all of it\r\nbob@x.example,\r\n');
    expect(await ok('lists', 'import', 'blocked-senders', 'senders.csv', '--replace')).toMatch(
      /^blocked-senders: 2 added, 0 changed, \d+ removed \(revision \d+\)$/mu,
    );
    expect(await ok('list', 'lookup', 'blocked-senders', 'eve@spam.example')).toContain('*@spam.example');
    expect(await ok('list', 'lookup', 'blocked-senders', 'eve@x.example')).toContain(
      'no entry of blocked-senders covers',
    );
    const lines = (await ok('lists', 'export', 'blocked-senders')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { value: '*@spam.example', note: 'all of it' },
      { value: 'bob@x.example' },
    ]);
    expect(await ok('lists', 'export', 'blocked-senders', '--format', 'csv')).toMatch(/^value,note,owner,expires\r\n/u);
    const refused = await postern(['lists', 'import', 'staff', file('staff.ndjson', '"a@elsewhere.example"\n')]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('line 1 is refused') });
    const stale = await postern(['lists', 'import', 'blocked-senders', 'senders.csv', '--if-revision', '0']);
    expect(stale).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing was imported') });
  });
});
