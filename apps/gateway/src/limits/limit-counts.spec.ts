import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LimitKey } from '#policy';
import { LimitCounts } from './limit-counts.js';

const PER_MS = 60_000;

function keyOf(key: string, perMs = PER_MS): LimitKey {
  return { limit: { name: 'per-app', key: ['ip'], count: 'messages', max: 10, perMs, onExceed: 'defer' }, key };
}

describe('counting', () => {
  test('what is older than the window is forgotten within a tenth of it', () => {
    const counts = new LimitCounts();
    counts.add(keyOf('a'), 3, 1_000_000);
    expect(counts.total(keyOf('a'), 1_000_000 + PER_MS - 1)).toBe(3);
    expect(counts.total(keyOf('a'), 1_000_000 + PER_MS * 1.1 + 1)).toBe(0);
    expect(counts.total(keyOf('b'), 1_000_000)).toBe(0);
  });

  test('in any window of that length never less than what happened', () => {
    const events = fc.array(fc.record({ after: fc.nat(20_000), amount: fc.integer({ min: 1, max: 5 }) }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(events, (all) => {
        const counts = new LimitCounts();
        const happened: { atMs: number; amount: number }[] = [];
        let nowMs = 5_000_000;
        for (const { after, amount } of all) {
          nowMs += after;
          counts.add(keyOf('a'), amount, nowMs);
          happened.push({ atMs: nowMs, amount });
          const sum = (sinceMs: number): number =>
            happened.reduce((total, each) => total + (each.atMs > sinceMs ? each.amount : 0), 0);
          const total = counts.total(keyOf('a'), nowMs);
          expect(total).toBeGreaterThanOrEqual(sum(nowMs - PER_MS));
          expect(total).toBeLessThanOrEqual(sum(nowMs - PER_MS * 1.1 - 1));
        }
      }),
    );
  });
});

describe('memory', () => {
  test('is bounded, and a flood of keys hides nobody', () => {
    const counts = new LimitCounts(1_000);
    const nowMs = 7_000_000;
    counts.add(keyOf('the spammer'), 50, nowMs);
    for (let i = 0; i < 20_000; i += 1) counts.add(keyOf(`other ${String(i)}`), 1, nowMs + i);
    expect(counts.size).toBe(1_000);
    expect(counts.total(keyOf('the spammer'), nowMs + 20_000)).toBeGreaterThanOrEqual(50);
    counts.add(keyOf('the spammer'), 5, nowMs + 20_000);
    expect(counts.total(keyOf('the spammer'), nowMs + 20_001)).toBeGreaterThanOrEqual(55);
    expect(counts.total(keyOf('a newcomer'), nowMs + 20_001)).toBeLessThanOrEqual(5);
    expect(counts.total(keyOf('the spammer'), nowMs + 4 * PER_MS)).toBe(0);
  });

  test('any order of many keys in little room never counts too low', () => {
    const events = fc.array(fc.record({ key: fc.nat(30), after: fc.nat(3_000) }), { maxLength: 200 });
    fc.assert(
      fc.property(events, (all) => {
        const counts = new LimitCounts(5);
        const happened: { key: number; atMs: number }[] = [];
        let nowMs = 9_000_000;
        for (const { key, after } of all) {
          nowMs += after;
          counts.add(keyOf(String(key)), 1, nowMs);
          happened.push({ key, atMs: nowMs });
          const real = happened.filter((each) => each.key === key && each.atMs > nowMs - PER_MS).length;
          expect(counts.total(keyOf(String(key)), nowMs)).toBeGreaterThanOrEqual(real);
        }
        expect(counts.size).toBeLessThanOrEqual(5);
      }),
    );
  });
});

describe('sharing', () => {
  test('each hears what the others counted, once', () => {
    const one = new LimitCounts();
    const two = new LimitCounts();
    const nowMs = 3_000_000;
    one.add(keyOf('a'), 4, nowMs);
    const told = one.takeChanged(10);
    expect(told).toMatchObject([{ perMs: PER_MS, count: 4 }]);
    two.add(keyOf('a'), 2, nowMs);
    two.merge(told, nowMs);
    two.merge(told, nowMs);
    expect(two.total(keyOf('a'), nowMs)).toBe(6);
    expect(one.takeChanged(10)).toEqual([]);
    one.putBack(told);
    expect(one.takeChanged(10)).toEqual(told);
    two.merge(told, nowMs + 2 * PER_MS);
    expect(two.total(keyOf('a'), nowMs + 2 * PER_MS)).toBe(0);
  });
});
