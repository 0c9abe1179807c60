import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId, openDatabase, OperationalError, type Database } from '#database';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { makeMessage } from './message.js';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

beforeEach(async () => {
  db = await openDatabase({ url: database.url });
});

afterEach(async () => {
  await db.close();
});

async function count(table: string, id: string): Promise<number> {
  const column = { message: 'id', queue: 'message_id', audit_event: 'transaction_id' }[table] ?? '';
  const rows = await database.query<{ n: number }>(`select count(*)::int as n from ${table} where ${column} = $1`, [
    id,
  ]);
  return rows[0]?.n ?? -1;
}

describe('messages.accept', () => {
  test('commits message, queue rows and audit rows together', async () => {
    const message = makeMessage({ recipients: ['bob@example.net', 'eve@example.net'] });
    await db.messages.accept(message);
    expect(await count('message', message.id)).toBe(1);
    expect(await count('queue', message.id)).toBe(2);
    expect(await count('audit_event', message.id)).toBe(3);
    const [row] = await database.query('select * from message where id = $1', [message.id]);
    expect(row).toMatchObject({
      sender: 'ann@example.com',
      size_bytes: '25',
      body_8bit: false,
      policy_revision: 1,
      content_file: null,
    });
    expect(row?.['content']).toEqual(Buffer.from('Subject: hello\r\n\r\nworld\r\n'));
  });

  test('content is kept octet for octet, also none at all and in a spool file', async () => {
    const octets = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256));
    const all = makeMessage({ bytes: octets });
    const empty = makeMessage({ bytes: new Uint8Array() });
    const spooled = { ...makeMessage(), content: { kind: 'spool', file: 'abc', sizeBytes: 9 } as const, sizeBytes: 9 };
    await Promise.all([all, empty, spooled].map((message) => db.messages.accept(message)));
    const read = async (id: string): Promise<Record<string, unknown> | undefined> =>
      (await database.query('select content, content_file, size_bytes from message where id = $1', [id]))[0];
    expect(await read(all.id)).toEqual({ content: octets, content_file: null, size_bytes: '70000' });
    expect(await read(empty.id)).toEqual({ content: Buffer.alloc(0), content_file: null, size_bytes: '0' });
    expect(await read(spooled.id)).toEqual({ content: null, content_file: 'abc', size_bytes: '9' });
  });

  test('a thousand at once need few commits', async () => {
    const messages = Array.from({ length: 1000 }, () => makeMessage());
    const before = db.commits;
    await Promise.all(messages.map((message) => db.messages.accept(message)));
    expect(db.commits - before).toBeLessThan(20);
    const rows = await database.query<{ n: number }>('select count(*)::int as n from message where id = any($1)', [
      messages.map(({ id }) => id),
    ]);
    expect(rows).toEqual([{ n: 1000 }]);
  });

  test('a bad message fails alone, whatever is wrong with it', async () => {
    const good = Array.from({ length: 60 }, () => makeMessage());
    const twice = makeMessage({ id: good[3]?.id ?? '' });
    const nul = makeMessage({ sender: 'a\0b@example.com' });
    const noId = makeMessage({ id: 'not-a-uuid' });
    const bad = [twice, nul, noId];
    const mixed = [...good.slice(0, 20), twice, ...good.slice(20, 40), nul, noId, ...good.slice(40)];
    const results = await Promise.allSettled(mixed.map((message) => db.messages.accept(message)));
    const failed = mixed.filter((_, index) => results[index]?.status === 'rejected');
    expect(new Set(failed)).toEqual(new Set(bad));
    for (const message of good) expect(await count('queue', message.id)).toBe(1);
    expect(results.find((_, index) => mixed[index] === nul)).toMatchObject({
      reason: { code: 'data-refused', retryable: false },
    });
  });

  test('nothing of a refused message stays', async () => {
    const bad = makeMessage();
    const clash = {
      ...bad,
      id: newId(),
      sender: 'x@example.com',
      events: [{ ...bad.events[0], id: bad.events[0]?.id } as never],
    };
    await db.messages.accept(bad);
    await expect(db.messages.accept(clash)).rejects.toBeInstanceOf(OperationalError);
    expect(await count('message', clash.id)).toBe(0);
    expect(await count('queue', clash.id)).toBe(0);
  });

  test('a message of a day without partition makes one', async () => {
    const dayAhead = newIdAt(Date.now() + 40 * 86_400_000);
    await db.messages.accept(makeMessage({ id: dayAhead }));
    expect(await count('message', dayAhead)).toBe(1);
  });

  test('leased without a joined node is a bug, not a lost message', async () => {
    await expect(db.messages.accept(makeMessage({ leased: true }))).rejects.toThrow('joined node');
  });

  test('after close nothing is taken', async () => {
    await db.close();
    await expect(db.messages.accept(makeMessage())).rejects.toMatchObject({ code: 'closed' });
    db = await openDatabase({ url: database.url });
  });
});

