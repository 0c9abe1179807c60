/** ACLs the everyday way: one call changes one rule, as a new revision that is live. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer, type Ask } from './admin-api-support.js';

const MAIN = '/v1/policies/main';
const RULES = `${MAIN}/acl/mail/rules`;

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
});
afterAll(() => api.stop());
beforeEach(() => api.publish(smallPolicy()));

interface Change extends Ask {
  readonly ifMatch?: string;
}

async function change(method: string, path: string, { ifMatch = '*', headers, ...ask }: Change = {}): Promise<Answer> {
  return api.ask(path, { method, headers: { 'If-Match': ifMatch, ...headers }, ...ask });
}

async function liveText(): Promise<string> {
  return (await api.ask(MAIN, { headers: { Accept: 'application/yaml' } })).text;
}

async function names(path: string): Promise<string[]> {
  return ((await api.ask(path)).body as { data: { name: string }[] }).data.map(({ name }) => name);
}

const rule = (name: string): object => ({
  name,
  when: { 'sender.domain': [`${name}.example`] },
  reject: '550 5.7.1 No',
});

describe('reading', () => {
  test('entries in the order of the policy, with the ETag of the policy', async () => {
    const [policy, rules] = [await api.ask(MAIN), await api.ask(RULES)];
    expect(rules.body).toEqual({
      data: [
        {
          name: 'blocked-sender',
          pointer: '/acl/mail/0',
          value: { name: 'blocked-sender', when: { sender: 'blocked-senders' }, reject: '550 5.7.1 Sender blocked' },
        },
      ],
    });
    expect(rules.headers.get('etag')).toBe(policy.headers.get('etag'));
    expect((await api.ask(`${MAIN}/domains/ours`)).body).toMatchObject({ name: 'ours', pointer: '/domains/0' });
    expect((await api.ask(`${MAIN}/routes/capture`)).body).toMatchObject({ pointer: '/routes/capture' });
    expect(await names(`${MAIN}/acl/helo/rules`)).toEqual([]);
  });

  test('a page at a time', async () => {
    const first = await api.ask(`${MAIN}/lists?limit=3`);
    expect(first.headers.get('link')).toContain('rel="next"');
    const rest = await api.ask(`${MAIN}/lists?limit=3&after=${first.body.next as string}`);
    expect([...first.body.data, ...rest.body.data].map(({ name }: { name: string }) => name)).toEqual([
      'ours',
      'staff',
      'blocked-senders',
      'blocked-networks',
    ]);
    expect(rest.body.next).toBeUndefined();
  });

  test('what is not there is 404, a phase that is none 400', async () => {
    expectProblem(await api.ask(`${RULES}/nothing`), 404, 'not-found');
    expectProblem(await api.ask(`${MAIN}/acl/banner/rules`), 400, 'invalid-request');
    expectProblem(await api.ask(`${MAIN}/acl/mail`), 404, 'not-found');
  });
});

describe('one call', () => {
  test('adds a rule at its place, keeps every comment, and tells what is live', async () => {
    const before = await api.database.policies.liveRelease();
    const made = await change('POST', `${RULES}?position=before:blocked-sender`, {
      body: rule('spam'),
      headers: { Reason: 'ticket 4711' },
    });
    expect({ status: made.status, body: made.body }).toMatchObject({
      status: 201,
      body: { revision: (before?.revision ?? 0) + 1, previous: before?.revision, changed: true, dryRun: false },
    });
    expect(await names(RULES)).toEqual(['spam', 'blocked-sender']);
    const text = await liveText();
    expect(text).toBe(
      smallPolicy().replace(
        '  mail:\n',
        '  mail:\n    - name: spam\n      when: { sender.domain: [spam.example] }\n      reject: 550 5.7.1 No\n',
      ),
    );
    const told = (await api.ask(`${MAIN}/revisions/${made.body.revision as number}`)).body;
    expect(told).toMatchObject({ author: 'tester', reason: 'ticket 4711', live: true });
    expect((await api.ask(MAIN)).headers.get('etag')).toBe(made.headers.get('etag'));
  });

  test('makes the section that is not there yet', async () => {
    expect(
      (
        await change('POST', `${MAIN}/acl/helo/rules`, {
          body: { name: 'h', when: { helo: ['x.example'] }, reject: '550 5.7.1 No' },
        })
      ).status,
    ).toBe(201);
    const queue = { expire: '7d', 'on-expire': 'return-to-sender' };
    expect((await change('POST', `${MAIN}/review-queues?name=odd`, { body: queue })).status).toBe(201);
    const copy = { name: 'journal', when: { 'sender.domain': 'ours' }, route: 'capture' };
    expect((await change('POST', `${MAIN}/copies`, { body: copy })).status).toBe(201);
    expect(await liveText()).toContain('# kept comment');
  });

  test('changes fields, replaces, moves and removes', async () => {
    await change('POST', RULES, { body: rule('spam') });
    const patched = await change('PATCH', `${RULES}/spam`, {
      body: { reject: null, defer: '451 4.7.1 Later', owner: 'ann' },
      type: 'application/merge-patch+json',
    });
    expect(patched.status).toBe(200);
    expect((await api.ask(`${RULES}/spam`)).body.value).toEqual({
      name: 'spam',
      when: { 'sender.domain': ['spam.example'] },
      defer: '451 4.7.1 Later',
      owner: 'ann',
    });
    expect((await change('POST', `${RULES}/spam:move?position=first`)).status).toBe(200);
    expect(await names(RULES)).toEqual(['spam', 'blocked-sender']);
    expect((await change('PUT', `${RULES}/spam`, { body: rule('junk') })).status).toBe(200);
    expect(await names(RULES)).toEqual(['junk', 'blocked-sender']);
    expect((await change('DELETE', `${RULES}/junk`)).status).toBe(200);
    expect(await liveText()).toBe(smallPolicy());
  });

  test('leaves alone what says so already', async () => {
    const same = await change('PATCH', `${RULES}/blocked-sender`, { body: { reject: '550 5.7.1 Sender blocked' } });
    expect(same.body).toMatchObject({ changed: false });
    expect((await change('POST', `${RULES}/blocked-sender:move?position=last`)).body).toMatchObject({ changed: false });
  });

  test('keeps the layout of an author who has one of their own', async () => {
    const own = '      - name:   all # all of it\n        route: capture';
    await api.publish(smallPolicy().replace('  - name: all\n    route: capture', own));
    const before = await liveText();
    await change('POST', RULES, { body: rule('spam') });
    const after = await liveText();
    const kept = before.split('\n').filter((line) => !after.split('\n').includes(line));
    expect(kept).toEqual([]);
    expect(after).toContain('name:   all # all of it');
  });
});

describe('a dry run', () => {
  test('tells what would change, and changes nothing', async () => {
    const before = await liveText();
    const tried = await change('POST', `${RULES}?dryRun=true`, { body: rule('spam') });
    expect(tried.status).toBe(200);
    expect(tried.body).toMatchObject({ dryRun: true, changed: true });
    expect(tried.body.changes).toEqual([{ section: 'mail', name: 'spam', change: 'added', after: rule('spam') }]);
    expect(tried.body.diff).toContain('+    - name: spam');
    expect(await liveText()).toBe(before);
  });

  test('refuses what would be refused', async () => {
    expectProblem(await change('DELETE', `${MAIN}/routes/capture?dryRun=true`), 422, 'policy-refused');
  });
});

describe('what would break something is refused with the findings', () => {
  test('a route that is still used, with its place', async () => {
    const lines = (await liveText()).split('\n');
    const line = lines.findIndex((text) => /^\s+route: capture$/.test(text)) + 1;
    const answer = await change('DELETE', `${MAIN}/routes/capture`);
    expectProblem(answer, 422, 'policy-refused');
    expect(answer.body.errors).toContainEqual(
      expect.objectContaining({ severity: 'blocks', pointer: '/routing/0/route', line }),
    );
  });

  test('a misspelt key of a rule, with a pointer and what was meant', async () => {
    const answer = await change('POST', RULES, { body: { ...rule('spam'), onwer: 'ann' } });
    expectProblem(answer, 422, 'policy-refused');
    expect(answer.body.errors).toContainEqual(expect.objectContaining({ pointer: '/acl/mail/1/onwer', code: 'D1' }));
  });

  test('a test of the document that would fail', async () => {
    const body = {
      name: 'blocked senders hear of it',
      given: { listener: 'inside', ip: '127.0.0.1', sender: 'a@b.example', recipient: 'c@example.com' },
      expect: { verdict: 'defer' },
    };
    const answer = await change('POST', `${MAIN}/tests`, { body });
    expectProblem(answer, 422, 'policy-refused');
    expect(answer.body.errors[0]).toMatchObject({ code: 'V1' });
  });

  test.each([
    ['no If-Match', 428, 'precondition-required', () => api.ask(RULES, { method: 'POST', body: rule('x') })],
    [
      'another If-Match',
      412,
      'precondition-failed',
      () => change('POST', RULES, { body: rule('x'), ifMatch: '"1.1"' }),
    ],
    ['a name that is taken', 409, 'conflict', () => change('POST', RULES, { body: rule('blocked-sender') })],
    ['no name', 400, 'invalid-request', () => change('POST', RULES, { body: { reject: '550 5.7.1 No' } })],
    ['no object', 400, 'invalid-request', () => change('POST', RULES, { body: ['x'] })],
    ['nothing', 400, 'invalid-request', () => change('POST', RULES)],
    ['a place that is none', 400, 'invalid-request', () => change('POST', `${RULES}?position=3`, { body: rule('x') })],
    [
      'a neighbour that is none',
      400,
      'invalid-request',
      () => change('POST', `${RULES}?position=after:nobody`, { body: rule('x') }),
    ],
    ['no name for a route', 400, 'invalid-request', () => change('POST', `${MAIN}/routes`, { body: { mx: true } })],
    [
      'a reserved name',
      400,
      'invalid-request',
      () => change('PATCH', `${RULES}/blocked-sender`, { body: '{"__proto__": {"x": 1}}' }),
    ],
    ['a rule that is not there', 404, 'not-found', () => change('DELETE', `${RULES}/nobody`)],
    [
      'a span that is none',
      400,
      'invalid-request',
      () => change('DELETE', `${RULES}/blocked-sender?confirmWithin=soon`),
    ],
    ['a span too long', 400, 'invalid-request', () => change('DELETE', `${RULES}/blocked-sender?confirmWithin=99999d`)],
    [
      'the wrong format',
      415,
      'unsupported-media-type',
      () => change('POST', RULES, { body: 'name: x', type: 'application/yaml' }),
    ],
  ])('%s', async (_what, status, key, ask) => {
    expectProblem(await ask(), status, key);
    expect(await liveText()).toBe(smallPolicy());
  });
});

describe('two writers at once', () => {
  test('one gets 412, reads again, and nothing is lost', async () => {
    const write = async (name: string): Promise<number> => {
      for (let lost = 0; ; lost += 1) {
        const ifMatch = (await api.ask(RULES)).headers.get('etag') ?? '';
        const answer = await change('POST', RULES, { body: rule(name), ifMatch });
        if (answer.status === 201) return lost;
        expectProblem(answer, 412, 'precondition-failed');
      }
    };
    const writers = ['ann', 'joe', 'eve', 'sam'].map(async (who) => {
      let lost = 0;
      for (let serial = 0; serial < 3; serial += 1) lost += await write(`${who}-${serial}`);
      return lost;
    });
    const lost = (await Promise.all(writers)).reduce((sum, each) => sum + each, 0);
    expect(lost).toBeGreaterThan(0);
    expect(await names(RULES)).toHaveLength(13);
    const last = await api.ask(MAIN);
    expect((await api.database.policies.history({ limit: 100 })).data[0]?.revision).toBe(last.body.revision);
  });

  test('of two with the same ETag exactly one is taken', async () => {
    const ifMatch = (await api.ask(RULES)).headers.get('etag') ?? '';
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((name) => change('POST', RULES, { body: rule(name), ifMatch })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 412, 412]);
    expect(await names(RULES)).toHaveLength(2);
  });
});
