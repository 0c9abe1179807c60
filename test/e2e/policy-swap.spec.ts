/** Policy and lists change while mail flows: at once, for everybody, without dropping a session. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { RunningPostern } from '../support/running-postern.js';
import { SmtpDialog } from '../support/smtp-dialog.js';
import { testPolicy } from '../support/test-policy.js';
import type { PolicyDocument } from '../support/test-policy.js';
import { waitFor } from '../support/wait.js';
import { Workspace } from '../support/workspace.js';

const workspace = new Workspace('swap');
let postern: RunningPostern;

beforeAll(async () => {
  postern = workspace.use(await RunningPostern.start({ dataDir: workspace.path('data'), policy: policyThat() }));
}, 180_000);
afterAll(() => workspace.close(), 60_000);
beforeEach(async () => {
  await postern.api.publish(policyThat());
  await refuses('gone@capture.test', false);
});

/** Refuses the recipients named, and those of the managed list `leavers`. */
function policyThat(...refused: readonly string[]): PolicyDocument {
  const base = testPolicy();
  return {
    ...base,
    lists: { ...(base['lists'] as object), leavers: { type: 'address', source: 'managed', use: 'deny' } },
    acl: {
      rcpt: [
        { name: 'listed', when: { recipient: 'leavers' }, reject: '550 5.1.6 Listed' },
        ...refused.map((address, index) => ({
          name: `refused-${String(index)}`,
          when: { recipient: [address] },
          reject: '550 5.1.1 Refused',
        })),
      ],
    },
  };
}

async function answerTo(recipient: string): Promise<number> {
  const dialog = await SmtpDialog.start({ port: postern.port('inside') });
  try {
    await dialog.command('MAIL FROM:<ann@client.test>', 250);
    return (await dialog.command(`RCPT TO:<${recipient}>`)).code;
  } finally {
    dialog.destroy();
  }
}

async function refuses(recipient: string, wanted = true): Promise<void> {
  await waitFor(
    `the answer to ${recipient} to change`,
    async () => (await answerTo(recipient)) === (wanted ? 550 : 250),
  );
}

describe('a published policy', () => {
  test('is in force for new sessions, and the open one goes on', async () => {
    const open = await SmtpDialog.start({ port: postern.port('inside') });
    expect(
      (await open.deliver({ sender: 'a@client.test', recipients: ['gone@capture.test'] }, Buffer.from('a\r\n'))).code,
    ).toBe(250);
    await postern.api.publish(policyThat('gone@capture.test'));
    await refuses('gone@capture.test');
    await open.command('NOOP', 250);
    await open.command('MAIL FROM:<ann@client.test>', 250);
    expect((await open.command('RCPT TO:<gone@capture.test>')).code).toBe(550);
    await open.command('RCPT TO:<still@capture.test>', 250);
    await open.quit();
  }, 60_000);

  test('that is too big to be compiled between two commands is compiled in a thread of its own', async () => {
    const others = Array.from({ length: 200 }, (_, index) => `other${String(index)}@capture.test`);
    const policy = policyThat(...others, 'gone@capture.test');
    expect(JSON.stringify(policy).length).toBeGreaterThan(8_192);
    await postern.api.publish(policy);
    await refuses('gone@capture.test');
    expect(await answerTo('other0@capture.test')).toBe(550);
    expect(await answerTo('still@capture.test')).toBe(250);
    expect(postern.log('gateway')).not.toContain('not loaded');
  }, 60_000);

  test('does not change the transaction that is going on', async () => {
    const open = await SmtpDialog.start({ port: postern.port('inside') });
    await open.command('MAIL FROM:<ann@client.test>', 250);
    await open.command('RCPT TO:<first@capture.test>', 250);
    await postern.api.publish(policyThat('gone@capture.test'));
    await refuses('gone@capture.test');
    await open.command('RCPT TO:<gone@capture.test>', 250);
    await open.command('DATA', 354);
    open.write('Subject: one snapshot\r\n\r\n.\r\n');
    await open.expect(250);
    await open.quit();
  }, 60_000);

  test('reaches a session in the middle of its content', async () => {
    const open = await SmtpDialog.start({ port: postern.port('inside') });
    await open.command('MAIL FROM:<ann@client.test>', 250);
    await open.command('RCPT TO:<content@capture.test>', 250);
    await open.command('DATA', 354);
    open.write('Subject: cut in two\r\n\r\nfirst half\r\n');
    await postern.api.publish(policyThat('gone@capture.test'));
    await refuses('gone@capture.test');
    open.write('second half\r\n.\r\n');
    await open.expect(250);
    await open.quit();
  }, 60_000);

  test('a hundred times in a row under load: every answer is one of the two policies', async () => {
    const codes = new Set<number>();
    let publishing = true;
    const load = Array.from({ length: 4 }, async () => {
      while (publishing) codes.add(await answerTo('gone@capture.test'));
    });
    for (let round = 0; round < 100; round += 1) {
      await postern.api.publish(round % 2 === 0 ? policyThat('gone@capture.test') : policyThat());
    }
    publishing = false;
    await Promise.all(load);
    expect([...codes].every((code) => code === 250 || code === 550)).toBe(true);
    await refuses('gone@capture.test', false);
  }, 120_000);
});

