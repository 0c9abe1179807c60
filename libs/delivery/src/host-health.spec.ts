import { describe, expect, it } from '@jest/globals';
import type { AttemptAnswer } from './attempt-outcome.js';
import { Concurrency } from './concurrency.js';
import { HostHealth } from './host-health.js';

const answer: AttemptAnswer = {
  stage: 'connect',
  fault: { enhanced: '4.4.1', message: 'connection refused', progress: 'none' },
};

/** Milliseconds until the host may be asked again. */
function restOf(health: HostHealth, nowMs: number): number {
  let restMs = 0;
  while (health.isResting('host', nowMs + restMs)) restMs += 1;
  return restMs;
}

describe('the circuit breaker', () => {
  it('rests longer each time, up to a minute, and never as long as another gateway', () => {
    const rests = (random: () => number): number[] => {
      const health = new HostHealth(random);
      let nowMs = 0;
      return Array.from({ length: 9 }, () => {
        health.failed('host', nowMs, answer);
        const restMs = restOf(health, nowMs);
        nowMs += restMs;
        return restMs;
      });
    };
    expect(rests(() => 0)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    const shortest = rests(() => 0.999_999);
    expect(shortest[0]).toBeGreaterThanOrEqual(666);
    expect(shortest.at(-1)).toBeLessThan(41_000);
  });

  it('takes connections that fail together for one failure', () => {
    const health = new HostHealth(() => 0);
    for (let connections = 0; connections < 5; connections += 1) health.failed('host', 10, answer);
    expect(restOf(health, 10)).toBe(1000);
  });

  it('asks for one probe after a rest, and a connection that works is enough to go on', () => {
    const health = new HostHealth(() => 0);
    health.failed('host', 0, answer);
    expect([health.isSuspect('host'), health.lastAnswer('host')]).toEqual([true, answer]);
    health.connected('host');
    expect(health.isSuspect('host')).toBe(false);
  });

  it('opens for a host that connects and then breaks what it is given, until it carries something through', () => {
    const health = new HostHealth(() => 0);
    expect(Array.from({ length: 5 }, () => health.strained('host', 0, answer))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
    health.connected('host');
    expect([health.isResting('host', 999), health.isSuspect('host')]).toEqual([true, true]);
    expect(health.strained('host', 1000, answer)).toBe(true); // the probe: two seconds now
    expect(health.isResting('host', 2999)).toBe(true);
    health.succeeded('host');
    expect([health.isResting('host', 2999), health.isSuspect('host')]).toEqual([false, false]);
    expect(health.strained('host', 3000, answer)).toBe(false);
  });
});

describe('the number of connections', () => {
  const opened = (concurrency: Concurrency, proven = true): number => {
    let lanes = 0;
    while (concurrency.allows({ lanes, proven, suspect: false })) lanes += 1;
    return lanes;
  };

  it('grows with success up to the limit, shrinks with failure, never below one', () => {
    const concurrency = new Concurrency(20);
    expect(opened(concurrency)).toBe(5);
    for (let round = 0; round < 40; round += 1) concurrency.succeeded(0);
    expect(opened(concurrency)).toBeGreaterThan(8);
    for (let round = 0; round < 400; round += 1) concurrency.succeeded(0);
    expect(opened(concurrency)).toBe(20);
    concurrency.strained();
    expect(opened(concurrency)).toBe(10);
    for (let round = 0; round < 10; round += 1) concurrency.strained();
    expect(opened(concurrency)).toBe(1);
  });

  it('begins at one after an outage and is ramped up', () => {
    const concurrency = new Concurrency(20);
    expect(concurrency.allows({ lanes: 0, proven: false, suspect: true })).toBe(true);
    concurrency.begin();
    expect(concurrency.allows({ lanes: 0, proven: false, suspect: true })).toBe(false);
    concurrency.end();
    concurrency.healed();
    const ramp = Array.from({ length: 6 }, () => {
      const now = opened(concurrency);
      for (let round = 0; round < 12; round += 1) concurrency.succeeded(0);
      return now;
    });
    expect(ramp[0]).toBe(1);
    expect(ramp).toEqual(ramp.toSorted((a, b) => a - b));
    expect(ramp.at(-1)).toBeGreaterThan(8);
    expect(ramp.at(-1)).toBeLessThan(20);
  });

  it('stays where a host said that it takes no more, for a while', () => {
    const concurrency = new Concurrency(20);
    for (let round = 0; round < 400; round += 1) concurrency.succeeded(0);
    concurrency.crowded(7, 1000);
    for (let round = 0; round < 400; round += 1) concurrency.succeeded(5000);
    expect(opened(concurrency)).toBe(7);
    for (let round = 0; round < 400; round += 1) concurrency.succeeded(11_001);
    expect(opened(concurrency)).toBe(20);
  });
});
