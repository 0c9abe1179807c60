import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nextAttemptAtMs, retryDelayMs } from './retry-schedule.js';
import { DEFAULT_RETRY } from './route.js';
import type { RetryProfile } from './route.js';

const profile: fc.Arbitrary<RetryProfile> = fc.record({
  firstMs: fc.integer({ min: 1, max: 3_600_000 }),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
  longestMs: fc.integer({ min: 1, max: 86_400_000 }),
  giveUpMs: fc.integer({ min: 1, max: 864_000_000 }),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('retry schedule', () => {
  it('is monotone and bounded', () => {
    fc.assert(
      fc.property(profile, fc.integer({ min: 1, max: 500 }), (retry, attempts) => {
        const delayMs = retryDelayMs(retry, attempts);
        expect(delayMs).toBeGreaterThanOrEqual(retry.firstMs);
        expect(delayMs).toBeLessThanOrEqual(Math.max(retry.longestMs, retry.firstMs));
        expect(retryDelayMs(retry, attempts + 1)).toBeGreaterThanOrEqual(delayMs);
      }),
    );
  });

  it('lies in the future, never after the give-up age, and ends there', () => {
    fc.assert(
      fc.property(
        profile,
        fc.integer({ min: 1, max: 500 }),
        fc.nat(864_000_000),
        random,
        (retry, attempts, ageMs, chance) => {
          const nowMs = 1_000_000 + ageMs;
          const next = nextAttemptAtMs(retry, { attempts, acceptedAtMs: 1_000_000, nowMs }, () => chance);
          if (ageMs >= retry.giveUpMs) {
            expect(next).toBeUndefined();
            return;
          }
          expect(next).toBeGreaterThan(nowMs);
          expect(next).toBeLessThanOrEqual(1_000_000 + retry.giveUpMs);
          expect(next! - nowMs).toBeLessThanOrEqual(Math.ceil(retryDelayMs(retry, attempts)));
        },
      ),
    );
  });

  it('of the default reaches five days in a bounded number of attempts', () => {
    let nowMs = 0;
    let attempts = 0;
    for (;;) {
      attempts += 1;
      const next = nextAttemptAtMs(DEFAULT_RETRY, { attempts, acceptedAtMs: 0, nowMs }, () => 0.5);
      if (next === undefined) break;
      nowMs = next;
    }
    expect(nowMs).toBe(DEFAULT_RETRY.giveUpMs);
    expect(attempts).toBeLessThan(80);
  });
});
