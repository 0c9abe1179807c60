/** Several files that together are one policy, by the built program as a process. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');

const workspace = new Workspace('cli-joined');
afterAll(() => workspace.close());

function postern(...args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, 'policy', ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: '/nowhere' },
    stdin: Buffer.alloc(0),
    cwd: workspace.folder,
  });
}

function file(name: string, text: string): string {
  writeFileSync(workspace.path(name), text);
  return name;
}

const HOST = file(
  'host.yaml',
  `# this machine
policy: main
listeners:
  mx: { address: 127.0.0.1, port: 2525, exposure: internal }
routes:
  inside: { hosts: [{ host: mbx.example.net }] } # the old one
`,
);
const RULES = file(
  'rules.yaml',
  `# what is ours
policy: main
lists:
  ours: { type: domain, entries: [example.com] }
domains:
  - { match: ours, recipients: any, reason: a test }
acl:
  rcpt:
    - name: leaver
      when: { recipient: [bob@example.com] } # gone
      reject: 550 5.1.6 Mailbox has moved
routing:
  - { name: rest, route: inside }
`,
);
const TESTS = file(
  'tests.json',
  JSON.stringify({
    acl: { rcpt: [{ name: 'postmaster', when: { 'recipient.local': ['postmaster'] }, accept: true }] },
    tests: [
      {
        name: 'leaver',
        given: { listener: 'mx', ip: '203.0.113.9', sender: 'a@x.example', recipient: 'bob@example.com' },
        expect: { verdict: 'reject', by: 'rcpt/leaver' },
      },
      {
        name: 'anybody else',
        given: { listener: 'mx', ip: '203.0.113.9', sender: 'a@x.example', recipient: 'ann@example.com' },
        expect: { verdict: 'accept', route: 'inside' },
      },
    ],
  }),
);
const GIVEN = ['--given', 'listener=mx,ip=203.0.113.9,sender=a@x.example,recipient=bob@example.com'];

describe('several files', () => {
  test('check, test and explain take them as one policy', async () => {
    const checked = await postern('check', HOST, RULES, TESTS);
    expect(checked).toMatchObject({ code: 0, stderr: '' });
    expect(checked.stdout).toMatch(/^host\.yaml \+ rules\.yaml \+ tests\.json: ok$/mu);
    expect((await postern('check', RULES)).code).toBe(1);
    const tested = await postern('test', HOST, RULES, TESTS);
    expect(tested).toMatchObject({ code: 0, stderr: '' });
    expect(tested.stdout).toContain('host.yaml + rules.yaml + tests.json: 2 of 2 tests passed');
    const explained = await postern('explain', HOST, RULES, ...GIVEN);
    expect(explained).toMatchObject({ code: 0, stderr: '' });
    expect(explained.stdout).toMatch(/^by: +rcpt\/leaver$/mu);
  });

  test('rules follow each other in the order of the files', async () => {
    const accepting = file(
      'first.yaml',
      'acl: { rcpt: [{ name: bob, when: { recipient: [bob@example.com] }, accept: true }] }\n',
    );
    // What comes first covers what comes after it: the finding says where that is written.
    const covered = await postern('check', HOST, accepting, RULES);
    expect(covered.code).toBe(1);
    expect(covered.stderr).toMatch(/^rules\.yaml:9:\d+: error P1: .*leaver/mu);
    expect((await postern('check', HOST, RULES, accepting)).stderr).toMatch(/^first\.yaml:1:\d+: error P1: .*bob/mu);
  });

  test('fmt prints the one document, comments of all kept, and it is the same policy', async () => {
    const { code, stdout } = await postern('fmt', HOST, RULES, TESTS);
    expect(code).toBe(0);
    for (const comment of ['# this machine', '# what is ours', '# the old one', '# gone']) {
      expect(stdout).toContain(comment);
    }
    expect(stdout.match(/^policy:/gmu)).toHaveLength(1);
    const whole = file('whole.yaml', stdout);
    expect(await postern('fmt', '--check', whole)).toMatchObject({ code: 0, stdout: '' });
    expect((await postern('test', whole)).stdout).toContain('whole.yaml: 2 of 2 tests passed');
    const asJson = JSON.parse((await postern('fmt', '--json', HOST, RULES)).stdout) as unknown[];
    expect(asJson).toMatchObject([{ files: ['host.yaml', 'rules.yaml'], text: expect.stringContaining('leaver') }]);
  });

  test.each([
    ['a name twice', 'routes: { inside: { mx: true } }', 'routes.inside', 6],
    ['a list by another file', 'listeners:\n  mx: { port: 25, exposure: internet }', 'listeners.mx', 4],
    ['another policy', 'policy: other', 'policy', 2],
    ['a section of another kind', 'routes: []', 'routes', 5],
  ])('%s is a conflict: an error with both places', async (_what, text, what, line) => {
    const conflicting = file('conflict.yaml', `${text}\n`);
    for (const command of ['check', 'test', 'fmt']) {
      const { code, stdout, stderr } = await postern(command, HOST, RULES, conflicting);
      expect(code).toBe(1);
      expect(`${stdout}${stderr}`).toMatch(
        new RegExp(
          `^conflict\\.yaml:\\d+:\\d+: error Y7: .${what}. .*first in host\\.yaml line ${String(line)}$`,
          'mu',
        ),
      );
    }
  });

  test('findings name the file and show its line; JSON has the file too', async () => {
    const faulty = file(
      'faulty.yaml',
      '\n\nacl:\n  rcpt:\n    - { name: odd, when: { recipient: leaverz }, defer: 451 4.7.1 X }\n',
    );
    const result = await postern('check', HOST, RULES, faulty);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^faulty\.yaml:5:\d+: error D4: .*`leaverz`.*\n {2}5 \| .*name: odd/mu);
    const unreadable = file('unreadable.yaml', 'acl: [\n');
    expect((await postern('check', HOST, unreadable)).stderr).toMatch(/^unreadable\.yaml:\d+:\d+: error Y1/mu);
    const json = JSON.parse((await postern('check', '--json', HOST, RULES, faulty)).stdout) as unknown[];
    expect(json).toMatchObject([
      {
        files: ['host.yaml', 'rules.yaml', 'faulty.yaml'],
        ok: false,
        findings: expect.arrayContaining([expect.objectContaining({ code: 'D4', file: 'faulty.yaml', line: 5 })]),
      },
    ]);
    expect(await postern('check', HOST, HOST)).toMatchObject({ code: 2 });
    expect(await postern('check', HOST, file('list.yaml', '- a\n'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^list\.yaml:1:1: error Y7/u),
    });
  });
});
