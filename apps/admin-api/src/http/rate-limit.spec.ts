import { describe, expect, test } from '@jest/globals';
import { RequestQuota } from './rate-limit.js';

describe('the quota of a key', () => {
  test('is a window full, then fills evenly, and is each key’s own', () => {
    let nowMs = 0;
    const quota = new RequestQuota(2, () => nowMs);
    const took = Array.from({ length: 20 }, () => quota.take('a'));
    expect(took.map(({ left }) => left)).toEqual(Array.from({ length: 20 }, (_, i) => 19 - i));
    expect(took.every(({ ok }) => ok)).toBe(true);
    expect(quota.take('a')).toEqual({ ok: false, left: 0, resetSeconds: 1 });
    expect(quota.take('b').ok).toBe(true);
    nowMs = 500;
    expect(quota.take('a').ok).toBe(true);
    expect(quota.take('a').ok).toBe(false);
    nowMs = 1_000_000;
    expect(quota.take('a')).toEqual({ ok: true, left: 19, resetSeconds: 1 });
  });

  test('says when it is whole again', () => {
    const quota = new RequestQuota(1, () => 0);
    for (let i = 0; i < 4; i += 1) quota.take('a');
    expect(quota.take('a')).toEqual({ ok: true, left: 5, resetSeconds: 5 });
  });

  test('a refused request costs nothing', () => {
    let nowMs = 0;
    const quota = new RequestQuota(1, () => nowMs);
    for (let i = 0; i < 500; i += 1) quota.take('a');
    nowMs = 1000;
    expect(quota.take('a').ok).toBe(true);
  });
});