describe('a managed list', () => {
  test('an entry is in force in less than a second, and so is its removal', async () => {
    const open = await SmtpDialog.start({ port: postern.port('inside') });
    const untilCode = async (code: number): Promise<number> => {
      const startedAt = performance.now();
      await waitFor(
        `${String(code)} for the entry`,
        async () => {
          await open.command('RSET', 250);
          await open.command('MAIL FROM:<ann@client.test>', 250);
          return (await open.command('RCPT TO:<leaver@capture.test>')).code === code;
        },
        { everyMs: 5 },
      );
      return performance.now() - startedAt;
    };
    await postern.api.addEntry('leavers', 'leaver@capture.test');
    expect(await untilCode(550)).toBeLessThan(1000);
    await postern.api.removeEntry('leavers', 'leaver@capture.test');
    expect(await untilCode(250)).toBeLessThan(1000);
    await open.quit();
  }, 60_000);

  test('an entry of the wrong kind is refused with what was expected', async () => {
    for (const value of ['not an address', '*', '10.0.0.0/8', '', 'a@b@c']) {
      const answer = await postern.api.request('POST', '/v1/lists/leavers/entries', {
        body: JSON.stringify({ value }),
      });
      expect([value, answer.status >= 400 && answer.status < 500]).toEqual([value, true]);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    }
  }, 60_000);
});

describe('a bad policy', () => {
  const cases: Readonly<Record<string, string>> = {
    'YAML that does not parse': 'policy: [main\n',
    'an unknown key': JSON.stringify({ ...policyThat(), rutes: {} }),
    'an open relay': JSON.stringify({
      ...policyThat(),
      clients: [{ name: 'all', match: { helo: ['x'] }, relay: 'anywhere', senders: 'all-senders' }],
    }),
    'a route that does not exist': JSON.stringify({ ...policyThat(), routing: [{ name: 'rest', route: 'nowhere' }] }),
    'a test that fails': JSON.stringify({
      ...policyThat(),
      tests: [
        {
          name: 'wrong expectation',
          given: { listener: 'inside', ip: '127.0.0.1', sender: 'a@client.test', recipient: 'b@capture.test' },
          expect: { verdict: 'reject' },
        },
      ],
    }),
    'two documents': `${JSON.stringify(policyThat())}\n---\n${JSON.stringify(policyThat())}`,
    'nothing at all': '',
    'a number': '42',
    'duplicate keys': `policy: main\n${JSON.stringify(policyThat()).slice(1, -1)}`,
    'an alias bomb': 'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n',
  };

  for (const [name, text] of Object.entries(cases)) {
    test(`${name}: every fault says where, and the live policy stays`, async () => {
      const before = await postern.api.liveRevision();
      const answer = await postern.api.putPolicy(text);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect([400, 422]).toContain(answer.status);
      const { errors = [] } = answer.body as { errors?: { message: string; line?: number; column?: number }[] };
      if (answer.status === 422) {
        expect(errors.length).toBeGreaterThan(0);
        for (const error of errors) expect(error.message).not.toBe('');
      }
      expect(answer.text).not.toMatch(/\.ts:\d|\.js:\d|node_modules|at Object/);
      expect(await postern.api.liveRevision()).toBe(before);
      expect(await answerTo('gone@capture.test')).toBe(250);
    }, 60_000);
  }

  test('a listener whose port is taken leaves the listeners as they were', async () => {
    const taken = postern.port('inside');
    const policy = policyThat();
    const listeners = {
      ...(policy['listeners'] as object),
      other: { address: '127.0.0.1', port: taken, exposure: 'internal' },
    };
    const answer = await postern.api.putPolicy({ ...policy, listeners });
    expect(answer.status).toBeLessThan(500);
    expect(await answerTo('gone@capture.test')).toBe(250);
  }, 60_000);
});

describe('a release that nobody confirms', () => {
  test('is taken back by the gateways alone, while the API answers nobody', async () => {
    const before = await postern.api.liveRevision();
    const body = JSON.stringify(policyThat('gone@capture.test'));
    const path = '/v1/policies/main?confirmWithin=4s';
    const headers = { 'If-Match': '*' };
    const made = (await postern.api.expectOk('PUT', path, { body, headers })) as { release: number; revision: number };
    await refuses('gone@capture.test');
    const follows = `/v1/policies/main/releases/${String(made.release)}`;
    await waitFor('the release to be complete', async () => {
      const { state, complete } = (await postern.api.expectOk('GET', follows)) as { state: string; complete: boolean };
      return state === 'awaiting-confirmation' && complete;
    });
    postern.signal('admin-api', 'SIGSTOP');
    try {
      await refuses('gone@capture.test', false);
    } finally {
      postern.signal('admin-api', 'SIGCONT');
    }
    expect(await postern.api.expectOk('GET', follows)).toMatchObject({ state: 'lapsed', revision: made.revision });
    expect(await postern.api.liveRevision()).toBe(before);
    expect(await postern.api.expectOk('GET', '/v1/policies/main/releases?limit=2')).toMatchObject({
      data: [{ state: 'lapsed' }, { state: 'live', revision: before }],
    });
  }, 60_000);
});
