import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FlowMeter } from './flow-meter.js';
import type { FlowLimits } from './route.js';

/** When each of so many transactions began, taking each as soon as it may. */
function begun(limits: FlowLimits, count: number, recipients = 1, gateways = 1): number[] {
  const meter = new FlowMeter(limits, () => gateways);
  const times: number[] = [];
  let nowMs = 1_000_000;
  while (times.length < count) {
    const waitMs = meter.waitMs(nowMs);
    nowMs += waitMs;
    if (waitMs > 0) continue;
    meter.spend(recipients);
    times.push(nowMs);
  }
  return times;
}

function mostWithin(times: readonly number[], perMs: number): number {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + perMs).length));
}

describe('a rate limit', () => {
  it('is never exceeded within any window, and is made use of', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 3600 }), (max, seconds) => {
        const perMs = seconds * 1000;
        const times = begun({ messages: { max, perMs } }, max * 3);
        expect(mostWithin(times, perMs)).toBeLessThanOrEqual(max);
        // Three times the maximum takes little more than two windows and the burst at the beginning.
        expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThan(perMs * 3.3 + max * 15);
      }),
      { numRuns: 100 },
    );
  });

  it('counts recipients too; a transaction with more than the limit goes on credit', () => {
    const times = begun({ recipients: { max: 100, perMs: 60_000 } }, 20, 10);
    expect(mostWithin(times, 60_000)).toBeLessThanOrEqual(11);
    const [first = 0, second = 0] = begun({ recipients: { max: 10, perMs: 60_000 } }, 2, 30);
    expect(second - first).toBeGreaterThan(170_000);
  });

  it('is shared out among the gateways', () => {
    const alone = begun({ messages: { max: 100, perMs: 60_000 } }, 100);
    const oneOfTwo = begun({ messages: { max: 100, perMs: 60_000 } }, 100, 1, 2);
    expect(mostWithin(alone, 60_000)).toBeGreaterThan(90);
    expect(mostWithin(oneOfTwo, 60_000)).toBeLessThanOrEqual(50);
    expect(mostWithin(begun({ messages: { max: 1, perMs: 60_000 } }, 5, 1, 4), 60_000)).toBe(1);
  });

  it('says how much may begin soon', () => {
    const meter = new FlowMeter({ messages: { max: 600, perMs: 60_000 } }, () => 1);
    expect(meter.waitMs(1000)).toBe(0);
    expect(meter.within(0)).toBe(60);
    expect(meter.within(10_000)).toBeGreaterThan(140);
    expect(new FlowMeter({}, () => 1).within(1)).toBe(Number.POSITIVE_INFINITY);
  });
});
