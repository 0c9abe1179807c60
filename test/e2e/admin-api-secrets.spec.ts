/** Secrets over the API: write-only, conditional, and sealed with the key of the file. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fileSecretKeys, newSecretKeyLine } from '#database';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer } from './admin-api-support.js';

const VALUE = 'provider pass wörd\nwith a second line';

let api: ApiUnderTest;
let keyLines: string[] = [newSecretKeyLine()];

beforeAll(async () => {
  const access = { readFile: () => Promise.resolve(keyLines.join('\n')), stat: () => Promise.resolve({ mode: 0o600 }) };
  api = await ApiUnderTest.start({ secretKeys: fileSecretKeys('secret-key', access) });
});
afterAll(() => api.stop());

const put = (
  name: string,
  body: unknown,
  headers: Record<string, string> = { 'If-None-Match': '*' },
): Promise<Answer> => api.ask(`/v1/secrets/${name}`, { method: 'PUT', body, headers });

async function revealed(name: string): Promise<string> {
  const found = await api.database.secrets.reveal(name);
  return found.ok ? found.value : found.fault;
}

describe('the life of a secret', () => {
  test('made, told without its value, replaced, removed', async () => {
    const made = await put(
      'provider',
      { value: VALUE, note: 'relay.example' },
      { 'If-None-Match': '*', Reason: 'contract' },
    );
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ name: 'provider', note: 'relay.example', readable: true, createdBy: 'tester' });
    expect(await revealed('provider')).toBe(VALUE);
    for (const path of ['/v1/secrets', '/v1/secrets/provider']) {
      const read = await api.ask(path);
      expect(read.text).not.toContain('pass w');
      expect(read.text).not.toMatch(/sealed|nonce|value/u);
    }
    const replaced = await put('provider', { value: 'another' }, { 'If-Match': made.headers.get('etag') ?? '' });
    expect([replaced.status, replaced.body.note]).toEqual([200, undefined]);
    expect(await revealed('provider')).toBe('another');
    const etag = replaced.headers.get('etag') ?? '';
    expect((await api.ask('/v1/secrets/provider', { method: 'DELETE', headers: { 'If-Match': etag } })).status).toBe(
      204,
    );
    expectProblem(await api.ask('/v1/secrets/provider'), 404, 'not-found');
    const { data } = await api.database.audit.events({ kinds: ['secret.changed'], limit: 3 });
    expect(data.map((event) => event.data)).toMatchObject([
      { operation: 'remove', actor: 'tester' },
      { operation: 'set', actor: 'tester' },
      { operation: 'set', actor: 'tester', reason: 'contract' },
    ]);
    expect(JSON.stringify(data)).not.toContain('pass w');
  });

  test('only by who knows what is there', async () => {
    const made = await put('contended', { value: 'one' });
    const etag = made.headers.get('etag') ?? '';
    expectProblem(await put('contended', { value: 'x' }, {}), 428, 'precondition-required');
    expectProblem(await put('contended', { value: 'x' }), 412, 'precondition-failed');
    expectProblem(await put('unmade', { value: 'x' }, { 'If-Match': '*' }), 412, 'precondition-failed');
    const both = await Promise.all(['two', 'three'].map((value) => put('contended', { value }, { 'If-Match': etag })));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
    expectProblem(await put('contended', { value: 'x' }, { 'If-Match': etag }), 412, 'precondition-failed');
    expectProblem(await api.ask('/v1/secrets/contended', { method: 'DELETE' }), 428, 'precondition-required');
  });

  test('made by two at once, it is made by one', async () => {
    const both = await Promise.all(['a', 'b'].map((value) => put('raced', { value })));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 412]);
  });
});

test('rotation: a new key in front, everything sealed anew, the old one is not needed', async () => {
  await put('rotated', { value: 'kept' });
  const etag = (await api.ask('/v1/secrets/rotated')).headers.get('etag');
  keyLines = [newSecretKeyLine(), ...keyLines];
  const answer = await api.ask('/v1/secrets:reseal', { method: 'POST', headers: { Reason: 'yearly' } });
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ unreadable: [] });
  keyLines = keyLines.slice(0, 1);
  expect(await revealed('rotated')).toBe('kept');
  const read = await api.ask('/v1/secrets/rotated');
  expect([read.body.keyId, read.headers.get('etag')]).toEqual([answer.body.keyId, etag]);
});

test('without a usable key nothing is taken, and the sentence says why', async () => {
  const kept = keyLines;
  keyLines = ['nonsense'];
  const answer = await put('unsealed', { value: VALUE });
  expectProblem(answer, 409, 'conflict');
  expect(answer.body.detail).toContain('expected 32 octets in base64');
  expect(answer.text).not.toContain('nonsense');
  expectProblem(await api.ask('/v1/secrets:reseal', { method: 'POST' }), 409, 'conflict');
  keyLines = kept;
});

test('a policy that names a secret which is not there is warned of; one that is used stays', async () => {
  const route =
    'tls:\n  verified: { require: verified }\nroutes:\n  provider: { hosts: [{ host: relay.example, port: 587 }], tls: verified, auth: secret/used }';
  const source = smallPolicy().replace('route: capture', 'route: provider').replace('routes:', route);
  const publish = (headers: Record<string, string>, text = source): Promise<Answer> =>
    api.ask('/v1/policies/main', { method: 'PUT', body: text, type: 'application/yaml', headers });
  const first = await publish({ 'If-None-Match': '*' });
  expect(first.status).toBe(200);
  expect(first.body.findings).toContainEqual(
    expect.objectContaining({
      code: 'Q3',
      severity: 'warns',
      pointer: '/routes/provider/auth',
      fix: expect.stringContaining('postern secret set used'),
    }),
  );
  await put('used', { value: 'user:password' });
  const again = await publish({ 'If-Match': '*' }, `${source}# again\n`);
  expect(again.status).toBe(200);
  expect(again.body.findings).not.toContainEqual(expect.objectContaining({ code: 'Q3' }));
  const remove = (): Promise<Answer> => api.ask('/v1/secrets/used', { method: 'DELETE', headers: { 'If-Match': '*' } });
  const refused = await remove();
  expectProblem(refused, 409, 'conflict');
  expect(refused.body.detail).toContain('`provider`');
  await api.publish(smallPolicy());
  expect((await remove()).status).toBe(204);
});

describe('refused', () => {
  test.each([
    ['no value', {}, 400],
    ['an empty value', { value: '' }, 400],
    ['a value that is a number', { value: 5 }, 400],
    ['a value that is too long', { value: 'x'.repeat(16_385) }, 400],
    ['a field that nobody knows', { value: 'x', keyId: 'mine' }, 400],
    ['a note that is null', { value: 'x', note: null }, 400],
  ])('%s', async (_what, body, status) => {
    expect((await put('refused', body)).status).toBe(status);
    expectProblem(await api.ask('/v1/secrets/refused'), 404, 'not-found');
  });

  test.each(['Upper', 'a b', '-a', 'a-', 'a%2Fb', '%00', 'ä', 'x'.repeat(64) + 'x'])('the name %s', async (name) => {
    const answer = await put(encodeURI(decodeURI(name)), { value: 'x' });
    expect([400, 422]).toContain(answer.status);
  });

  test('for whoever may only read', async () => {
    const headers = { 'If-None-Match': '*', 'If-Match': '*' };
    for (const [method, path, body] of [
      ['PUT', '/v1/secrets/mine', { value: 'x' }],
      ['DELETE', '/v1/secrets/mine', undefined],
      ['POST', '/v1/secrets:reseal', undefined],
    ] as const) {
      const answer = await api.ask(path, { method, key: api.viewerKey, headers, ...(body && { body }) });
      expectProblem(answer, 403, 'forbidden');
    }
    expect((await api.ask('/v1/secrets', { key: api.viewerKey })).status).toBe(200);
  });
});

test('a secret can be tried first: it is not kept', async () => {
  const put = { method: 'PUT', body: { value: 'hush' }, headers: { 'If-None-Match': '*' } };
  const tried = await api.ask('/v1/secrets/tried?dryRun=true', put);
  expect({ status: tried.status, dryRun: tried.headers.get('dry-run') }).toEqual({ status: 201, dryRun: 'true' });
  expectProblem(await api.ask('/v1/secrets/tried'), 404, 'not-found');
});
