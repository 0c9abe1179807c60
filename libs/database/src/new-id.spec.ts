import { describe, expect, test } from '@jest/globals';
import { idFloor, idTimeMs, newId } from './new-id.js';

describe('newId', () => {
  test('is a UUIDv7 of now', () => {
    const beforeMs = Date.now();
    const id = newId();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(idTimeMs(id)).toBeGreaterThanOrEqual(beforeMs);
    expect(idTimeMs(id)).toBeLessThan(beforeMs + 1_000);
  });

  test('grows with every call, also many within a millisecond', () => {
    const ids = Array.from({ length: 50_000 }, newId);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('the floor of a moment lies below every id of it', () => {
    const id = newId();
    const ms = idTimeMs(id);
    expect(idFloor(ms) < id).toBe(true);
    expect(idFloor(ms + 1) > id).toBe(true);
    expect(idTimeMs(idFloor(ms))).toBe(ms);
  });
});
