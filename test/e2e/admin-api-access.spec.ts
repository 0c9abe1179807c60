/** Who may ask what: every route that exists, enumerated from the router, with every kind of key. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { openApiText } from '../../apps/admin-api/src/openapi.js';
import { PROBLEMS } from '../../apps/admin-api/src/http/problem.js';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer } from './admin-api-support.js';

interface Route {
  readonly method: string;
  /** As OpenAPI writes it. */
  readonly path: string;
  /** With values for its parameters. */
  readonly example: string;
}

const PUBLIC = ['GET /healthz', 'GET /readyz', 'GET /openapi.json'];
/** What a key that may only read can ask, beside reading. */
const HARMLESS = [
  'POST /v1/simulations',
  'POST /v1/policies:check',
  'POST /v1/policies/main/drafts/{draft}:validate',
  'POST /v1/lists/{list}/entries:lookup',
  'POST /v1/audit:verify',
  'POST /v1/destinations/{domain}:resolve',
];
/** Keys, and what shows content of mail. */
const ADMIN_ONLY = ['GET /v1/api-keys', 'GET /v1/reviews/{id}'];

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
});
afterAll(() => api.stop());

/** From Express' router itself, so that no route is forgotten. */
function routes(): readonly Route[] {
  const { router } = api.app.getHttpAdapter().getInstance() as unknown as {
    router: { stack: { route?: { path: string; methods: Record<string, boolean> } }[] };
  };
  return router.stack.flatMap(({ route }) =>
    Object.keys(route?.methods ?? {}).map((method) => {
      const path = (route?.path ?? '')
        .replaceAll('\\:', '\0')
        .replaceAll(/:(\w+)/gu, '{$1}')
        .replaceAll('\0', ':');
      const example = path
        .replace('{revision}', '1')
        .replace('{list}', 'staff')
        .replaceAll(/\{\w+\}/gu, 'x');
      return { method: method.toUpperCase(), path, example };
    }),
  );
}

const name = ({ method, path }: Route): string => `${method} ${path}`;
const closed = (): readonly Route[] => routes().filter((route) => !PUBLIC.includes(name(route)));

function ask(route: Route, key: string | null): Promise<Answer> {
  const body = route.method === 'GET' || route.method === 'DELETE' ? {} : { body: { nonsense: true } };
  return api.ask(route.example, { method: route.method, key, ...body });
}

test('the router has what the description has, and the other way round', async () => {
  const document = (await api.ask('/openapi.json', { key: null })).body as {
    openapi: string;
    paths: Record<string, object>;
  };
  expect(document.openapi).toBe('3.1.0');
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual(routes().map(name).sort());
  expect(described.length).toBeGreaterThan(15);
});

test('the committed description is the generated one', async () => {
  expect(await readFile('openapi.json', 'utf8')).toBe(await openApiText());
});

test('the documentation tells of every problem, and of no other', async () => {
  const text = await readFile('docs/admin-api.md', 'utf8');
  const told = [...text.matchAll(/^\| `([a-z-]+)`\s*\| (\d{3})\s*\|/gmu)].map(([, key, status]) => `${key} ${status}`);
  expect(told.sort()).toEqual(
    Object.entries(PROBLEMS)
      .map(([key, { status }]) => `${key} ${status}`)
      .sort(),
  );
});

describe('public routes', () => {
  test.each(PUBLIC)('%s answers without a key', async (route) => {
    expect((await api.ask(route.split(' ')[1] ?? '', { key: null })).status).toBe(200);
  });

  test('a bad key does no harm there', async () => {
    expect((await api.ask('/healthz', { key: 'nonsense' })).status).toBe(200);
  });
});

