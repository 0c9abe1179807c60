/** Policies that look like open relays and are none: the proof must not refuse them. */
import { expect, test } from '@jest/globals';
import { check } from '#policy';
import { SAFE_POLICIES, safeText } from './safe-policies.js';

test('there are enough, and each has its name', () => {
  expect(new Set(SAFE_POLICIES.map(({ name }) => name)).size).toBeGreaterThanOrEqual(25);
});

test.each(SAFE_POLICIES.map((each) => [each.name, each] as const))('not refused: %s', (_, each) => {
  expect(check(safeText(each)).findings.filter(({ severity }) => severity === 'blocks')).toEqual([]);
});
