/** Entries of managed lists: type and bound of the live policy, canonical form, paging, notices. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer } from './admin-api-support.js';
import { waitFor } from '../support/wait.js';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
});
afterAll(() => api.stop());

const path = (list: string, value?: string): string =>
  `/v1/lists/${list}/entries${value === undefined ? '' : `/${encodeURIComponent(value)}`}`;

const add = (list: string, body: unknown): Promise<Answer> => api.ask(path(list), { method: 'POST', body });
const remove = (list: string, value: string): Promise<Answer> => api.ask(path(list, value), { method: 'DELETE' });

async function values(list: string): Promise<string[]> {
  return ((await api.ask(path(list))).body.data as { value: string }[]).map(({ value }) => value);
}

test('the managed lists of the live policy', async () => {
  expect((await api.ask('/v1/lists')).body).toEqual({
    data: expect.arrayContaining([
      { name: 'staff', type: 'address', within: 'ours', revision: expect.any(Number) },
      { name: 'blocked-networks', type: 'network', use: 'deny', revision: expect.any(Number) },
    ]),
  });
});

describe('adding', () => {
  test('a new entry, with all that is known about it', async () => {
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const body = { value: 'ann@example.com', note: 'ticket 4711', owner: 'helpdesk', expires, reason: 'joined' };
    const answer = await add('staff', body);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      value: 'ann@example.com',
      note: 'ticket 4711',
      owner: 'helpdesk',
      expires,
      addedBy: 'tester',
      added: true,
    });
    expect(answer.body.listRevision).toBe(answer.body.revision);
    const [event] = (await api.database.audit.events({ kinds: ['list.changed'], limit: 1 })).data;
    expect(event).toMatchObject({
      data: { list: 'staff', operation: 'add', value: 'ann@example.com', actor: 'tester', reason: 'joined' },
    });
  });

  test('again is the same entry, with new notes', async () => {
    const first = (await add('staff', { value: 'bob@example.com', note: 'a' })).body;
    const again = await add('staff', { value: 'bob@EXAMPLE.com', note: 'b' });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({
      value: 'bob@example.com',
      note: 'b',
      added: false,
      listRevision: first.listRevision,
    });
    expect((await values('staff')).filter((value) => value.startsWith('bob'))).toEqual(['bob@example.com']);
  });

  test('is announced', async () => {
    const heard: string[] = [];
    const stop = await api.database.notifications.listen(['list_changed'], (_channel, payload) => heard.push(payload));
    await add('blocked-senders', { value: 'spam@x.example' });
    await waitFor('the notice', () => heard.some((payload) => payload.includes('blocked-senders')));
    stop();
  });

  test.each([
    ['staff', 'ann@elsewhere.example'], // outside the bound
    ['staff', 'no address'],
    ['staff', '@'],
    ['staff', 'ann@example.com\r\nRCPT TO:<x@y.example>'],
    ['blocked-networks', '10.0.0.1/8'], // host bits
    ['blocked-networks', '10.0.0.0/33'],
    ['blocked-networks', 'example.com'],
    ['blocked-networks', '::ffff:10.0.0.1'],
  ])('%s refuses %j, and says why', async (list, value) => {
    const before = await values(list);
    const answer = await add(list, { value });
    expectProblem(answer, 422, 'value-refused');
    expect(answer.body.errors[0]).toMatchObject({ pointer: '/value' });
    expect(await values(list)).toEqual(before);
  });

  test.each([
    ['an unknown field', { value: 'a@example.com', tag: 'x' }, '/tag'],
    ['a field of the database', { value: 'a@example.com', addedBy: 'root' }, '/addedBy'],
    ['no value', {}, '/value'],
    ['an empty value', { value: '' }, '/value'],
    ['a number', { value: 5 }, '/value'],
    ['a list of values', { value: ['a@example.com'] }, '/value'],
    ['an object', { value: { text: 'a@example.com' } }, '/value'],
    ['an endless value', { value: 'a'.repeat(1001) }, '/value'],
    ['an endless note', { value: 'a@example.com', note: 'n'.repeat(501) }, '/note'],
    ['a time that is none', { value: 'a@example.com', expires: 'soon' }, '/expires'],
  ])('%s is named', async (_what, body, pointer) => {
    const answer = await add('staff', body);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body.errors[0].pointer).toBe(pointer);
  });

  test('a time that is over', async () => {
    expectProblem(
      await add('staff', { value: 'a@example.com', expires: '2001-01-01T00:00:00Z' }),
      422,
      'value-refused',
    );
    expectProblem(
      await add('staff', { value: 'a@example.com', expires: '2999-02-30T00:00:00Z' }),
      422,
      'value-refused',
    );
  });

  test('a NUL in a note costs the request, not the server', async () => {
    expectProblem(await add('staff', { value: 'nul@example.com', note: 'a\u0000b' }), 400, 'invalid-request');
    expect((await add('staff', { value: 'nul@example.com', note: 'a\ud800b' })).status).toBe(201);
  });

  test('what looks like SQL, markup or a format is text', async () => {
    const note = `'; drop table list_entry; -- <script>alert(1)</script> %s \${x} {{y}}`;
    await add('staff', { value: 'x@example.com', note });
    expect((await api.ask(path('staff', 'x@example.com'))).body.note).toBe(note);
  });
});

describe('lists that are not there', () => {
  test.each(['nonsense', 'ours', '__proto__', 'a%00b', "'%20or%201=1", '%2e%2e', 'x'.repeat(99)])(
    '%s',
    async (list) => {
      for (const answer of [
        await api.ask(path(list)),
        await add(list, { value: 'a@example.com' }),
        await remove(list, 'a'),
      ]) {
        expectProblem(answer, 404, 'not-found');
      }
    },
  );

  test('a name that is too long, or a malformed escape, is refused before', async () => {
    expectProblem(await api.ask(path('x'.repeat(101))), 400, 'invalid-request');
    expectProblem(await api.ask('/v1/lists/%zz/entries'), 400, 'invalid-request');
  });
});

describe('removing', () => {
  beforeEach(() => add('blocked-networks', { value: '10.0.0.0/8' }));

  test('by the value, percent-encoded, in any form', async () => {
    expect((await remove('blocked-networks', '10.0.0.0/8')).status).toBe(204);
    expect(await values('blocked-networks')).not.toContain('10.0.0.0/8');
    expectProblem(await remove('blocked-networks', '10.0.0.0/8'), 404, 'not-found');
  });

  test('with a reason, kept in the audit', async () => {
    await api.ask(`${path('blocked-networks', '10.0.0.0/8')}?reason=back%20to%20good`, { method: 'DELETE' });
    const [event] = (await api.database.audit.events({ kinds: ['list.changed'], limit: 1 })).data;
    expect(event).toMatchObject({ data: { operation: 'remove', value: '10.0.0.0/8', reason: 'back to good' } });
  });

  test('a value that can be none', async () => {
    expectProblem(await remove('blocked-networks', 'ten'), 422, 'value-refused');
    expectProblem(await remove('blocked-networks', 'x'.repeat(1001)), 400, 'invalid-request');
  });
});

describe('paging', () => {
  test('tells every entry once, also while others are added', async () => {
    const all = Array.from({ length: 25 }, (_, index) => `page${String(index).padStart(2, '0')}@x.example`);
    await Promise.all(all.map((value) => add('blocked-senders', { value })));
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const query = `limit=7${after === undefined ? '' : `&after=${after}`}`;
      const { body } = await api.ask(`${path('blocked-senders')}?${query}`);
      seen.push(...(body.data as { value: string }[]).map(({ value }) => value));
      after = body.next as string | undefined;
      await add('blocked-senders', { value: `aaa${seen.length}@x.example` });
    } while (after !== undefined);
    expect(seen.filter((value) => value.startsWith('page'))).toEqual(all);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test.each(['limit=0', 'limit=501', 'limit=ten', 'limit=1.5'])('%s is no number', async (query) => {
    const answer = await api.ask(`${path('staff')}?${query}`);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body.errors[0].message).toBe('`limit` must be a whole number from 1 to 500');
  });

  test.each(['after=', 'after=***', 'page=2', 'limit[a]=1'])('%s is refused', async (query) => {
    expectProblem(await api.ask(`${path('staff')}?${query}`), 400, 'invalid-request');
  });
});
