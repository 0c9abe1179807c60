import { describe, expect, it } from '@jest/globals';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeMessage } from '../../../../test/database/message.js';
import { DnsServer } from '../../../../test/support/dns-server.js';
import { FAST, hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';
import { waitFor } from '../../../../test/support/wait.js';

const relay = useRelay();

describe('delivery', () => {
  it('keeps one connection busy, groups recipients of one message, and tells the audit', async () => {
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)], FAST, { maxConnections: 2 });
    const first = await relay.accept({ recipients: ['a@x.test', 'b@x.test', 'c@y.test'] });
    const rows = await relay.ended(first.id);
    expect(told(rows)).toEqual(new Array(3).fill('delivery.succeeded content'));
    expect(rows[0]?.data).toMatchObject({
      attempt: 1,
      route: 'out',
      routeRevision: 7,
      host: '127.0.0.1',
      address: '127.0.0.1',
      port: mx.port,
      code: 250,
      enhanced: '2.0.0',
      reply: '250 2.0.0 Ok: queued',
    });
    expect(mx.accepted.map((transaction) => transaction.recipients.length)).toEqual([3]);
    const many = await Promise.all(Array.from({ length: 200 }, async () => relay.accept()));
    await relay.allEnded(many);
    expect(mx.accepted.length).toBe(201);
    expect(mx.connections).toBeLessThanOrEqual(2);
  });

  it('splits 250 recipients into transactions of a hundred, and what is too many even so goes on at once', async () => {
    let seen = 0;
    const mx = await relay.remote({
      at: {
        mail: () => void (seen = 0),
        rcpt: () => ((seen += 1) > 30 ? '452 4.5.3 Too many recipients\r\n' : undefined),
      },
    });
    relay.routes['out'] = hosts([hostAt(mx.port)], FAST, { maxConnections: 1 });
    const message = await relay.accept({ recipients: Array.from({ length: 250 }, (_, at) => `r${String(at)}@x.test`) });
    const rows = await relay.ended(message.id);
    expect(told(rows)).toEqual(new Array(250).fill('delivery.succeeded content'));
    expect(new Set(mx.accepted.flatMap((transaction) => transaction.recipients)).size).toBe(250);
  });

  it('streams content from the spool', async () => {
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const bytes = Buffer.from('Subject: large\r\n\r\n' + '.'.repeat(70).concat('\r\n').repeat(30_000));
    const file = join(relay.directory, 'spooled');
    await writeFile(file, bytes);
    const message = await relay.accept({}, { kind: 'spool', file, sizeBytes: bytes.length });
    expect(told(await relay.ended(message.id))).toEqual(['delivery.succeeded content']);
    expect(mx.accepted[0]!.content.equals(bytes)).toBe(true);
  });

  it('goes by BDAT where it is large, and by DATA again where a server only says that it can do it', async () => {
    const mx = await relay.remote({ extensions: ['PIPELINING', 'CHUNKING'] });
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const bytes = Buffer.from('Subject: large\r\n\r\n' + '.'.repeat(70).concat('\r\n').repeat(2_000));
    expect(told(await relay.ended((await relay.accept({ bytes })).id))).toEqual(['delivery.succeeded content']);
    expect([mx.accepted[0]?.chunked, mx.accepted[0]?.content.equals(bytes)]).toEqual([true, true]);
    mx.script = {
      ...mx.script,
      at: { content: () => (mx.transactions.length < 2 ? '502 5.5.1 What?\r\n' : undefined) },
    };
    const rows = await relay.ended((await relay.accept({ bytes })).id);
    expect(told(rows)).toEqual(['delivery.deferred content', 'delivery.succeeded content']);
    expect(rows[0]?.data.reply).toBe('the server refused BDAT, which it offers, with 502 5.5.1 What?');
    expect([mx.accepted.at(-1)?.chunked, mx.accepted.at(-1)?.content.equals(bytes)]).toEqual([undefined, true]);
  });

  it('takes what other nodes left in the queue', async () => {
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const message = makeMessage({ route: 'out', leased: false });
    await relay.db.messages.accept(message);
    expect(told(await relay.ended(message.id))).toEqual(['delivery.succeeded content']);
  });

  it('writes into a Maildir', async () => {
    const message = await relay.accept({ route: 'bounces' });
    const rows = await relay.ended(message.id);
    expect(told(rows)).toEqual(['delivery.succeeded file']);
    expect(await readFile(String(rows[0]?.data['host']), 'utf8')).toContain(
      'Delivered-To: bob@example.net\r\nSubject: hello',
    );
  });

  it('follows a route that the policy changed, for mail already waiting', async () => {
    const dead = await relay.remote();
    await dead.close();
    relay.routes['out'] = hosts([hostAt(dead.port)]);
    const message = await relay.accept();
    await waitFor('a deferral', async () => (await relay.story(message.id)).length > 0);
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    expect(told(await relay.ended(message.id)).at(-1)).toBe('delivery.succeeded content');
  });
});

