/** POST sent twice is done once, when the caller says so; and how many requests a key may make. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DatabaseAccess } from '../../apps/admin-api/src/database-access.js';
import { ApiUnderTest, expectProblem, listening, send, smallPolicy, type Answer } from './admin-api-support.js';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
});
afterAll(() => api.stop());

const post = (
  path: string,
  body: object,
  key: string,
  more: { key?: string; headers?: Record<string, string> } = {},
): Promise<Answer> =>
  api.ask(path, {
    method: 'POST',
    body,
    ...(more.key !== undefined && { key: more.key }),
    headers: { 'Idempotency-Key': key, ...more.headers },
  });

describe('Idempotency-Key', () => {
  test('sent again: one account, one answer, also the password', async () => {
    const first = await post('/v1/accounts', { name: 'once' }, 'create-once');
    const again = await post('/v1/accounts', { name: 'once' }, '"create-once"');
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body).toEqual(first.body);
    expect(again.body.password).toMatch(/^[\w-]{24}$/u);
    expect(['etag', 'location'].map((name) => again.headers.get(name))).toEqual(
      ['etag', 'location'].map((name) => first.headers.get(name)),
    );
    expect([first.headers.get('idempotent-replayed'), again.headers.get('idempotent-replayed')]).toEqual([
      null,
      'true',
    ]);
    expectProblem(await api.ask('/v1/accounts', { method: 'POST', body: { name: 'once' } }), 409, 'conflict');
  });

  test('what is kept can be read with the caller’s API key only', async () => {
    const { body } = await post('/v1/api-keys', { name: 'sealed' }, 'sealed');
    const rows = await api.postgres.query(`select encode(answer, 'escape') as answer from idempotent_request`);
    expect(JSON.stringify(rows)).not.toContain('pst_');
    expect(JSON.stringify(rows)).not.toContain(String(body.id));
    const other = await api.database.apiKeys.create({ name: 'other', role: 'admin', actor: 'test' });
    const theirs = await post('/v1/api-keys', { name: 'sealed' }, 'sealed', { key: other.secret });
    expect(theirs.body.id).not.toBe(body.id); // a key of another caller is another key
  });

  test.each([
    ['another body', '/v1/accounts', { name: 'second' }, {}],
    ['another address', '/v1/api-keys', { name: 'first' }, {}],
    ['another condition', '/v1/accounts', { name: 'first' }, { 'If-Match': '"1"' }],
  ])('with %s is a mistake', async (what, path, body, headers) => {
    const key = `mistake-${what.replaceAll(' ', '-')}`;
    expect((await post('/v1/accounts', { name: `first${key.length}` }, key)).status).toBe(201);
    expectProblem(await post(path, body, key, { headers }), 422, 'idempotency-key-reused');
  });

  test('twenty at once: one is done, the others get its answer or are told to wait', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => post('/v1/api-keys', { name: 'crowd' }, 'crowd')));
    const made = all.filter(({ status }) => status === 201);
    expect(new Set(made.map(({ body }) => body.id as string)).size).toBe(1);
    for (const answer of all.filter(({ status }) => status !== 201)) {
      expectProblem(answer, 409, 'conflict');
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    const { data } = (await api.ask('/v1/api-keys')).body as { data: { name: string }[] };
    expect(data.filter(({ name }) => name === 'crowd')).toHaveLength(1);
  });

  test('what was refused may be sent again, corrected or not', async () => {
    expectProblem(await post('/v1/accounts', { name: 'a b' }, 'corrected'), 422, 'value-refused');
    expect((await post('/v1/accounts', { name: 'corrected' }, 'corrected')).status).toBe(201);
    await post('/v1/accounts', { name: 'busy' }, 'busy-1');
    expectProblem(await post('/v1/accounts', { name: 'busy' }, 'busy-2'), 409, 'conflict');
    await api.ask('/v1/accounts/busy', { method: 'DELETE', headers: { 'If-Match': '*' } });
    expect((await post('/v1/accounts', { name: 'busy' }, 'busy-2')).status).toBe(201);
  });

  test('one that was cut off is not done again, and said so', async () => {
    await post('/v1/accounts', { name: 'cut' }, 'cut-off');
    await api.postgres.query(
      `update idempotent_request set answer = null, started_at = now() - interval '1 hour' where key = 'cut-off'`,
    );
    const answer = await post('/v1/accounts', { name: 'cut' }, 'cut-off');
    expectProblem(answer, 409, 'conflict');
    expect(answer.body.detail).toContain('was cut off');
  });

  test('is forgotten after a day', async () => {
    const first = await post('/v1/api-keys', { name: 'daily' }, 'daily');
    await api.postgres.query(
      `update idempotent_request set started_at = now() - interval '25 hours' where key = 'daily'`,
    );
    const next = await post('/v1/api-keys', { name: 'daily' }, 'daily');
    expect([next.status, next.body.id === first.body.id]).toEqual([201, false]);
  });

  test('an entry of a list answers as it did: 201, then 201', async () => {
    const add = (): Promise<Answer> => post('/v1/lists/staff/entries', { value: 'ann@example.com' }, 'entry');
    expect([(await add()).status, (await add()).status]).toEqual([201, 201]);
  });

  test.each(['', ' ', 'a b', 'ä', 'x'.repeat(256), '""'])('%j is no key', async (key) => {
    const octets = Buffer.from(key, 'utf8').toString('latin1');
    expectProblem(await post('/v1/accounts', { name: 'nokey' }, octets), 400, 'invalid-request');
  });

  test('every POST that changes something takes one, by the description', async () => {
    const { paths } = (await api.ask('/openapi.json')).body as {
      paths: Record<string, { post?: { parameters?: { name: string }[] } }>;
    };
    const without = Object.entries(paths)
      .filter(
        ([, { post: operation }]) =>
          operation !== undefined && !operation.parameters?.some(({ name }) => name === 'Idempotency-Key'),
      )
      .map(([path]) => path);
    // They change nothing; but for the import, whose body is not kept, and which does the same when it is done again.
    expect(without.sort()).toEqual([
      '/v1/audit:verify',
      '/v1/destinations/{domain}:resolve',
      '/v1/lists/{list}/entries:import',
      '/v1/lists/{list}/entries:lookup',
      '/v1/policies/main/drafts/{draft}:validate',
      '/v1/policies:check',
      '/v1/simulations',
    ]);
  });
});

test('the quota of a key is told with each answer, and 429 when it is used up', async () => {
  const { app, url } = await listening(new DatabaseAccess(api.database), { maxRequestsPerSecond: 1 });
  const ask = (key: string): Promise<Answer> => send(url, '/v1/gateways', { key });
  const answers = [];
  for (let i = 0; i < 14; i += 1) answers.push(await ask(api.key));
  expect(answers[0]?.headers.get('ratelimit-policy')).toBe('"key";q=10;w=10');
  expect(answers[0]?.headers.get('ratelimit')).toBe('"key";r=9;t=1');
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  for (const answer of refused) {
    expectProblem(answer, 429, 'too-many-requests');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect((await ask(api.viewerKey)).status).toBe(200);
  expect((await send(url, '/healthz', { key: null })).headers.get('ratelimit')).toBeNull();
  await app.close();
});
