import { describe, expect, it } from '@jest/globals';
import { OutcomeBatcher } from './outcome-batcher.js';
import type { RecipientOutcome } from './ports.js';

function outcome(id: string): RecipientOutcome {
  const data = {
    attempt: 1,
    route: 'r',
    routeRevision: 1,
    host: '',
    stage: 'content',
    reply: '',
    startedAtMs: 0,
    tookMs: 0,
  };
  return {
    kind: 'done',
    recipientId: id,
    messageId: `m${id}`,
    event: { id: `e${id}`, kind: 'delivery.succeeded', data },
  };
}

class Failure extends Error {
  constructor(readonly retryable: boolean) {
    super('database is away');
  }
}

function batcherOver(record: (ids: readonly string[]) => void | Promise<void>): {
  batcher: OutcomeBatcher;
  calls: string[][];
} {
  const calls: string[][] = [];
  const batcher = new OutcomeBatcher(
    {
      record: async (outcomes) => {
        const ids = outcomes.map(({ recipientId }) => recipientId);
        calls.push(ids);
        await record(ids);
        return { lost: [] };
      },
    },
    () => undefined,
  );
  return { batcher, calls };
}

describe('outcomes', () => {
  it('gather while a group is being recorded, and at most 500 wait for the timer', async () => {
    const { batcher, calls } = batcherOver(() => undefined);
    for (let at = 0; at < 1200; at += 1) batcher.add([outcome(String(at))]);
    expect(batcher.pending).toBe(1200);
    await batcher.drain();
    expect(calls.map((ids) => ids.length)).toEqual([500, 700]);
    expect(batcher.pending).toBe(0);
  });

  it('are given again, the same group, until the queue took them', async () => {
    let failures = 3;
    const { batcher, calls } = batcherOver(() => {
      failures -= 1;
      if (failures >= 0) throw new Failure(true);
    });
    batcher.add([outcome('a'), outcome('b')]);
    const draining = batcher.drain();
    batcher.add([outcome('c')]);
    await draining;
    expect(calls).toEqual([['a', 'b'], ['a', 'b'], ['a', 'b'], ['a', 'b'], ['c']]);
  });

  it('that can never be stored do not hold the others up', async () => {
    const { batcher, calls } = batcherOver((ids) => {
      if (ids.includes('bad')) throw new Failure(false);
    });
    batcher.add([outcome('a'), outcome('bad'), outcome('c')]);
    await batcher.drain();
    expect(calls).toEqual([['a', 'bad', 'c'], ['a'], ['bad'], ['c']]);
  });

  it('are abandoned when the worker must end', async () => {
    const { batcher } = batcherOver(() => {
      throw new Failure(true);
    });
    batcher.add([outcome('a')]);
    const draining = batcher.drain();
    batcher.abandon();
    await draining;
    expect(batcher.pending).toBeGreaterThanOrEqual(0);
  });
});