describe('several hosts', () => {
  it('are tried in order of priority: refused connection, refused session, 4xx; then the one that works', async () => {
    const dead = await relay.remote();
    await dead.close();
    const unwilling = await relay.remote({ at: { banner: '421 4.3.2 Later\r\n' } });
    const grey = await relay.remote({ at: { rcpt: '450 4.2.0 Grey\r\n' } });
    const good = await relay.remote();
    relay.routes['out'] = hosts([
      hostAt(good.port, 40),
      hostAt(dead.port, 10),
      hostAt(unwilling.port, 20),
      hostAt(grey.port, 30),
    ]);
    const rows = await relay.ended((await relay.accept()).id);
    expect(told(rows)).toEqual([
      'delivery.deferred connect',
      'delivery.deferred banner',
      'delivery.deferred rcpt',
      'delivery.succeeded content',
    ]);
    expect(rows.map(({ data }) => data['port'])).toEqual([dead.port, unwilling.port, grey.port, good.port]);
    expect(rows.map(({ data }) => data['attempt'])).toEqual([1, 1, 1, 1]);
    expect(rows.map(({ data }) => data.reply)).toEqual([
      'connection refused',
      '421 4.3.2 Later',
      '450 4.2.0 Grey',
      '250 2.0.0 Ok: queued',
    ]);
    expect(await readdir(relay.directory)).not.toContain('bounces');
    for (const { port } of [dead, unwilling]) {
      expect(relay.warnings).toContainEqual(expect.stringContaining(`[127.0.0.1]:${String(port)} takes no mail now: `));
    }
  });

  it('that take no connection are told to the jobs those connections were for, once, and not to all that wait', async () => {
    const dead = await relay.remote();
    await dead.close();
    const good = await relay.remote();
    relay.routes['out'] = hosts([hostAt(dead.port, 10), hostAt(good.port, 20)]);
    const messages = await Promise.all(Array.from({ length: 100 }, async () => relay.accept()));
    await relay.allEnded(messages);
    const stories = await Promise.all(messages.map(async ({ id }) => told(await relay.story(id))));
    expect(stories.every((story) => story.at(-1) === 'delivery.succeeded content')).toBe(true);
    const hit = stories.filter((story) => story.length > 1);
    expect(hit.length).toBeGreaterThan(0);
    expect(hit.length).toBeLessThanOrEqual(20);
    for (const story of hit) expect(story).toEqual(['delivery.deferred connect', 'delivery.succeeded content']);
  });

  it('that all fail are each told once, the last one with the deferral', async () => {
    const dead = await relay.remote();
    await dead.close();
    const unwilling = await relay.remote({ at: { banner: '554 5.3.2 Never\r\n' } });
    relay.routes['out'] = hosts([hostAt(dead.port, 10), hostAt(unwilling.port, 20)], { ...FAST, firstMs: 60_000 });
    const message = await relay.accept();
    const rows = await waitFor('both hosts', async () => {
      const story = await relay.story(message.id);
      return story.length >= 2 && story;
    });
    expect(rows.map(({ data }) => [data['port'], data.stage, data.reply])).toEqual([
      [dead.port, 'connect', 'connection refused'],
      [unwilling.port, 'banner', '554 5.3.2 Never'],
    ]);
    const [queued] = await relay.server.query<{ last_reply: string; attempts: number }>(
      'select last_reply, attempts from queue where message_id = $1',
      [message.id],
    );
    expect(queued).toEqual({ last_reply: '554 5.3.2 Never', attempts: 1 });
  });

  it('of equal priority share by weight', async () => {
    const [one, two] = [await relay.remote(), await relay.remote()];
    relay.routes['out'] = hosts([hostAt(one.port, 10, 0), hostAt(two.port, 10, 5)]);
    await relay.ended((await relay.accept()).id);
    expect([one.accepted.length, two.accepted.length]).toEqual([0, 1]);
  });

  it('a 5xx is final, unless the route says that this code is worth another host', async () => {
    const strict = await relay.remote({ at: { rcpt: '550 5.1.1 No\r\n' } });
    const kind = await relay.remote();
    relay.routes['out'] = hosts([hostAt(strict.port, 10), hostAt(kind.port, 20)], FAST, { nextHostOn: [550] });
    expect(told(await relay.ended((await relay.accept()).id))).toEqual([
      'delivery.deferred rcpt',
      'delivery.succeeded content',
    ]);
    relay.routes['out'] = hosts([hostAt(strict.port, 10), hostAt(kind.port, 20)]);
    expect(told(await relay.ended((await relay.accept()).id)).slice(0, 1)).toEqual(['delivery.failed rcpt']);
  });
});

