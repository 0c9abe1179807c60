/** Reading, checking, publishing and rolling back the policy. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApiUnderTest, expectProblem, MAX_POLICY_BYTES, smallPolicy, type Answer } from './admin-api-support.js';

const MAIN = '/v1/policies/main';
const YAML = 'application/yaml';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
});
afterAll(() => api.stop());

const put = (body: string, headers: Record<string, string>, query = '', type = YAML): Promise<Answer> =>
  api.ask(`${MAIN}${query}`, { method: 'PUT', body, type, headers });

async function etag(): Promise<string> {
  return (await api.ask(MAIN)).headers.get('etag') ?? '';
}

describe('before the first policy', () => {
  test('there is none', async () => {
    expectProblem(await api.ask(MAIN), 404, 'not-found');
    expectProblem(await api.ask('/v1/lists'), 404, 'not-found');
    expect((await api.ask('/v1/policies/main/revisions')).body).toEqual({ data: [] });
  });

  test('a dry run changes nothing', async () => {
    const answer = await put(smallPolicy(), { 'If-None-Match': '*' }, '?dryRun=true');
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ changed: true, dryRun: true });
    expect(answer.body.revision).toBeUndefined();
    expectProblem(await api.ask(MAIN), 404, 'not-found');
  });

  test('If-Match can hold for nothing', async () => {
    expectProblem(await put(smallPolicy(), { 'If-Match': '"1.1"' }), 412, 'precondition-failed');
    expectProblem(await put(smallPolicy(), { 'If-Match': '*' }), 412, 'precondition-failed');
  });

  test('the first is published', async () => {
    const answer = await put(smallPolicy(), {
      'If-None-Match': '*',
      Reason: Buffer.from('erste ☕').toString('latin1'),
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ revision: 1, changed: true, dryRun: false });
    expect(answer.headers.get('etag')).toBe(await etag());
    const [event] = (await api.database.audit.events({ kinds: ['policy.published'] })).data;
    expect(event).toMatchObject({ data: { revision: 1, actor: 'tester', reason: 'erste ☕' } });
    expectProblem(await put(smallPolicy(), { 'If-None-Match': '*' }), 412, 'precondition-failed');
  });
});

describe('reading', () => {
  test('as JSON: document, source, release', async () => {
    const answer = await api.ask(MAIN);
    expect(answer.body).toMatchObject({
      name: 'main',
      revision: 1,
      author: 'tester',
      live: true,
      source: smallPolicy(),
      document: { policy: 'main', routing: [{ name: 'all', route: 'capture' }] },
      release: { revision: 1, actor: 'tester' },
    });
    expect(answer.body.digest).toMatch(/^sha256:[0-9a-f]{64}$/u);
    expect(answer.headers.get('vary')).toMatch(/accept/iu);
  });

  test('as YAML: the text of its author, with its comments and an entity tag of its own', async () => {
    const answer = await api.ask(MAIN, { headers: { Accept: YAML } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/yaml/u);
    expect(answer.text).toBe(smallPolicy());
    const tag = answer.headers.get('etag') ?? '';
    expect(tag).not.toBe(await etag());
    expect((await put(smallPolicy(), { 'If-Match': tag }, '?dryRun=true')).status).toBe(200);
  });

  test('nothing else', async () => {
    expectProblem(await api.ask(MAIN, { headers: { Accept: 'text/html' } }), 406, 'not-acceptable');
  });
});

describe('changing', () => {
  test('needs a condition', async () => {
    expectProblem(await put(smallPolicy(2526), {}), 428, 'precondition-required');
    expectProblem(await put(smallPolicy(2526), { 'If-Match': '"0.0"' }), 412, 'precondition-failed');
    expectProblem(await put(smallPolicy(2526), { 'If-Match': `W/${await etag()}` }), 412, 'precondition-failed');
  });

  test('what is live already changes nothing', async () => {
    const before = await etag();
    const answer = await put(smallPolicy(), { 'If-Match': before });
    expect(answer.body).toMatchObject({ revision: 1, changed: false });
    expect(await etag()).toBe(before);
  });

  test('a new document is a new revision; the notice is sent', async () => {
    const heard: string[] = [];
    const stop = await api.database.notifications.listen(['policy_published'], (channel) => heard.push(channel));
    const answer = await put(smallPolicy(2526), { 'If-Match': await etag() });
    expect(answer.body).toMatchObject({ revision: 2, previous: 1, changed: true });
    for (const endsAt = Date.now() + 5000; heard.length === 0 && Date.now() < endsAt;) await new Promise(setImmediate);
    stop();
    expect(heard).toContain('policy_published');
  });

  test('of two writers who saw the same, one gets 412, and nothing of it stays', async () => {
    const before = await etag();
    const answers = await Promise.all(
      [3001, 3002, 3003, 3004].map((port) => put(smallPolicy(port), { 'If-Match': before })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
    const winner = answers.find(({ status }) => status === 200)?.body.revision as number;
    const { data } = (await api.ask(`${MAIN}/revisions`)).body;
    expect(data[0]).toMatchObject({ revision: winner, live: true });
    expect(winner).toBe(3);
  });

  test('JSON is taken too', async () => {
    const document = JSON.stringify({
      policy: 'main',
      listeners: { inside: { address: '127.0.0.1', port: 2525, exposure: 'internal' } },
      lists: { ours: { type: 'domain', entries: ['example.com'] } },
      domains: [{ match: 'ours', recipients: 'any', reason: 'a test' }],
      routing: [{ name: 'all', route: 'capture' }],
      routes: { capture: { file: { format: 'maildir', directory: 'capture' } } },
    });
    const answer = await put(document, { 'If-Match': await etag() }, '', 'application/json');
    expect(answer.status).toBe(200);
    expect((await api.ask(MAIN)).body.document).toMatchObject({ policy: 'main' });
  });
});

describe('refusing', () => {
  const wrong = smallPolicy()
    .replace('route: capture', 'route: captur')
    .replace('exposure: internal', 'exposure: inside');

  test('every fault with its place, and the live one stays', async () => {
    const before = await etag();
    const answer = await put(wrong, { 'If-Match': before });
    expectProblem(answer, 422, 'policy-refused');
    const errors = answer.body.errors as { pointer: string; line: number; column: number; message: string }[];
    expect(errors.map(({ line }) => line)).toEqual(expect.arrayContaining([4]));
    for (const error of errors) {
      expect(error).toMatchObject({
        code: expect.any(String),
        message: expect.any(String),
        pointer: expect.any(String),
      });
    }
    expect(errors.some(({ message }) => message.includes('captur'))).toBe(true);
    expect(await etag()).toBe(before);
  });

  test('a failed test of the document', async () => {
    const failing = `tests:\n  - name: wishful\n    given: { listener: inside, ip: 127.0.0.1, sender: a@x.example, recipient: b@y.example }\n    expect: { verdict: accept, route: capture }\n`;
    const answer = await put(smallPolicy(2525, failing), { 'If-Match': await etag() });
    expectProblem(answer, 422, 'policy-refused');
    expect(answer.text).toContain('wishful');
  });

  test.each([
    ['YAML that is none', 'policy: main\n  listeners: [', YAML],
    ['JSON that is none', '{ "policy": "main", }', 'application/json'],
    ['two documents', 'a: 1\n---\nb: 2\n', YAML],
  ])('%s is malformed, with the place', async (_name, body, type) => {
    const answer = await put(body, { 'If-Match': '*' }, '', type);
    expectProblem(answer, 400, 'malformed-body');
    expect(answer.body.errors[0]).toMatchObject({ line: expect.any(Number), column: expect.any(Number) });
  });

  test('no body, too much of it, and what is no text', async () => {
    expectProblem(await put('', { 'If-Match': '*' }), 400, 'malformed-body');
    expectProblem(await put(`#${'x'.repeat(MAX_POLICY_BYTES)}`, { 'If-Match': '*' }), 413, 'body-too-large');
    const octets = {
      method: 'PUT',
      body: new Uint8Array([0x61, 0xff, 0xfe]),
      type: YAML,
      headers: { 'If-Match': '*' },
    };
    expectProblem(await api.ask(MAIN, octets), 400, 'malformed-body');
    expectProblem(await put('policy: main', { 'If-Match': '*' }, '', 'text/html'), 415, 'unsupported-media-type');
    const latin1 = `${YAML}; charset=iso-8859-1`;
    expectProblem(await put('policy: main', { 'If-Match': '*' }, '', latin1), 415, 'unsupported-media-type');
    const gzip = { 'If-Match': '*', 'Content-Encoding': 'gzip' };
    expectProblem(await put('policy: main', gzip), 415, 'unsupported-media-type');
  });

  test('a query parameter that does not exist', async () => {
    const answer = await put(smallPolicy(), { 'If-Match': '*' }, '?dryrun=true');
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body.errors[0]).toMatchObject({ code: 'unknown-field', pointer: '/dryrun' });
    expectProblem(await put(smallPolicy(), { 'If-Match': '*' }, '?dryRun=yes'), 400, 'invalid-request');
  });

  test('a reason that is no UTF-8, or too long', async () => {
    expectProblem(await put(smallPolicy(), { 'If-Match': '*', Reason: '\xff' }), 400, 'invalid-request');
    expectProblem(await put(smallPolicy(), { 'If-Match': '*', Reason: 'x'.repeat(501) }), 400, 'invalid-request');
  });

  test('a list whose entries would no longer fit', async () => {
    await api.publish(smallPolicy());
    await api.ask('/v1/lists/staff/entries', { method: 'POST', body: { value: 'ann@example.com' } });
    const narrower = smallPolicy().replace('[example.com, .example.com]', '[example.org]');
    const answer = await put(narrower, { 'If-Match': '*' });
    expectProblem(answer, 422, 'policy-refused');
    expect(answer.body.errors[0]).toMatchObject({ code: 'Q2', pointer: '/lists/staff' });
    await api.ask('/v1/lists/staff/entries/ann@example.com', { method: 'DELETE' });
    expect((await put(narrower, { 'If-Match': '*' })).status).toBe(200);
  });
});

describe('checking', () => {
  test('says yes or tells what is wrong, and changes nothing', async () => {
    const before = await etag();
    const check = (body: string): Promise<Answer> =>
      api.ask('/v1/policies:check', { method: 'POST', body, type: YAML, key: api.viewerKey });
    const good = await check(smallPolicy(4000));
    expect(good.status).toBe(200);
    expect(good.body).toMatchObject({ ok: true, findings: expect.any(Array) });
    expectProblem(await check('policy: main'), 422, 'policy-refused');
    expect(await etag()).toBe(before);
  });
});

describe('history', () => {
  test('pages through all revisions, newest first', async () => {
    const numbers: number[] = [];
    let path = `${MAIN}/revisions?limit=2`;
    for (let pages = 0; pages < 20 && path !== ''; pages += 1) {
      const answer = await api.ask(path);
      numbers.push(...(answer.body.data as { revision: number }[]).map(({ revision }) => revision));
      const next = /<([^>]+)>; rel="next"/u.exec(answer.headers.get('link') ?? '')?.[1];
      expect(next === undefined).toBe(answer.body.next === undefined);
      path = next ?? '';
    }
    expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
    expect(numbers.at(-1)).toBe(1);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test('one revision, as JSON and as it was written', async () => {
    const answer = await api.ask(`${MAIN}/revisions/1`);
    expect(answer.body).toMatchObject({ revision: 1, live: false, reason: 'erste ☕', source: smallPolicy() });
    expect((await api.ask(`${MAIN}/revisions/1`, { headers: { Accept: YAML } })).text).toBe(smallPolicy());
    expectProblem(await api.ask(`${MAIN}/revisions/999`), 404, 'not-found');
    expectProblem(await api.ask(`${MAIN}/revisions/one`), 400, 'invalid-request');
  });
});

describe('rolling back', () => {
  const release = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    api.ask(`${MAIN}/releases`, { method: 'POST', body, headers });

  test('is a new release of an old revision', async () => {
    const before = (await api.ask(MAIN)).body.revision as number;
    const answer = await release({ revision: 2, reason: 'worked better' });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ revision: 2, previous: before, changed: true });
    expect((await api.ask(MAIN)).body).toMatchObject({ revision: 2, release: { reason: 'worked better' } });
    expect((await release({ revision: 2 })).body).toMatchObject({ changed: false });
  });

  test('is refused for what does not exist, is no number, or came too late', async () => {
    expectProblem(await release({ revision: 999 }), 404, 'not-found');
    expectProblem(await release({ revision: '2' }), 400, 'invalid-request');
    expectProblem(await release({}), 400, 'invalid-request');
    expectProblem(await release({ revision: 1, force: true }), 400, 'invalid-request');
    expectProblem(await release({ revision: 1 }, { 'If-Match': '"1.1"' }), 412, 'precondition-failed');
  });
});