describe('every other route', () => {
  test('refuses a request without a key, and says how to send one', async () => {
    for (const route of closed()) {
      const answer = await ask(route, null);
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="postern"');
    }
  });

  test.each([
    ['unknown', () => `pst_AAAAAAAA_${'A'.repeat(43)}`],
    ['malformed', () => 'nonsense'],
    ['another case', () => api.key.toUpperCase()],
    ['nearly right', () => `${api.key.slice(0, -1)}${api.key.endsWith('A') ? 'B' : 'A'}`],
    ['endless', () => 'x'.repeat(5000)],
    ['SQL', () => "'or'1'='1"],
  ])('refuses a key that is %s', async (_kind, key) => {
    for (const route of closed()) {
      const answer = await ask(route, key());
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toContain('invalid_token');
    }
  });

  test('refuses an expired and a revoked key at once', async () => {
    const expired = await api.database.apiKeys.create({
      name: 'old',
      role: 'admin',
      actor: 'test',
      expiresAt: new Date(Date.now() - 1),
    });
    const revoked = await api.database.apiKeys.create({ name: 'gone', role: 'admin', actor: 'test' });
    expect((await api.ask('/v1/lists', { key: revoked.secret })).status).toBe(200);
    await api.database.apiKeys.revoke(revoked.key.id, 'test');
    for (const { secret } of [expired, revoked]) {
      for (const route of closed()) expectProblem(await ask(route, secret), 401, 'unauthenticated');
    }
  });

  test('refuses another scheme, and a key in the query', async () => {
    const basic = Buffer.from(`admin:${api.key}`).toString('base64');
    expectProblem(
      await api.ask('/v1/lists', { key: null, headers: { Authorization: `Basic ${basic}` } }),
      401,
      'unauthenticated',
    );
    expectProblem(await api.ask(`/v1/lists?access_token=${api.key}`, { key: null }), 401, 'unauthenticated');
  });

  test('refuses a query parameter that nobody knows', async () => {
    for (const route of closed()) {
      const body = route.method === 'GET' || route.method === 'DELETE' ? {} : { body: {} };
      const answer = await api.ask(`${route.example}?nonsense=1`, { method: route.method, ...body });
      expect({ route: name(route), status: answer.status }).toEqual({ route: name(route), status: 400 });
    }
  });

  test('lets a viewer read, and nothing else', async () => {
    for (const route of closed()) {
      const answer = await ask(route, api.viewerKey);
      const mayRead = route.method === 'GET' && !ADMIN_ONLY.includes(name(route));
      const allowed = mayRead || HARMLESS.includes(name(route));
      if (allowed) expect({ route: name(route), status: answer.status }).not.toMatchObject({ status: 403 });
      else expectProblem(answer, 403, 'forbidden');
    }
  });

  test('knows a key whose role means nothing here as no key', async () => {
    const { secret } = await api.database.apiKeys.create({ name: 'odd', role: 'emperor', actor: 'test' });
    expectProblem(await api.ask('/v1/lists', { key: secret }), 401, 'unauthenticated');
  });
});

describe('API keys', () => {
  test('are shown once, work, and can be revoked', async () => {
    const created = await api.ask('/v1/api-keys', {
      method: 'POST',
      body: { name: 'deploy pipeline', role: 'viewer' },
    });
    expect(created.status).toBe(201);
    const { id, key } = created.body as { id: string; key: string };
    expect(id).toMatch(/^key_[0-9A-Z]{26}$/u);
    expect((await api.ask('/v1/lists', { key })).status).toBe(200);
    const listed = await api.ask('/v1/api-keys');
    expect(listed.text).not.toContain(key);
    expect(listed.body.data).toContainEqual(
      expect.objectContaining({ id, name: 'deploy pipeline', role: 'viewer', createdBy: 'tester' }),
    );
    expect((await api.ask(`/v1/api-keys/${id}`, { method: 'DELETE' })).status).toBe(204);
    expectProblem(await api.ask('/v1/lists', { key }), 401, 'unauthenticated');
    expectProblem(await api.ask(`/v1/api-keys/${id}`, { method: 'DELETE' }), 404, 'not-found');
    const kinds = (await api.database.audit.events({ kinds: ['api-key.created', 'api-key.revoked'], limit: 2 })).data;
    expect(kinds.map(({ kind }) => kind)).toEqual(['api-key.revoked', 'api-key.created']);
  });

  test('are never stored as they are', async () => {
    const rows = await api.postgres.query('select t::text as row from api_key t');
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(api.key);
  });

  test.each([
    ['no name', {}],
    ['a name of spaces', { name: '  ' }],
    ['a name with a line break', { name: 'a\nb' }],
    ['an unknown role', { name: 'a', role: 'root' }],
    ['an unknown field', { name: 'a', key: 'mine' }],
    ['a time that is none', { name: 'a', expiresAt: 'tomorrow' }],
    ['a role that is a list', { name: 'a', role: ['viewer'] }],
  ])('cannot be made with %s', async (_what, body) => {
    expectProblem(await api.ask('/v1/api-keys', { method: 'POST', body }), 400, 'invalid-request');
  });

  test('cannot be made to expire in the past', async () => {
    const body = { name: 'late', expiresAt: '2020-01-01T00:00:00Z' };
    expectProblem(await api.ask('/v1/api-keys', { method: 'POST', body }), 422, 'value-refused');
  });

  test('the last lasting admin key stays', async () => {
    const { data } = (await api.ask('/v1/api-keys')).body as {
      data: { id: string; role: string; revokedAt?: string; expiresAt?: string; name: string }[];
    };
    const own = data.find((key) => key.name === 'tester');
    const lasting = data.filter(
      (key) => key.role === 'admin' && key.revokedAt === undefined && key.expiresAt === undefined,
    );
    expect(lasting).toHaveLength(1);
    expectProblem(await api.ask(`/v1/api-keys/${own?.id ?? ''}`, { method: 'DELETE' }), 409, 'conflict');
  });
});

test('every answer has the headers that keep browsers harmless, and a trace', async () => {
  for (const path of ['/healthz', '/v1/lists', '/nowhere']) {
    const { headers } = await api.ask(path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-request-id')).toMatch(/^req_/u);
    expect(headers.get('x-powered-by')).toBeNull();
  }
});
