/** Requests that nobody well-meaning sends, and a database that goes away. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { openDatabase } from '#database';
import { DatabaseAccess } from '../../apps/admin-api/src/database-access.js';
import { ApiUnderTest, expectProblem, listening, send, smallPolicy, type Answer } from './admin-api-support.js';
import { createTestDatabase, databaseUrl, startTestServer, type TestServer } from '../support/postgres.js';
import { waitFor } from '../support/wait.js';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
});
afterAll(() => api.stop());

const ENTRIES = '/v1/lists/staff/entries';
const post = (body: unknown, more: { type?: string; headers?: Record<string, string> } = {}): Promise<Answer> =>
  api.ask(ENTRIES, { method: 'POST', body, ...more });

describe('bodies', () => {
  test.each([
    ['{"value": "a@example.com",}', 1, 27],
    ['{\n  "value": nope\n}', 2, 13],
    ['{"value"', 1, 9],
    ['', undefined, undefined],
  ])('malformed JSON %j tells the place', async (body, line, column) => {
    const answer = await post(body);
    expectProblem(answer, 400, line === undefined ? 'invalid-request' : 'malformed-body');
    if (line !== undefined) expect(answer.body.errors[0]).toMatchObject({ line, column });
  });

  test.each([[[]], [null], [5], ['"text"'], [true]])('JSON %j is not an object with fields', async (body) => {
    const answer = await post(typeof body === 'string' ? body : JSON.stringify(body));
    expectProblem(answer, 400, 'invalid-request');
  });

  test('of another kind, packed, or not UTF-8', async () => {
    expectProblem(await post('value=a', { type: 'application/x-www-form-urlencoded' }), 415, 'unsupported-media-type');
    expectProblem(await post('{}', { type: 'text/plain' }), 415, 'unsupported-media-type');
    expectProblem(await post('{}', { type: 'application/json; charset=utf-16' }), 415, 'unsupported-media-type');
    expectProblem(await post('{}', { headers: { 'Content-Encoding': 'gzip' } }), 415, 'unsupported-media-type');
    expectProblem(await post(new Uint8Array([0x22, 0xc3, 0x28, 0x22])), 400, 'malformed-body');
  });

  test('too large', async () => {
    expectProblem(await post({ value: 'a@example.com', note: 'x'.repeat(70_000) }), 413, 'body-too-large');
  });

  test('deeply nested', async () => {
    expectProblem(await post(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), 400, 'malformed-body');
    expectProblem(await post(`{"value":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`), 400, 'malformed-body');
  });

  test('with keys that mean something to JavaScript', async () => {
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const answer = await post(`{"value":"a@example.com","${key}":{"polluted":true}}`);
      expectProblem(answer, 400, 'invalid-request');
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('addresses', () => {
  test.each([
    '/',
    '/v1',
    '/v2/lists',
    '/v1/policies/other',
    '/v1/policies',
    '/admin',
    '/..%2f..%2fetc/passwd',
    '//v1/lists',
    '/v1/policiesXcheck',
  ])('%s is nothing', async (path) => {
    expectProblem(
      await send(api.url, path.startsWith('//') ? `${api.url}${path}` : path, { key: api.key }),
      404,
      'not-found',
    );
  });

  test('an unknown method of a known address', async () => {
    for (const [path, methods, allowed] of [
      ['/v1/policies/main', ['PATCH', 'DELETE', 'POST'], 'GET, HEAD, PUT'],
      ['/v1/lists/staff/entries/a%40example.com', ['PATCH', 'PUT', 'POST'], 'DELETE, GET, HEAD'],
      ['/v1/policies:check', ['GET', 'PUT'], 'POST'],
      ['/healthz', ['POST'], 'GET, HEAD'],
    ] as const) {
      for (const method of methods) {
        const answer = await api.ask(path, { method });
        expectProblem(answer, 405, 'method-not-allowed');
        expect(answer.headers.get('allow')).toBe(allowed);
      }
    }
  });
});

describe('queries', () => {
  test.each([
    'nonsense=1',
    'constructor=1',
    '__proto__=1',
    'toString=1',
    'Sender=a@x.example',
    'at.gte=yesterday',
    'at.gte=2026-13-40T00:00:00Z',
    'ip=nonsense',
    'ip=10.0.0.0/40',
    'ip=10.0.0.0/8/8',
    'ip=fe80::1%25eth0',
    'verdict=maybe',
    'sender=a&sender=b',
    'sender[]=a',
    `sender=${'x'.repeat(400)}`,
    'limit=-1',
    'after=AAAA',
    `after=${Buffer.from("' or 1=1").toString('base64url')}`,
  ])('%s is refused and named', async (query) => {
    const answer = await api.ask(`/v1/transactions?${query}`);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body.errors[0].message).toContain('`');
  });

  test('a parameter that is given twice is told so', async () => {
    const answer = await api.ask('/v1/transactions?sender=a@x.example&limit=5&sender=b@x.example&limit=6');
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body.errors).toEqual([
      { code: 'repeated-field', pointer: '/sender', message: '`sender` is given 2 times, expected once' },
      { code: 'repeated-field', pointer: '/limit', message: '`limit` is given 2 times, expected once' },
    ]);
  });

  test.each([
    "sender=' or 1=1 --",
    'rule=%25',
    'messageId=<a@b>',
    'recipient=\u{1f4e7}@x.example',
    'sender=\\',
    'ip=::1',
    'ip=10.0.0.0/8',
    'sender=<>',
  ])('%s is a search that finds nothing', async (query) => {
    const answer = await api.ask(`/v1/transactions?${encodeURI(query)}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ data: [] });
  });

  test('NUL is refused, not a failure', async () => {
    expectProblem(await api.ask('/v1/transactions?sender=%00'), 400, 'invalid-request');
    expectProblem(await api.ask('/v1/queue?route=%00'), 400, 'invalid-request');
    expectProblem(await api.ask(`/v1/queue?after=${Buffer.from('x y').toString('base64url')}`), 400, 'invalid-request');
  });

  test.each([
    'txn_',
    'nonsense',
    'txn_01JD0000000000000000000000',
    '01JD0000000000000000000000',
    'txn_ZZZZZZZZZZZZZZZZZZZZZZZZZZ',
    '%00',
  ])('transaction %s is not there', async (id) => {
    expectProblem(await api.ask(`/v1/transactions/${id}`), 404, 'not-found');
  });
});

test('what is not HTTP gets an answer without a stack', async () => {
  const { port } = new URL(api.url);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.end('EHLO client.test\r\n\r\n'));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400 /u);
  expect(answer).not.toMatch(/\bat \w/u);
});

describe('without a database', () => {
  test('that was never reached, everything says so, and health tells it apart', async () => {
    const { app, url } = await listening(new DatabaseAccess());
    try {
      expectProblem(await send(url, '/v1/lists', { key: api.key }), 503, 'database-unavailable');
      expectProblem(await send(url, '/v1/lists', { key: null }), 401, 'unauthenticated');
      expect((await send(url, '/healthz', { key: api.key })).status).toBe(200);
      expect(await send(url, '/readyz', {})).toMatchObject({ status: 503, body: { status: 'unavailable' } });
    } finally {
      await app.close();
    }
  });

  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.remove());

  test('that goes away, requests answer 503 at once; when it is back, they work', async () => {
    const database = await openDatabase({ url: server.url });
    await database.migrate();
    const { secret } = await database.apiKeys.create({ name: 'tester', role: 'admin', actor: 'test' });
    const { app, url } = await listening(new DatabaseAccess(database));
    const ask = (path: string): Promise<Answer> => send(url, path, { key: secret });
    try {
      expect((await ask('/v1/queue')).status).toBe(200);
      await server.kill();
      for (const path of [
        '/v1/queue',
        '/v1/lists',
        '/v1/transactions',
        '/v1/policies/main',
        '/v1/gateways',
        '/v1/api-keys',
      ]) {
        const answer = await ask(path);
        expectProblem(answer, 503, 'database-unavailable');
        expect(answer.body.detail).toBe('the database does not answer at the moment');
        expect(answer.headers.get('retry-after')).toBe('1');
      }
      expect((await ask('/healthz')).status).toBe(200);
      expect((await ask('/readyz')).status).toBe(503);
      await server.start();
      await waitFor('the API to work again', async () => (await ask('/v1/queue')).status === 200);
    } finally {
      await app.close();
      await database.close();
    }
  });

  test('and one whose schema is not there yet', async () => {
    const empty = await createTestDatabase();
    await empty.query('drop table api_key');
    const database = await openDatabase({ url: databaseUrl(empty.url, empty.name) });
    const { app, url } = await listening(new DatabaseAccess(database));
    try {
      expectProblem(await send(url, '/v1/lists', { key: api.key }), 503, 'database-unavailable');
    } finally {
      await app.close();
      await database.close();
      await empty.drop();
    }
  });
});
