/** Whole managed lists: in as an operation, out as a file; and which entry covers a value. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../support/wait.js';
import { ApiUnderTest, expectProblem, smallPolicy, type Answer } from './admin-api-support.js';

const NDJSON = 'application/x-ndjson';
const CSV = 'text/csv';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  await api.publish(smallPolicy());
});
afterAll(() => api.stop());

function upload(
  list: string,
  body: string,
  { query = '', type = NDJSON }: { query?: string; type?: string } = {},
): Promise<Answer> {
  return api.ask(`/v1/lists/${list}/entries:import${query}`, {
    method: 'POST',
    body,
    type,
    headers: { Reason: 'nightly' },
  });
}

interface Ended {
  readonly state: string;
  readonly done: number;
  readonly total?: number;
  readonly result?: Record<string, unknown>;
  readonly problem?: { readonly type: string };
}

async function ended(answer: Answer): Promise<Ended> {
  expect({ status: answer.status, text: answer.text.slice(0, 300) }).toMatchObject({ status: 202 });
  const path = answer.headers.get('location') ?? '';
  expect(path).toBe(`/v1/operations/${answer.body.id as string}`);
  return waitFor('the operation to end', async () => {
    const now = (await api.ask(path)).body as Ended;
    return now.state === 'running' ? undefined : now;
  });
}

async function exported(list: string, format: 'csv' | 'ndjson' = 'ndjson'): Promise<string> {
  const answer = await api.ask(`/v1/lists/${list}/entries:export?format=${format}`);
  expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${list}.${format}"`);
  return answer.text;
}

const rows = (...values: readonly string[]): string => values.map((value) => `${JSON.stringify({ value })}\n`).join('');

describe('an import', () => {
  test('merges, with note, owner and expiry, as one revision', async () => {
    const body = `${JSON.stringify({ value: 'Ann@EXAMPLE.com', note: 'first', owner: 'it', expires: '2099-01-01T00:00:00Z' })}\n"joe@example.com"\n\n`;
    const before = (await api.database.lists.load('staff')).revision;
    const done = await ended(await upload('staff', body));
    expect(done).toMatchObject({
      state: 'succeeded',
      done: 2,
      total: 2,
      result: { list: 'staff', revision: before + 1, added: 2, changed: 0, removed: 0 },
    });
    expect((await api.ask('/v1/lists/staff/entries')).body.data).toMatchObject([
      { value: 'Ann@example.com', note: 'first', owner: 'it', expires: '2099-01-01T00:00:00.000Z', addedBy: 'tester' },
      { value: 'joe@example.com' },
    ]);
    const again = await ended(await upload('staff', `${JSON.stringify({ value: 'joe@example.com', note: 'now' })}\n`));
    expect(again.result).toMatchObject({ added: 0, changed: 1, removed: 0, revision: before + 1 });
    const [event] = (await api.database.audit.events({ kinds: ['list.changed'], limit: 1 })).data;
    expect(event?.data).toMatchObject({ list: 'staff', count: 2, actor: 'tester', reason: 'nightly' });
  });

  test('replaces: what is not in the file goes, in the same moment', async () => {
    await ended(await upload('blocked-senders', rows('a@x.example', 'b@x.example', 'c@x.example')));
    const at = (await api.database.lists.load('blocked-senders')).revision;
    const done = await ended(
      await upload('blocked-senders', rows('b@x.example', 'd@x.example', 'd@x.example'), {
        query: `?mode=replace&ifRevision=${at}`,
      }),
    );
    expect(done.result).toMatchObject({ added: 1, removed: 2, changed: 0 });
    expect((await api.database.lists.load('blocked-senders')).values.toSorted()).toEqual([
      'b@x.example',
      'd@x.example',
    ]);
    expect(await api.database.lists.changesSince('blocked-senders', at)).toMatchObject({
      changes: [
        { operation: 'remove', value: 'a@x.example' },
        { operation: 'remove', value: 'c@x.example' },
        { operation: 'add', value: 'd@x.example' },
      ],
    });
    const stale = await ended(
      await upload('blocked-senders', rows('e@x.example'), { query: `?mode=replace&ifRevision=${at}` }),
    );
    expect(stale).toMatchObject({ state: 'failed', problem: { type: 'urn:postern:problem:precondition-failed' } });
    expect((await api.database.lists.load('blocked-senders')).values).toHaveLength(2);
  });

  test('of many entries is brought in whole, and leaves nothing behind', async () => {
    const many = Array.from(
      { length: 60_000 },
      (_unused, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    );
    const done = await ended(await upload('blocked-networks', rows(...many)));
    expect(done).toMatchObject({ state: 'succeeded', done: 60_000, result: { added: 60_000 } });
    expect(await api.postgres.query('select 1 from list_import')).toEqual([]);
    const out = (await exported('blocked-networks')).trimEnd().split('\n');
    expect(out).toHaveLength(60_000);
    expect(new Set(out.map((line) => (JSON.parse(line) as { value: string }).value)).size).toBe(60_000);
  });

  test.each([
    ['outside of the bound', 'staff', `"x@example.com"\n"y@foreign.example"\n`, 2],
    ['no entry of the type', 'staff', `"nonsense"\n`, 1],
    ['no JSON', 'staff', `{\n`, 1],
    ['an unknown field', 'staff', `{"value":"a@example.com","nte":"x"}\n`, 1],
    ['a time that is over', 'staff', `{"value":"a@example.com","expires":"2001-01-01T00:00:00Z"}\n`, 1],
  ])('is refused whole, with the lines: %s', async (_what, list, body, line) => {
    const before = await api.database.lists.load(list);
    const answer = await upload(list, body);
    expectProblem(answer, 422, 'value-refused');
    expect(answer.body.errors[0]).toMatchObject({ line });
    expect(await api.database.lists.load(list)).toEqual(before);
    expect(await api.postgres.query('select 1 from list_import')).toEqual([]);
  });

  test('has its limits', async () => {
    expectProblem(await upload('nothing', rows('a')), 404, 'not-found');
    expectProblem(await upload('staff', '{}', { type: 'application/json' }), 415, 'unsupported-media-type');
    expectProblem(await upload('staff', `"${'x'.repeat(10_000)}"\n`), 400, 'malformed-body');
    expectProblem(await upload('staff', '', { query: '?mode=both' }), 400, 'invalid-request');
    expectProblem(
      await api.ask('/v1/lists/staff/entries:import', {
        method: 'POST',
        body: new Uint8Array([0x22, 0xff, 0x22]),
        type: NDJSON,
      }),
      400,
      'malformed-body',
    );
  });
});

describe('CSV', () => {
  test('goes out harmless, and comes back the same', async () => {
    const odd = '"=cmd|\' /C calc\'!A0"@x.example';
    const note = `=HYPERLINK("http://x"), 'quoted'`;
    await ended(
      await upload('blocked-senders', `${JSON.stringify({ value: '+a@x.example', note, owner: '@ann' })}\n`, {
        query: '?mode=replace',
      }),
    );
    const text = await exported('blocked-senders', 'csv');
    expect(text).toBe(
      `value,note,owner,expires\r\n"'+a@x.example","'=HYPERLINK(""http://x""), 'quoted'","'@ann",""\r\n`,
    );
    expect(text).not.toContain(odd);
    const before = (await api.ask('/v1/lists/blocked-senders/entries')).body.data as unknown;
    const done = await ended(await upload('blocked-senders', text, { type: CSV, query: '?mode=replace' }));
    expect(done.result).toMatchObject({ added: 0, changed: 0, removed: 0 });
    expect((await api.ask('/v1/lists/blocked-senders/entries')).body.data).toEqual(before);
  });

  test.each([
    ['no header', 'a@x.example\r\n', 1],
    ['an unknown column', 'value,color\r\n', 1],
    ['too many cells', 'value\r\na@x.example,b\r\n', 2],
    ['a stray quote', 'value\r\na"b@x.example\r\n', 2],
  ])('is refused with the line: %s', async (_what, body, line) => {
    const answer = await upload('blocked-senders', body, { type: CSV });
    expectProblem(answer, 422, 'value-refused');
    expect(answer.body.errors[0]).toMatchObject({ line });
  });
});

describe('a look-up', () => {
  const lookup = (list: string, value: string): Promise<Answer> =>
    api.ask(`/v1/lists/${list}/entries:lookup`, { method: 'POST', body: { value }, key: api.viewerKey });

  test('tells the narrowest entry, and the wider ones', async () => {
    await ended(
      await upload('blocked-networks', rows('203.0.113.0/24', '203.0.0.0/16', '2001:db8::/32'), {
        query: '?mode=replace',
      }),
    );
    expect((await lookup('blocked-networks', '203.0.113.9')).body).toMatchObject({
      covered: true,
      entry: { value: '203.0.113.0/24' },
      others: [{ value: '203.0.0.0/16' }],
    });
    expect((await lookup('blocked-networks', '2001:DB8::7')).body).toMatchObject({ entry: { value: '2001:db8::/32' } });
    expect((await lookup('blocked-networks', '192.0.2.1')).body).toMatchObject({ covered: false, others: [] });
    await ended(await upload('blocked-senders', rows('*@x.example'), { query: '?mode=replace' }));
    expect((await lookup('blocked-senders', 'Bob@X.example')).body).toMatchObject({ entry: { value: '*@x.example' } });
  });

  test('refuses what no entry could cover', async () => {
    expectProblem(await lookup('blocked-networks', 'bob'), 422, 'value-refused');
  });
});

describe('operations', () => {
  test('are listed, found, and over when they are over', async () => {
    const { data } = (await api.ask('/v1/operations?limit=2')).body as { data: { id: string; kind: string }[] };
    expect(data).toHaveLength(2);
    expect(data[0]).toMatchObject({ kind: 'list.import', actor: 'tester', state: 'succeeded' });
    const path = `/v1/operations/${data[0]?.id ?? ''}`;
    expectProblem(await api.ask(path, { method: 'DELETE' }), 409, 'conflict');
    expectProblem(await api.ask('/v1/operations/opr_nothing'), 404, 'not-found');
  });

  test('one whose process is gone is interrupted', async () => {
    const { id } = await api.database.operations.begin({ kind: 'list.import', actor: 'tester' });
    expect(await api.database.operations.get(id)).toMatchObject({ state: 'running' });
    expect(await api.database.operations.cancel(id, 'ann')).toMatchObject({ cancelRequestedBy: 'ann' });
    expect(await api.database.operations.beat(id, { done: 3 })).toEqual({ stop: true });
    await api.postgres.query(`update operation set alive_until = now() - interval '1 second' where id = '${id}'`);
    expect(await api.database.operations.get(id)).toMatchObject({ state: 'interrupted', done: 3 });
  });
});
