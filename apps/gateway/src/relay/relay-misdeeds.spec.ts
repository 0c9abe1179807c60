import { describe, expect, it } from '@jest/globals';
import type { MxScript, MxStep } from '../../../../test/support/foreign-mx.js';
import { FAST, hostAt, hosts, told, useRelay } from '../../../../test/support/relay-harness.js';

const relay = useRelay();

/** All the others are in relay-misdeeds-all.spec.ts. */
describe('a misbehaving next hop', () => {
  const once = (stage: string, step: MxStep): MxScript => {
    let done = false;
    return { at: { [stage]: () => (done ? undefined : ((done = true), step)) } };
  };
  const hang: MxStep = { kind: 'hang' };
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
