/** `postern policy test | explain | fmt` and `tx explain`, the built program as a process. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chmodSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { publicId } from '#audit';
import { newId } from '#database';
import { ApiUnderTest, smallPolicy } from './admin-api-support.js';
import { runProgram, type ProgramResult } from '../support/run-program.js';
import { Workspace } from '../support/workspace.js';

const PROGRAM = resolve(import.meta.dirname, '../../dist/apps/cli/src/main.js');

const TESTS = `
tests:
  - name: nobody relays
    given: { listener: inside, ip: 203.0.113.9, sender: a@x.example, recipient: b@y.example }
    expect: { verdict: reject, by: builtin/relay-denied }
  - name: ann gets mail
    given: { listener: inside, ip: 203.0.113.9, sender: a@x.example, recipient: ann@example.com }
    expect: { verdict: accept, route: capture }
invariants:
  - name: only ours
    never: { verdict: accept, recipient.domain: { not: ours } }
`;
const POLICY = smallPolicy(2525, TESTS);
const FAILING = POLICY.replace('expect: { verdict: accept', 'expect: { verdict: defer').replace(
  'recipient.domain: { not: ours }',
  'recipient.domain: ours',
);

const workspace = new Workspace('cli-offline');
afterAll(() => workspace.close());

function postern(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin = '',
): Promise<ProgramResult> {
  return runProgram(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'] ?? '', POSTERN_DATA_DIR: '/nowhere', ...env },
    stdin: Buffer.from(stdin),
    cwd: workspace.folder,
  });
}

function file(name: string, text: string): string {
  writeFileSync(workspace.path(name), text);
  return name;
}

const textOf = (name: string): string => readFileSync(workspace.path(name), 'utf8');

describe('policy test', () => {
  test('each test and invariant, and how many', async () => {
    const result = await postern(['policy', 'test', file('good.yaml', POLICY)]);
    expect(result).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        '  ok    nobody relays',
        '  ok    ann gets mail',
        '  ok    invariant: only ours',
        'good.yaml: 2 of 2 tests passed, 1 of 1 invariants hold',
        '',
      ].join('\n'),
    });
  });

  test('a failure: expectation, every step, exit code 1', async () => {
    const result = await postern(['policy', 'test', '--each', file('good.yaml', POLICY), file('bad.yaml', FAILING)]);
    expect(result).toMatchObject({ code: 1, stderr: 'postern: failed: bad.yaml\n' });
    expect(result.stdout).toContain('  FAIL  ann gets mail\n        verdict `accept`, expected `defer`\n');
    expect(result.stdout).toContain('        routing rule routing/all: holds, route capture');
    expect(result.stdout).toContain('  FAIL  invariant: only ours\n        invariant `only ours` is broken: ');
    expect(result.stdout).toContain('bad.yaml: 1 of 2 tests passed, 0 of 1 invariants hold');
    expect(result.stdout).toContain('good.yaml: 2 of 2 tests passed');
  });

  test('JSON, and a policy that cannot be tested', async () => {
    file('bad.yaml', FAILING);
    const result = await postern(['policy', 'test', '--each', '--json', 'bad.yaml', '-'], {}, 'policy: x\n');
    expect(result).toMatchObject({ code: 1, stderr: '' });
    const [bad, unusable] = JSON.parse(result.stdout) as Record<string, unknown>[];
    expect(bad).toMatchObject({
      file: 'bad.yaml',
      ok: false,
      tests: [
        { name: 'nobody relays', passed: true, message: '', explanation: [] },
        { name: 'ann gets mail', passed: false, message: 'verdict `accept`, expected `defer`' },
      ],
      invariants: [{ name: 'only ours', result: 'broken' }],
    });
    expect(unusable).toMatchObject({ file: '-', ok: false, tests: [], findings: expect.arrayContaining([]) });
    const shown = await postern(['policy', 'test', '-'], {}, 'policy: x\n');
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/^-:.*error D2/mu);
  });
});

test('policy schema: what editors complete and check by', async () => {
  const { code, stdout } = await postern(['policy', 'schema']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ title: 'Postern policy', properties: { listeners: { type: 'object' } } });
});

describe('policy explain', () => {
  const explain = (given: string, ...more: readonly string[]): Promise<ProgramResult> =>
    postern(['policy', 'explain', file('good.yaml', POLICY), '--given', given, ...more]);
  const FACTS = 'listener=inside,ip=203.0.113.9,sender=a@x.example';

  test('verdict, rule and steps', async () => {
    const result = await explain(`${FACTS},recipient=b@y.example`);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(
      /^verdict: +reject\nby: +builtin\/relay-denied\nreply: +550 5\.7\.1 Relaying denied\n/u,
    );
    expect(result.stdout).toMatch(/rule mail\/blocked-sender: does not hold; when sender: blocked-senders: no/u);
    expect(result.stdout.trimEnd().split('\n').slice(-2)).toEqual([
      expect.stringMatching(/^b@y\.example: reject, by builtin\/relay-denied/u),
      expect.stringMatching(/^would be decided otherwise if the domain of the recipient were in `domains`/u),
    ]);
  });

  test('JSON; members of managed lists; the null sender; a quoted local part with a comma', async () => {
    const member = await explain(`${FACTS},recipient=ann@example.com`, '--json', '--member', 'staff=bob@EXAMPLE.com');
    expect(JSON.parse(member.stdout)).toMatchObject({ verdict: 'reject', by: 'builtin/no-such-recipient' });
    const known = await explain(
      FACTS,
      '--given',
      'recipient=bob@example.com',
      '--json',
      '--member',
      'staff=bob@example.com',
    );
    expect(JSON.parse(known.stdout)).toMatchObject({
      verdict: 'accept',
      by: '',
      route: 'capture',
      client: 'none',
      recipient: 'bob@example.com',
      given: { listener: 'inside', sender: 'a@x.example' },
      steps: expect.arrayContaining([expect.objectContaining({ id: 'routing/all', result: 'yes' })]),
    });
    const quoted = await explain('sender=,recipient="x,y"@example.com,listener=inside', '--json');
    expect(JSON.parse(quoted.stdout)).toMatchObject({ given: { sender: '', recipient: '"x,y"@example.com' } });
    const sender = await explain('ip=unknown', '--json');
    expect(JSON.parse(sender.stdout)).toMatchObject({ verdict: 'defer', by: 'connect/blocked-network' });
  });

  test.each([
    ['lisener=inside', 'unknown fact `lisener`, did you mean `listener`?'],
    ['listener=outside', '`outside` is no value of `listener`'],
    ['ip=10.0.0.0/8', '`10.0.0.0/8` is no value of `ip`'],
    ['ip=10.0.0.1,ip=10.0.0.2', 'fact `ip` is given twice'],
    ['client=first', 'fact `client` follows from the other facts'],
    ['recipients=many', '`many` is no value of `recipients`'],
  ])('%s is refused', async (given, why) => {
    const result = await explain(given);
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`postern: ${why}`) });
  });

  test('a member that the list would refuse, and a faulty policy', async () => {
    expect(await explain(FACTS, '--member', 'staff=x@elsewhere.example')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is outside of list `ours`'),
    });
    const result = await postern(['policy', 'explain', '-', '--given', FACTS], {}, 'policy: x\n');
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/error D2[^]*postern: refused: -\n$/u);
    const asJson = await postern(['policy', 'explain', '-', '--given', FACTS, '--json'], {}, 'policy: x\n');
    expect(JSON.parse(asJson.stdout)).toMatchObject([{ file: '-', ok: false }]);
  });
});

describe('policy fmt', () => {
  const UNTIDY = `policy:   "main"   # ours\nlisteners:\n    mx: {port: 25,exposure: internet}\n`;
  const TIDY = `policy: 'main' # ours\n\nlisteners:\n  mx: { port: 25, exposure: internet }\n`;

  test('prints; --check names what would change; --write changes it, once', async () => {
    file('untidy.yaml', UNTIDY);
    chmodSync(workspace.path('untidy.yaml'), 0o640);
    symlinkSync('untidy.yaml', workspace.path('link.yaml'));
    file('tidy.yaml', TIDY);
    expect(await postern(['policy', 'fmt', 'untidy.yaml'])).toEqual({ code: 0, stderr: '', stdout: TIDY });
    expect(await postern(['policy', 'fmt', '-'], {}, UNTIDY)).toMatchObject({ stdout: TIDY });
    expect(await postern(['policy', 'fmt', '--check', 'untidy.yaml', 'tidy.yaml'])).toMatchObject({
      code: 1,
      stdout: 'untidy.yaml\n',
    });
    expect(textOf('untidy.yaml')).toBe(UNTIDY);
    const written = await postern(['policy', 'fmt', '--write', '--json', 'link.yaml', 'tidy.yaml']);
    expect(JSON.parse(written.stdout)).toEqual([
      { file: 'link.yaml', changed: true },
      { file: 'tidy.yaml', changed: false },
    ]);
    expect(textOf('untidy.yaml')).toBe(TIDY);
    expect(lstatSync(workspace.path('link.yaml')).isSymbolicLink()).toBe(true);
    expect(statSync(workspace.path('untidy.yaml')).mode & 0o777).toBe(0o640);
    expect(await postern(['policy', 'fmt', '--check', 'untidy.yaml', 'tidy.yaml'])).toMatchObject({
      code: 0,
      stdout: '',
    });
  });

  test('what cannot be read stays as it is, and so do its neighbours', async () => {
    file('untidy.yaml', UNTIDY);
    const result = await postern(['policy', 'fmt', '--write', 'untidy.yaml', file('broken.yaml', 'a: [')]);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/^broken\.yaml:1:\d+: error Y1/mu);
    expect(textOf('untidy.yaml')).toBe(UNTIDY);
    expect(textOf('broken.yaml')).toBe('a: [');
  });
});

describe('tx explain', () => {
  let api: ApiUnderTest;
  const id = newId();

  beforeAll(async () => {
    api = await ApiUnderTest.start();
    await api.publish(POLICY);
    await api.publish(POLICY.replace('Sender blocked', 'Go away'));
    const facts = { listener: 'inside', ip: '203.0.113.9', sender: 'a\u001b[2J@x.example' };
    api.database.audit.append([
      {
        id: newId(),
        transactionId: id,
        kind: 'transaction.abandoned',
        data: {
          listener: 'inside',
          clientPort: 4001,
          helo: 'client.example',
          protocol: 'ESMTP',
          startedAtMs: Date.now(),
          snapshot: { policy: 'main', revision: 1, digest: 'sha256:00', lists: { staff: 0 } },
          client: 'none',
          facts,
          parameters: {},
          recipients: [],
          by: 'builtin/bad-sender',
          reason: 'quit',
        },
      },
    ]);
    await api.database.audit.flush();
  });
  afterAll(() => api.stop());

  const ask = (...args: readonly string[]): Promise<ProgramResult> =>
    postern(['tx', 'explain', ...args], { POSTERN_API: api.url, POSTERN_API_KEY: api.viewerKey });

  test('policy simulate: by the lists of the server, by a file, a revision, many at once', async () => {
    const env = { POSTERN_API: api.url, POSTERN_API_KEY: api.viewerKey };
    const simulate = (args: readonly string[], stdin = ''): Promise<ProgramResult> =>
      postern(['policy', 'simulate', ...args], env, stdin);
    const facts = 'listener=inside,ip=203.0.113.9,sender=a@x.example';
    const nobody = await simulate(['--given', `${facts},recipient=ann@example.com`]);
    expect(nobody).toMatchObject({ code: 0, stderr: '' });
    expect(nobody.stdout).toMatch(
      /^judged by: +main, revision 2\nclient: +none\n\nann@example\.com: reject, by builtin/u,
    );
    const member = ['--member', 'staff=ann@example.com'];
    const ann = await simulate(['--given', `${facts},recipient=ann@example.com`, ...member, '--steps']);
    expect(ann.stdout).toContain('covered by ann@example.com of list staff');
    expect(ann.stdout).toContain('ann@example.com: accept, no rule objected, goes to route capture');
    const blocked = `${facts.replace('a@', 'unknown@')},recipient=ann@example.com,recipient=b@y.example`;
    const several = await simulate(
      ['good.yaml', '--given', blocked, '--json', '--message', '-'],
      'Subject: x\n\nbody\n',
    );
    expect(JSON.parse(several.stdout)).toMatchObject({
      decidedBy: { revision: 0 },
      cases: [{ facts: { size: 17 }, recipients: [{}, { by: 'builtin/relay-denied' }] }],
    });
    const cases = [{ name: 'one', given: {} }, { given: { ip: 'unknown' } }];
    const many = await simulate(['--revision', '1', '--cases', file('cases.json', JSON.stringify(cases))]);
    expect(many.stdout).toMatch(
      /^case: +one\njudged by: +main, revision 1\n[^]*\n\ncase: +case 2\n[^]*transaction: defer/u,
    );
    expect(await simulate(['--given', 'lisener=x'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('did you mean `listener`') as unknown,
    });
    expect(await simulate(['good.yaml', '--revision', '1', '--given', 'ip=unknown'])).toMatchObject({ code: 2 });
    expect(await simulate([])).toMatchObject({ code: 2, stderr: expect.stringContaining('--given') as unknown });
  });

  test('in English, by either revision; mail cannot steer the terminal', async () => {
    const result = await ask(publicId('txn', id));
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^transaction: txn_.*\njudged by: +main, revision 1\nclient: +none\n\n/u);
    expect(result.stdout).toContain('rule builtin/bad-sender: holds, reject');
    expect(result.stdout).toContain('this is the decision that was recorded');
    expect(result.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/u);
    expect((await ask(publicId('txn', id), '--against', '2')).stdout).toMatch(/judged by: +main, revision 2/u);
    expect(JSON.parse((await ask(publicId('txn', id), '--json')).stdout)).toMatchObject({ same: true });
  });

  test('what is not there', async () => {
    expect(await ask(publicId('txn', newId()))).toMatchObject({ code: 1, stdout: '' });
    expect(await ask(publicId('txn', id), '--against', '9')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no revision 9'),
    });
  });
});
