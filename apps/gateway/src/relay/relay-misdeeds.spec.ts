import { describe, expect, it } from '@jest/globals';
import type { MxScript, MxStep } from '../../../../test/support/foreign-mx.js';
import { FAST, hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';

const relay = useRelay();

describe('a misbehaving next hop', () => {
  const once = (stage: string, step: MxStep): MxScript => {
    let done = false;
    return { at: { [stage]: () => (done ? undefined : ((done = true), step)) } };
  };
  const hang: MxStep = { kind: 'hang' };
  const drop: MxStep = { kind: 'drop' };
  it.each<[string, MxScript, string]>([
    ['4xx at MAIL', once('mail', '451 4.3.0 Busy\r\n'), 'mail'],
    ['4xx at RCPT', once('rcpt', '450 4.2.0 Greylisted\r\n'), 'rcpt'],
    ['4xx at DATA', once('data', '451 4.3.0 Busy\r\n'), 'data'],
    ['4xx after the dot', once('content', '452 4.3.1 Full\r\n'), 'content'],
    ['554 banner', once('banner', '554 5.3.2 No\r\n'), 'banner'],
    [
      '5xx to EHLO and HELO',
      { at: { ...once('ehlo', '550 5.5.1 No\r\n').at, ...once('helo', '550 5.5.1 No\r\n').at } },
      'ehlo',
    ],
    ['endless banner', once('banner', '220-x\r\n'.repeat(10_000)), 'banner'],
    ['not SMTP', once('banner', 'HTTP/1.1 400 Bad Request\r\n\r\n'), 'banner'],
    ['hang at the banner', once('banner', hang), 'banner'],
    ['hang at EHLO', once('ehlo', hang), 'ehlo'],
    ['hang at MAIL', once('mail', hang), 'mail'],
    ['hang at RCPT', once('rcpt', hang), 'rcpt'],
    ['hang at DATA', once('data', hang), 'data'],
    ['hang after the dot', once('content', hang), 'content'],
    ['disconnect at the banner', once('banner', drop), 'banner'],
    ['disconnect after the dot', once('content', drop), 'content'],
    ['garbage after the dot', once('content', 'OK!\r\n'), 'content'],
    ['250 to DATA', once('data', '250 Ok\r\n'), 'data'],
  ])('%s defers, and the next attempt delivers', async (_name, script, stage) => {
    const mx = await relay.remote(script);
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const message = await relay.accept();
    const rows = await relay.ended(message.id);
    expect(told(rows)[0]).toBe(`delivery.deferred ${stage}`);
    expect(told(rows).at(-1)).toBe('delivery.succeeded content');
    expect(rows[0]?.data['nextAttemptAtMs']).toBeGreaterThan(0);
    expect(rows.map(({ data }) => data['attempt'])).toEqual(rows.map((_, at) => at + 1));
  });

  it('says that a message may have arrived when the time-out comes after the dot', async () => {
    const mx = await relay.remote(once('content', hang));
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const [deferred] = await relay.ended((await relay.accept()).id);
    expect(deferred?.data.reply).toBe('no reply in time, waited for content; the message may have been delivered');
  });

  it('keeps hostile reply text bounded and printable', async () => {
    const mx = await relay.remote(
      once('mail', `451-4.3.0 ${'\u001b[31m\u0000'.repeat(300)}\r\n451 4.3.0 ${'y'.repeat(900)}\r\n`),
    );
    relay.routes['out'] = hosts([hostAt(mx.port)]);
    const [deferred] = await relay.ended((await relay.accept()).id);
    expect(Buffer.byteLength(String(deferred?.data.reply))).toBeLessThanOrEqual(512);
    expect(deferred?.data.reply).toMatch(/^451 4\.3\.0 [\u0020-\u007e]+$/);
  });

  it('that ends kept connections costs no attempt', async () => {
    const mx = await relay.remote({
      at: { mail: ({ completed }) => (completed >= 3 ? '421 4.7.0 Enough\r\n' : undefined) },
    });
    relay.routes['out'] = hosts([hostAt(mx.port)], FAST, { maxConnections: 1 });
    const messages = await Promise.all(Array.from({ length: 20 }, async () => relay.accept()));
    await relay.allEnded(messages);
    for (const { id } of messages) expect(told(await relay.story(id))).toEqual(['delivery.succeeded content']);
    expect(mx.connections).toBeGreaterThanOrEqual(7);
  });
});