describe('mx routes', () => {
  it('follow the DNS of each recipient, and tell what it answered', async () => {
    const mx = await relay.remote();
    const dns = await DnsServer.listen({
      'good.test': { mx: [[10, 'mx.good.test']] },
      'mx.good.test': { a: ['127.0.0.1'] },
      'null.test': { mx: [[0, '.']] },
      'loop.test': { mx: [[10, 'gw.test']] },
      'fail.test': { misdeed: 'servfail' },
    });
    await relay.runner.stop(1000);
    relay.start(dns.address);
    relay.routes['out'] = { kind: 'mx', port: mx.port, retry: FAST, maxConnections: 5 };
    const message = await relay.accept({
      recipients: ['a@good.test', 'b@null.test', 'c@gone.test', 'd@loop.test', 'e@fail.test', 'f@[127.0.0.1]'],
    });
    const rows = await waitFor('every outcome', async () => {
      const found = (await relay.story(message.id)).filter(({ kind }) => kind.startsWith('delivery.'));
      return new Set(found.map(({ recipient }) => recipient)).size === 6 && found;
    });
    const by = (address: string): string => {
      const row = rows.find(({ recipient }) => recipient === address);
      return `${String(row?.kind)} ${String(row?.data.stage)} ${String(row?.data['enhanced'])}`;
    };
    expect(by('a@good.test')).toBe('delivery.succeeded content 2.0.0');
    expect(by('b@null.test')).toBe('delivery.failed dns 5.1.10');
    expect(by('c@gone.test')).toBe('delivery.failed dns 5.1.2');
    expect(by('d@loop.test')).toBe('delivery.failed dns 5.4.6');
    expect(by('e@fail.test')).toBe('delivery.deferred dns 4.4.3');
    expect(by('f@[127.0.0.1]')).toBe('delivery.succeeded content 2.0.0');
    await dns.close();
  });
});

describe('stopping', () => {
  it('gives back what was not begun, cuts off what hangs, and a restart delivers each message', async () => {
    const mx = await relay.remote({ at: { mail: { kind: 'hang' } } });
    relay.routes['out'] = hosts([hostAt(mx.port)], FAST, { maxConnections: 1 });
    const messages = await Promise.all(Array.from({ length: 10 }, async () => relay.accept()));
    await waitFor('the first transaction', () => mx.commands.some((command) => command.startsWith('MAIL')));
    await relay.runner.stop(50);
    expect(relay.runner.figures).toMatchObject({ jobs: 0, heldBytes: 0, outcomesPending: 0 });
    const [leased] = await relay.server.query<{ count: number }>(
      'select count(*)::int as count from queue where owner is not null',
    );
    expect(leased?.count).toBe(0);
    mx.script = {};
    relay.start();
    await relay.allEnded(messages);
    for (const { id } of messages) expect(told(await relay.story(id)).at(-1)).toBe('delivery.succeeded content');
    expect(mx.accepted.length).toBe(10);
  });

  it('says QUIT to idle connections and refuses what is offered later', async () => {
    const mx = await relay.remote();
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    await relay.ended((await relay.accept()).id);
    await relay.runner.stop(1000);
    expect(mx.commands.at(-1)).toBe('QUIT');
    expect(relay.runner.hasRoom(1)).toBe(false);
    const message = await relay.accept();
    await waitFor('the lease to be given back', async () => {
      const rows = await relay.server.query<{ owner: number | null }>('select owner from queue where message_id = $1', [
        message.id,
      ]);
      return rows[0]?.owner === null;
    });
  });
});
