import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { DnsReply } from '#mail-auth';
import { naivelySigned, rsaKey } from '../../../../test/support/naive-dkim.js';
import { waitFor } from '../../../../test/support/wait.js';
import { ContentThreads, type ContentThreadsOptions } from './content-threads.js';

/** Threads run the program as it was built. */
const PROGRAM = pathToFileURL('dist/apps/gateway/src/mail-auth/content-thread.js');
const KEY = rsaKey();
const TAGS = { v: '1', a: 'rsa-sha256', c: 'relaxed/relaxed', d: 'sender.example', s: 's', h: 'from' };
const HEADER = 'From: ann@sender.example\r\nSubject: x\r\n\r\n';

class Budget {
  used = 0;
  take(bytes: number): void {
    this.used += bytes;
  }
  giveBack(bytes: number): void {
    this.used -= bytes;
  }
}

const opened: ContentThreads[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((threads) => threads.close()));
});

function threadsOf(more: Partial<ContentThreadsOptions> = {}): { threads: ContentThreads; budget: Budget } {
  const budget = new Budget();
  const names = {
    txt: (): Promise<DnsReply<string>> => Promise.resolve({ kind: 'found', values: [KEY.record] }),
  };
  const log = { error: () => undefined, warn: () => undefined };
  const threads = new ContentThreads({ names, budget, log, program: PROGRAM, ...more });
  opened.push(threads);
  return { threads, budget };
}

const signed = (body: string): Buffer =>
  Buffer.from(naivelySigned(HEADER + body, { key: KEY.key, tags: TAGS }), 'latin1');

describe('threads that check signatures', () => {
  it('check many messages at once, and give the memory back', async () => {
    const { threads, budget } = threadsOf();
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const check = threads.check();
        await check.write(signed(`Hello ${String(index)}\r\n`));
        return check.end();
      }),
    );
    expect(results.every((one) => one.ok && one.dkim[0]?.result === 'pass')).toBe(true);
    expect([budget.used, threads.open]).toEqual([0, 0]);
  });

  it('a large body streams by: what is held is bounded, and the event loop goes on', async () => {
    const { threads, budget } = threadsOf();
    const line = `${'some words of a line '.repeat(3)}\r\n`;
    const block = Buffer.from(line.repeat(1000));
    const check = threads.check();
    await check.write(Buffer.from(HEADER));
    let most = 0;
    let slow = 0;
    for (let sent = 0; sent < 30_000_000; sent += block.length) {
      const begunAtMs = performance.now();
      const room = check.write(block);
      if (performance.now() - begunAtMs > 20) slow += 1;
      most = Math.max(most, budget.used);
      await room;
    }
    expect(await check.end()).toMatchObject({ ok: true, dkim: [] });
    expect(most).toBeLessThan(1_500_000);
    // Other programs may take the processor away once or twice.
    expect(slow).toBeLessThan(3);
    expect(budget.used).toBe(0);
  });

  it('a thread that ends leaves its messages unknown, and another takes its place', async () => {
    const questions: ((reply: DnsReply<string>) => void)[] = [];
    const names = { txt: () => new Promise<DnsReply<string>>((resolve) => questions.push(resolve)) };
    const { threads, budget } = threadsOf({ names });
    const check = threads.check();
    void check.write(signed('Hello\r\n'));
    const result = check.end();
    await waitFor('a question', () => Promise.resolve(questions.length > 0 || undefined));
    await threads.endThreads();
    expect(await result).toEqual({ ok: false, why: 'the thread that checks signatures ended' });
    // Not at once: a thread that fails at its start must not be begun for every message.
    expect(await threads.check().end()).toMatchObject({ ok: false });
    await waitFor('another thread', async () => {
      const again = threads.check();
      void again.write(Buffer.from('From: a@b.example\r\n\r\n'));
      return (await again.end()).ok || undefined;
    });
    expect([budget.used, threads.open]).toEqual([0, 0]);
  });

  it('what takes too long is unknown', async () => {
    const names = { txt: () => new Promise<DnsReply<string>>(() => undefined) };
    const { threads, budget } = threadsOf({ names, deadlineMs: 50 });
    const check = threads.check();
    void check.write(signed('Hello\r\n'));
    expect(await check.end()).toEqual({ ok: false, why: 'not checked within 50 ms' });
    expect([budget.used, threads.open]).toEqual([0, 0]);
  });

  it('more than can wait is unknown at once', async () => {
    const { threads } = threadsOf({ maxChecks: 1 });
    const first = threads.check();
    expect(await threads.check().end()).toMatchObject({ ok: false, why: expect.stringMatching(/too many/) });
    first.abort();
    first.abort();
    expect(threads.open).toBe(0);
    const second = threads.check();
    void second.write(Buffer.from('From: a@b.example\r\n\r\n'));
    expect(await second.end()).toMatchObject({ ok: true });
  });

  it('nothing is begun where nothing is asked', () => {
    const { threads } = threadsOf({ program: new URL('file:///nowhere.js') });
    expect(threads.open).toBe(0);
  });
});
