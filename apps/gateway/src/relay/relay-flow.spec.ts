/** Who may send how much to whom, and what an outage of one destination means for the others. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RouteDefinition, SmtpRoute } from '#delivery';
import { makeMessage } from '../../../../test/database/message.js';
import { DnsServer } from '../../../../test/support/dns-server.js';
import { ForeignMx } from '../../../../test/support/foreign-mx.js';
import type { MxScript } from '../../../../test/support/foreign-mx.js';
import { FAST, hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';
import { waitFor } from '../../../../test/support/wait.js';

const relay = useRelay();
let dns: DnsServer;
let good: ForeignMx;
let sick: ForeignMx;

function world(extra: Partial<SmtpRoute> = {}): RouteDefinition {
  return { kind: 'mx', port: good.port, retry: FAST, maxConnections: 20, ...extra } as SmtpRoute;
}

/** Two hosts on one port, so that one route leads to both. */
async function start(script: MxScript, timeoutFactor: number): Promise<void> {
  good = await relay.remote();
  sick = await ForeignMx.listen(script, good.port, '127.0.0.2');
  await relay.runner.stop(1000);
  relay.timeoutFactor = timeoutFactor;
  relay.start(dns.address);
}

beforeEach(async () => {
  dns = await DnsServer.listen({
    'one.test': { a: ['127.0.0.1'] },
    'two.test': { a: ['127.0.0.1'] },
    'sick.test': { a: ['127.0.0.2'] },
  });
});

afterEach(async () => {
  await sick.close();
  await dns.close();
});

/** Milliseconds from the first to the last. */
async function timeFor(recipients: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const messages = await Promise.all(recipients.map(async (recipient) => relay.accept({ recipients: [recipient] })));
  await relay.allEnded(messages);
  const tookMs = performance.now() - startedAt;
  for (const { id } of messages) expect(told(await relay.story(id))).toEqual(['delivery.succeeded content']);
  return tookMs;
}

const many = (domain: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `u${String(at)}@${domain}`);

describe('rate limits', () => {
  // A tenth at once, then one each 100 milliseconds.
  const messages = { max: 50, perMs: 4_600 };

  it('hold mail to a destination back, and judge none of it; others go on', async () => {
    await start({}, 1);
    relay.routes['out'] = world({ flow: { messages } });
    const [slow, other] = await Promise.all([timeFor(many('one.test', 13)), timeFor(['u@two.test'])]);
    expect(slow).toBeGreaterThan(750);
    expect(other).toBeLessThan(slow - 300);
  });

  it('of a route count all its destinations together, its connections too', async () => {
    await start({}, 1);
    relay.routes['out'] = world({ together: { recipients: messages, maxConnections: 1 } });
    expect(await timeFor([...many('one.test', 6), ...many('two.test', 7)])).toBeGreaterThan(750);
    expect(good.open).toBeLessThanOrEqual(2);
  });

  it('leave in the queue what may not go soon, also from memory', async () => {
    await start({}, 1);
    relay.routes['out'] = world({ flow: { messages: { max: 1, perMs: 60_000 } } });
    await timeFor(['first@one.test']);
    const [, ...others] = await Promise.all(many('one.test', 5).map(async (to) => relay.accept({ recipients: [to] })));
    expect(relay.runner.hasRoom(100, others[0]?.recipients)).toBe(false);
    const elsewhere = makeMessage({ recipients: ['u@two.test'], route: 'out' });
    expect(relay.runner.hasRoom(100, elsewhere.recipients)).toBe(true);
    await relay.db.messages.accept(makeMessage({ recipients: ['queued@one.test'], route: 'out' }));
    relay.runner.wake();
    await relay.db.messages.accept(elsewhere);
    await relay.allEnded([elsewhere]);
    const [free] = await relay.server.query<{ count: number }>(
      `select count(*)::int as count from queue where owner is null and address = 'queued@one.test'`,
    );
    expect(free?.count).toBe(1);
    expect(good.accepted).toHaveLength(2);
  });
});

describe('an outage', () => {
  it('of one destination with thousands of messages delays no other, fills no memory, and is healed step by step', async () => {
    await start({ at: { banner: { kind: 'hang' } } }, 40);
    relay.routes['out'] = world({ retry: { ...FAST, firstMs: 200, longestMs: 200 } });
    const stuck = many('sick.test', 2500).map((to) => makeMessage({ recipients: [to], route: 'out' }));
    await Promise.all(stuck.map(async (message) => relay.db.messages.accept(message)));
    await waitFor('connections that hang', () => sick.open >= 5);
    const startedAt = performance.now();
    const quick = many('one.test', 30).map((to) => makeMessage({ recipients: [to], route: 'out' }));
    await Promise.all(quick.map(async (message) => relay.db.messages.accept(message)));
    relay.runner.wake();
    await relay.allEnded(quick);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(sick.open).toBe(5);
    expect(relay.runner.figures.jobs).toBeLessThanOrEqual(1_500);
    sick.script = {};
    await relay.allEnded(stuck, 40_000);
    expect(sick.accepted).toHaveLength(2500);
  }, 60_000);

  it('is noticed where connections work and transactions do not: the host rests, and its mail is told so', async () => {
    await start({ at: { mail: '421 4.3.2 Overloaded\r\n' } }, 1);
    relay.routes['out'] = hosts([{ ...hostAt(good.port), host: '127.0.0.2' }], { ...FAST, firstMs: 60_000 });
    const messages = await Promise.all(Array.from({ length: 60 }, async () => relay.accept()));
    const left = 'select from queue where message_id = any($1) and attempts = 0';
    const ids = messages.map(({ id }) => id);
    await waitFor('an attempt of each', async () => (await relay.server.query(left, [ids])).length === 0);
    expect(sick.connections).toBeLessThan(40);
    for (const { id } of messages) {
      const rows = await relay.story(id);
      expect(told(rows)).toEqual(['delivery.deferred mail']);
      expect(rows[0]?.data.reply).toMatch(/^421 4\.3\.2 Overloaded$|^server ended the session with 421$/);
    }
  });
});
