/** The database is killed, frozen and restarted while mail is accepted. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, openDatabase, OperationalError, type Database } from '#database';
import { startTestServer, type TestServer } from '../support/postgres.js';
import { eventually, makeMessage, outcomesOf } from './message.js';

let server: TestServer;
let db: Database;

beforeAll(async () => {
  server = await startTestServer();
  db = await openDatabase({ url: server.url });
  await db.migrate();
});

afterAll(async () => {
  await db.close();
  await server.remove();
});

async function stored(): Promise<Set<string>> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  const { rows } = await client.query<{ id: string }>('select id from message');
  await client.end();
  return new Set(rows.map((row) => row.id));
}

/** Milliseconds until the promise settled, and how. */
async function timed(promise: Promise<unknown>): Promise<{ tookMs: number; error: unknown }> {
  const startedAtMs = performance.now();
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { tookMs: performance.now() - startedAtMs, error };
}

describe('the database is killed while mail is accepted', () => {
  test('acknowledged is stored, everything else is refused in time, and it goes on by itself', async () => {
    const acknowledged: string[] = [];
    const refusals: { tookMs: number; error: unknown }[] = [];
    let running = true;
    const client = async (): Promise<void> => {
      while (running) {
        const message = makeMessage({ bytes: Buffer.alloc(4096, 'x') });
        const { tookMs, error } = await timed(db.messages.accept(message));
        if (error === undefined) acknowledged.push(message.id);
        else {
          refusals.push({ tookMs, error });
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }
    };
    const clients = Array.from({ length: 20 }, client);
    const health: boolean[] = [];
    db.onHealth((healthy) => health.push(healthy));
    for (let round = 0; round < 3; round += 1) {
      const before = acknowledged.length;
      await eventually(() => acknowledged.length > before + 200);
      await server.kill();
      await eventually(() => refusals.length > 0 && !db.healthy);
      await server.start();
      await eventually(() => db.healthy);
    }
    const before = acknowledged.length;
    await eventually(() => acknowledged.length > before + 200);
    running = false;
    await Promise.all(clients);

    const kept = await stored();
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
    expect(health).toEqual([false, true, false, true, false, true]);
    expect(refusals.length).toBeGreaterThan(10);
    const other = refusals.filter(({ error }) => !(error instanceof OperationalError && error.retryable));
    expect(
      other.map(({ error }) => (error instanceof Error ? `${error.stack ?? ''} ${String(error.cause)}` : error)),
    ).toEqual([]);
    // Far below the statement time-out of 10 s: nobody waits for a database that is gone. The exact figure is for bench/.
    expect(Math.max(...refusals.map(({ tookMs }) => tookMs))).toBeLessThan(5_000);
  });

  test('audit events wait and are stored once', async () => {
    const sessionId = newId();
    await server.kill();
    await eventually(() => !db.healthy);
    const ids = Array.from({ length: 50 }, () => newId());
    db.audit.append(ids.map((id) => ({ id, kind: 'gateway.stopped', sessionId, data: { node: 'x', reason: '' } })));
    await expect(db.audit.flush()).rejects.toMatchObject({ code: 'database-unavailable' });
    await server.start();
    await eventually(() => db.healthy);
    await db.audit.flush();
    const found = await db.audit.events({ sessionId, limit: 100 });
    expect(found.data.map((event) => event.id).sort()).toEqual(ids);
  });

  test('a node keeps its leases over a restart, and its outcomes are recorded', async () => {
    const node = await db.nodes.join('one');
    const message = makeMessage({ leased: true });
    await db.messages.accept(message);
    await server.kill();
    await eventually(() => !db.healthy);
    const outcomes = outcomesOf({
      id: message.id,
      recipients: message.recipients.map((recipient) => ({ ...recipient, attempts: 0 })),
    });
    await expect(db.queue.record(outcomes, [])).rejects.toBeInstanceOf(OperationalError);
    await expect(db.queue.claim(10)).rejects.toBeInstanceOf(OperationalError);
    await server.start();
    await eventually(() => db.healthy);
    await eventually(() =>
      node.heartbeat().then(
        () => true,
        () => false,
      ),
    );
    expect(await db.queue.record(outcomes, [])).toEqual({ lost: [] });
    await node.leave();
  });

  test('administration fails and comes back as well', async () => {
    await db.apiKeys.list();
    await server.kill();
    await eventually(() => !db.healthy);
    await expect(db.apiKeys.list()).rejects.toBeInstanceOf(OperationalError);
    await expect(db.policies.live()).rejects.toBeInstanceOf(OperationalError);
    await server.start();
    await eventually(() => db.healthy);
    expect(await db.apiKeys.list()).toEqual([]);
    expect(await db.policies.live()).toBeUndefined();
  });
});

test('a server that answers no more is noticed without a closed connection', async () => {
  const other = await openDatabase({ url: server.url, statementTimeoutMs: 4_000 });
  const client = new Client({ connectionString: server.url });
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_stat_activity where application_name = 'postern'`,
  );
  await client.end();
  const pids = rows.map((row) => row.pid);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  process.kill(server.pid, 'SIGSTOP');
  try {
    const first = timed(other.messages.accept(makeMessage()));
    await eventually(() => !other.healthy, 3_000);
    const { tookMs, error } = await timed(other.messages.accept(makeMessage()));
    expect(error).toBeInstanceOf(OperationalError);
    // Far below the time-out of a statement: nobody was asked.
    expect(tookMs).toBeLessThan(2_000);
    expect((await first).error).toMatchObject({ retryable: true });
  } finally {
    for (const pid of [server.pid, ...pids]) process.kill(pid, 'SIGCONT');
  }
  await eventually(() => other.healthy);
  await other.messages.accept(makeMessage());
  await other.close();
});