function newIdAt(ms: number): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${newId().slice(13)}`;
}

describe('audit.append', () => {
  test('rides with the next message or goes alone, and flush() waits for it', async () => {
    const sessionId = newId();
    const event = { id: newId(), kind: 'gateway.started', sessionId, data: { node: 'a', version: '1' } } as const;
    expect(db.audit.append([event])).toBe(true);
    await db.audit.flush();
    expect(await database.query('select kind, data from audit_event where session_id = $1', [sessionId])).toEqual([
      { kind: 'gateway.started', data: { node: 'a', version: '1' } },
    ]);
    const before = db.commits;
    db.audit.append([{ ...event, id: newId() }]);
    await db.messages.accept(makeMessage());
    await db.audit.flush();
    expect(db.commits - before).toBe(1);
  });

  test('text that PostgreSQL cannot hold is replaced, not refused', async () => {
    const id = newId();
    db.audit.append([
      {
        id,
        kind: 'gateway.stopped',
        recipient: 'a\0b',
        clientAddress: 'fe80::1%eth0',
        data: { node: 'nul \0 and \ud800', reason: 'é' },
      },
    ]);
    await db.audit.flush();
    expect(
      await database.query('select recipient, host(client_address) as client, data from audit_event where id = $1', [
        id,
      ]),
    ).toEqual([{ recipient: 'a\ufffdb', client: 'fe80::1', data: { node: 'nul \ufffd and \ufffd', reason: 'é' } }]);
  });

  test('says when to stop, and keeps the events all the same', async () => {
    const small = await openDatabase({ url: database.url, auditBufferEvents: 10 });
    const ids = Array.from({ length: 30 }, () => newId());
    const answers = ids.map((id) =>
      small.audit.append([{ id, kind: 'gateway.stopped', data: { node: 'a', reason: '' } }]),
    );
    expect(answers.slice(0, 9)).toEqual(Array.from({ length: 9 }, () => true));
    expect(answers.slice(9)).not.toContain(true);
    await small.close();
    expect(await database.query('select count(*)::int as n from audit_event where id = any($1)', [ids])).toEqual([
      { n: 30 },
    ]);
  });

  test('far beyond the bound the loss itself is recorded', async () => {
    const small = await openDatabase({ url: database.url, auditBufferEvents: 10 });
    for (let made = 0; made < 100; made += 1)
      small.audit.append([{ id: newId(), kind: 'gateway.stopped', data: { node: 'gap', reason: '' } }]);
    await small.audit.flush();
    await small.close();
    expect(await database.query(`select count(*)::int as n from audit_event where data->>'node' = 'gap'`)).toEqual([
      { n: 40 },
    ]);
    expect(await database.query(`select data->'lost' as lost from audit_event where kind = 'audit.gap'`)).toEqual([
      { lost: 60 },
    ]);
  });

  test('a row the database refuses does not hold up the others', async () => {
    const twice = newId();
    const stopped = (id: string) => ({ id, kind: 'gateway.stopped', data: { node: 'twice', reason: '' } }) as const;
    db.audit.append([stopped(twice)]);
    await db.audit.flush();
    const other = newId();
    db.audit.append([stopped(twice), stopped(other)]);
    await db.audit.flush();
    expect(await database.query('select count(*)::int as n from audit_event where id = $1', [other])).toEqual([
      { n: 1 },
    ]);
  });

  test('the table cannot be changed, only appended', async () => {
    for (const text of ['update audit_event set kind = kind', 'delete from audit_event', 'truncate audit_event']) {
      await expect(database.query(text)).rejects.toThrow('append-only');
    }
    const partitions = await database.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_event'::regclass limit 1`,
    );
    await expect(database.query(`truncate ${partitions[0]?.name ?? ''}`)).rejects.toThrow('append-only');
  });
});
